//! Many servers: where they come from, and what is printed of them.

use std::io::Write;

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    run::{PATIENT, assert_valid, run, run_probe, run_with_stdin, text, usage_error},
    servers::{TLS12, TLS13, answer, dead_port, fin, listen, plain_http, server, with_tickets},
};

#[tokio::test]
async fn servers_come_from_arguments_standard_input_and_a_file() {
    let a = server(with_tickets(TLS13), answer).await;
    let b = server(with_tickets(TLS12), answer).await;
    let c = server(with_tickets(TLS13), fin).await;
    let mut file = NamedTempFile::new().unwrap();
    writeln!(file, "# comment\n\n  {b}  # another").unwrap();
    let path = file.path().to_str().unwrap();
    let args = [
        &["--insecure", "--json", &a, "-", "--file", path],
        &PATIENT[..],
    ]
    .concat();
    let output = run_with_stdin(&args, &format!("{c}\r\n")).await;
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(text(&output.stderr), "", "no bar without a terminal");
    let mut servers: Vec<_> = text(&output.stdout)
        .lines()
        .map(|line| {
            let report: Value = serde_json::from_str(line).unwrap();
            assert_valid(&report);
            report["server"].as_str().unwrap().to_owned()
        })
        .collect();
    servers.sort();
    let mut expected = vec![a, b, c];
    expected.sort();
    assert_eq!(servers, expected);
}

#[tokio::test]
async fn a_file_may_be_standard_input() {
    let address = server(with_tickets(TLS13), answer).await;
    let args = [&["--insecure", "--file", "-"], &PATIENT[..]].concat();
    let output = run_with_stdin(&args, &format!("{address}\n")).await;
    let expected = format!("TLS CLOSE OK - {address} clean: ");
    let stdout = text(&output.stdout);
    assert!(stdout.starts_with(&expected), "{stdout}");
}

#[tokio::test]
async fn the_worst_server_gives_the_exit_status() {
    let clean = server(with_tickets(TLS13), answer).await;
    let unclean = server(with_tickets(TLS13), fin).await;
    let refused = listen(plain_http).await;
    let dead = dead_port().await;
    for (servers, fail_on, status) in [
        (&[&clean, &clean][..], "unclean", 0),
        (&[&clean, &unclean], "reset", 0),
        (&[&clean, &unclean], "reset,fin", 1),
        (&[&unclean, &refused], "unclean", 3),
        (&[&dead, &refused, &unclean], "unclean", 2),
    ] {
        let servers: Vec<_> = servers.iter().map(|server| server.as_str()).collect();
        let args = [&["--insecure", "--fail-on", fail_on], &servers[..]].concat();
        let output = run_probe(&args).await;
        assert_eq!(output.status.code(), Some(status), "{args:?}");
        let state = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][status as usize];
        let stdout = text(&output.stdout);
        let expected = format!("TLS CLOSE {state} - {} servers: ", servers.len());
        assert!(stdout.starts_with(&expected), "{stdout}");
        for server in servers {
            assert!(stdout.contains(server), "{server} in {stdout}");
        }
    }
}

#[tokio::test]
async fn one_job_at_a_time_is_enough() {
    let a = server(with_tickets(TLS13), answer).await;
    let b = server(with_tickets(TLS13), answer).await;
    let output = run_probe(&["--insecure", "--json", "--jobs", "1", &a, &b]).await;
    let reports = text(&output.stdout).lines();
    let servers: Vec<Value> = reports
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(
        [&servers[0]["server"], &servers[1]["server"]],
        [a.as_str(), b.as_str()]
    );
}

#[tokio::test]
async fn the_whole_reports_come_with_verbose() {
    let a = server(with_tickets(TLS13), answer).await;
    let b = server(with_tickets(TLS13), fin).await;
    let output = run_probe(&["--insecure", "--verbose", &a, &b]).await;
    let stdout = text(&output.stdout);
    assert_eq!(stdout.matches("\nresumption ").count(), 2, "{stdout}");
}

#[tokio::test]
async fn what_is_no_server_is_named() {
    for address in [
        "",
        ":443",
        "host:",
        "host:0",
        "host:65536",
        "host:x",
        "a:b:1",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[host]:443",
        "[1.2.3.4]:443",
    ] {
        let line = usage_error(&["--insecure", address]).await;
        let expected = format!("invalid server `{address}`: not HOST, HOST:PORT or [IPV6]:PORT");
        assert_eq!(line, expected);
    }
    let output = run_with_stdin(&["--insecure", "-"], "localhost\n\na:b:1\n").await;
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("line 3: invalid server `a:b:1`"));
    let output = run_with_stdin(&["--insecure", "-"], "# none\n").await;
    assert_eq!(output.status.code(), Some(64));
}

#[tokio::test]
async fn a_wrong_command_line_exits_with_64() {
    for args in [
        &[][..],
        &["--no-such-option", "localhost"],
        &["--timeout", "0", "localhost"],
        &["--timeout", "-1", "localhost"],
        &["--timeout", "1e300", "localhost"],
        &["--timeout", "NaN", "localhost"],
        &["--send", "a", "--send-file", "b", "localhost"],
        &["--send", r"\q", "localhost"],
        &["--send", r"\x4", "localhost"],
        &["--send", r"\x4g", "localhost"],
        &["--send", r"\x", "localhost"],
        &["--send", r"\x\x41", "localhost"],
        &["--send", r"a\", "localhost"],
        &["--insecure", "--ca", "a", "localhost"],
        &["--jobs", "0", "localhost"],
        &["--key", "a", "localhost"],
        &["--starttls", "gopher", "localhost"],
        &["--fail-on", "rain", "localhost"],
        &["--rounds", "1", "localhost"],
        &["--insecure", "--sni", "a b", "localhost"],
        &["--watch", "1", "--html", "a", "localhost"],
        &["--json", "--nagios", "localhost"],
        &["--insecure", "--svg", "a", "localhost", "localhost"],
    ] {
        let output = run(args).await;
        assert_eq!(output.status.code(), Some(64), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}
