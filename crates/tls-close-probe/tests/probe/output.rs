//! What is printed of one server.

use tokio::io::AsyncReadExt;

use crate::{
    run::{run, run_probe, text},
    servers::{TLS12, TLS13, answer, dead_port, fin, listen, plain_http, server, with_tickets},
};

#[tokio::test]
async fn the_first_line_is_the_status_line() {
    let clean = server(with_tickets(TLS13), answer).await;
    let output = run_probe(&["--insecure", &clean]).await;
    let stdout = text(&output.stdout);
    let expected = format!("TLS CLOSE OK - {clean} clean: the server answered with close_notify");
    assert!(stdout.starts_with(&expected), "{stdout}");

    let unclean = server(with_tickets(TLS13), fin).await;
    for (fail_on, state, status) in [("fin", "WARNING", 1), ("reset", "OK", 0)] {
        let args = ["--insecure", "--nagios", "--fail-on", fail_on, &unclean];
        let output = run_probe(&args).await;
        assert_eq!(output.status.code(), Some(status));
        let stdout = text(&output.stdout);
        let expected = format!("TLS CLOSE {state} - {unclean} unclean: ");
        assert!(stdout.starts_with(&expected), "{stdout}");
        let (_, data) = stdout.split_once(" | ").unwrap();
        let labels: Vec<_> = data
            .split(' ')
            .map(|item| item.split('=').next().unwrap())
            .collect();
        assert_eq!(labels, ["handshake", "close", "discarded"]);
        assert_eq!(stdout.lines().count(), 1);
    }
}

#[tokio::test]
async fn it_says_in_words_what_json_says() {
    for case in [TLS12, TLS13] {
        let address = server(with_tickets(case), answer).await;
        let output = run_probe(&["--insecure", &address]).await;
        assert_eq!(output.status.code(), Some(0));
        let stdout = text(&output.stdout);
        for words in [
            "close_notify after",
            "none came after our close_notify",
            "FIN",
            "a second connection resumed the session",
        ] {
            assert!(stdout.contains(words), "{words} in {stdout}");
        }
    }
}

#[tokio::test]
async fn no_report_has_two_blank_lines() {
    let silent = listen(async |_tcp| std::future::pending().await).await;
    let http = listen(plain_http).await;
    let reset = listen(async |mut tcp: tokio::net::TcpStream| {
        tcp.read_u8().await?;
        Ok(())
    });
    let reset = reset.await;
    let clean = server(with_tickets(TLS13), answer).await;
    let dead = dead_port().await;
    for (address, blank) in [
        (&silent, 1),
        (&http, 2),
        (&reset, 1),
        (&clean, 2),
        (&dead, 0),
    ] {
        let output = run(&["--insecure", "--timeout", "2", address]).await;
        let stdout = text(&output.stdout);
        assert!(!stdout.contains("\n\n\n"), "{stdout}");
        let lines = stdout.lines().filter(|line| line.is_empty());
        assert_eq!(lines.count(), blank, "{stdout}");
    }
}

#[tokio::test]
async fn colours_are_for_terminals_and_for_who_asks_for_them() {
    let address = server(with_tickets(TLS13), answer).await;
    for (args, coloured) in [
        (&["--insecure", &address][..], false),
        (&["--insecure", "--color", "never", &address], false),
        (&["--insecure", "--color", "always", &address], true),
        (
            &["--insecure", "--color", "always", "--nagios", &address],
            true,
        ),
    ] {
        let output = run_probe(args).await;
        assert_eq!(text(&output.stdout).contains('\x1b'), coloured, "{args:?}");
    }
}

#[tokio::test]
async fn the_lines_of_the_diagram_are_of_one_width() {
    let address = server(with_tickets(TLS13), answer).await;
    let output = run_probe(&["--insecure", &address]).await;
    let stdout = text(&output.stdout);
    let lines: Vec<_> = stdout.lines().filter(|line| line.contains('│')).collect();
    assert!(lines.len() > 10, "{stdout}");
    for line in lines {
        assert_eq!(line.chars().count(), 12 + 1 + 60 + 1, "{line}");
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let address = server(with_tickets(TLS13), answer).await;
    let mut command = crate::run::command(&["--insecure", &address]);
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().await.unwrap();
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), ""));
}
