//! `--watch`.

use std::{
    io,
    process::Stdio,
    sync::atomic::{AtomicU32, Ordering},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
};

use crate::{
    run::{assert_valid, command, run_probe, text},
    servers::{TLS13, Tls, answer, fin, server, with_tickets},
};

#[tokio::test]
async fn each_round_is_a_line_and_changes_are_shown() {
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    /// Two connections a probe: the first round is clean, those after it are not.
    async fn changing(tls: Tls) -> io::Result<()> {
        match CONNECTIONS.fetch_add(1, Ordering::Relaxed) {
            0 | 1 => answer(tls).await,
            _ => fin(tls).await,
        }
    }
    let address = server(with_tickets(TLS13), changing).await;
    let args = [
        "--insecure",
        "--watch",
        "0.01",
        "--rounds",
        "3",
        "--fail-on",
        "fin",
        &address,
    ];
    let output = run_probe(&args).await;
    assert_eq!(output.status.code(), Some(1), "the worst round counts");
    let stdout = text(&output.stdout);
    let lines: Vec<_> = stdout.lines().collect();
    assert_eq!(lines.len(), 4, "{stdout}");
    assert!(lines[0].contains("TLS CLOSE OK - "), "{stdout}");
    assert!(lines[1].contains("TLS CLOSE WARNING - "), "{stdout}");
    assert!(
        lines[2].contains(" changed from clean to unclean: "),
        "{stdout}"
    );
    assert!(lines[3].contains("TLS CLOSE WARNING - "), "{stdout}");
}

#[tokio::test]
async fn in_json_each_probe_is_a_line() {
    let address = server(with_tickets(TLS13), answer).await;
    let args = [
        "--insecure",
        "--json",
        "--watch",
        "0.01",
        "--rounds",
        "2",
        &address,
    ];
    let output = run_probe(&args).await;
    let lines = text(&output.stdout).lines();
    let reports: Vec<Value> = lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(reports.len(), 2);
    reports.iter().for_each(assert_valid);
}

/// The status is that of the rounds before.
#[tokio::test]
async fn ctrl_c_and_sigterm_end_it_with_the_worst_status() {
    let address = server(with_tickets(TLS13), fin).await;
    for signal in ["INT", "TERM"] {
        let args = [
            "--insecure",
            "--watch",
            "3600",
            "--fail-on",
            "fin",
            &address,
        ];
        let mut command = command(&args);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next_line().await.unwrap().unwrap();
        assert!(line.contains("TLS CLOSE WARNING - "), "{line}");
        let id = child.id().unwrap().to_string();
        let kill = Command::new("kill").args(["-s", signal, &id]).status();
        assert!(kill.await.unwrap().success());
        let status = child.wait().await.unwrap();
        assert_eq!(status.code(), Some(1), "{signal}");
        assert_eq!(lines.next_line().await.unwrap(), None);
    }
}
