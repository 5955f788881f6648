//! STARTTLS of each protocol against scripts from its specification.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    run::{PATIENT, assert_fields, probe, report},
    scripts::{BAD, GOOD, INJECTED, Step},
    servers::{TLS12, TLS13, answer, listen, with_tickets},
};

const REFUSED: i32 = 3;

async fn play(tcp: &mut TcpStream, script: &[Step]) -> std::io::Result<()> {
    for step in script {
        match step {
            Step::Say(bytes) => tcp.write_all(bytes).await?,
            Step::Hear(expected) => {
                let mut heard = vec![0; expected.len()];
                tcp.read_exact(&mut heard).await?;
                if heard != *expected {
                    let heard = heard.escape_ascii().to_string();
                    return Err(std::io::Error::other(heard));
                }
            }
        }
    }
    Ok(())
}

/// A server that plays the script and then speaks TLS.
async fn server(case: crate::pair::Case, script: &'static [Step]) -> String {
    let acceptor = TlsAcceptor::from(Arc::new(with_tickets(case)));
    listen(move |mut tcp| {
        let acceptor = acceptor.clone();
        async move {
            play(&mut tcp, script).await?;
            answer(acceptor.accept(tcp).await?).await
        }
    })
    .await
}

/// A server that plays the script, and then waits for the client to go.
async fn plain(script: &'static [Step]) -> String {
    listen(move |mut tcp| async move {
        play(&mut tcp, script).await?;
        tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await?;
        Ok(())
    })
    .await
}

#[tokio::test]
async fn each_protocol_is_upgraded() {
    for (protocol, script) in GOOD {
        for case in [TLS12, TLS13] {
            let address = server(case, script).await;
            let args = [&["--starttls", protocol, &address], &PATIENT[..]].concat();
            let report = report(&args).await;
            let expected = json!({
                "status": "clean",
                "connection/starttls": protocol,
                "resumption/resumed": true,
            });
            assert_fields(&report, &expected);
            let events = report["timeline"].as_array().unwrap();
            assert_eq!(events[1]["what"], "starttls", "{report:#}");
        }
    }
}

#[tokio::test]
async fn a_server_without_starttls_is_refused() {
    for (protocol, script, expected) in BAD {
        let address = plain(script).await;
        let args = [&["--starttls", protocol, &address], &PATIENT[..]].concat();
        let (status, report) = probe(&args).await;
        assert_eq!(status, REFUSED, "{report:#}");
        assert_refusal(&report, protocol, expected);
    }
}

fn assert_refusal(report: &Value, protocol: &str, expected: &str) {
    assert_fields(
        report,
        &json!({ "status": "refused", "failure/stage": "starttls" }),
    );
    let message = report["failure"]["message"].as_str().unwrap();
    let head = format!("STARTTLS ({protocol}) failed: ");
    assert!(message.starts_with(&head), "{message}");
    assert!(message.contains(expected), "{expected} in {message}");
}

/// Bytes behind the server's consent, in the same segment: a client that passed them on as if they
/// had come through TLS would obey whoever put them there.
#[tokio::test]
async fn bytes_behind_the_consent_are_an_error() {
    for (protocol, script) in INJECTED {
        let address = plain(script).await;
        let args = [&["--starttls", protocol, &address], &PATIENT[..]].concat();
        let (status, report) = probe(&args).await;
        assert_eq!(status, REFUSED, "{report:#}");
        assert_refusal(
            &report,
            protocol,
            "of plaintext came behind the server's consent",
        );
    }
}

#[tokio::test]
async fn answers_without_end_are_given_up() {
    // One line, many lines, an element.
    for (protocol, endless) in [
        ("smtp", &b"x"[..]),
        ("smtp", b"220-a\r\n"),
        ("imap", b"x"),
        ("ftp", b"220-a\r\n"),
        ("ldap", b"\x30\x84\xff\xff\xff\xff"),
        ("xmpp", b"<a>"),
        ("sieve", b"\"a\"\r\n"),
    ] {
        let address = listen(move |mut tcp: TcpStream| async move {
            loop {
                tcp.write_all(endless).await?;
            }
        });
        let address = address.await;
        let args = [&["--starttls", protocol, &address], &PATIENT[..]].concat();
        let (status, report) = probe(&args).await;
        assert_eq!(status, REFUSED, "{report:#}");
        let message = report["failure"]["message"].as_str().unwrap();
        let bounded = message.contains("too long") || message.contains("unexpected answer");
        assert!(bounded, "{protocol}: {message}");
        assert!(message.len() < 1_000, "{message}");
    }
}

#[tokio::test]
async fn a_server_that_is_silent_before_tls_is_unreachable() {
    let address = plain(&[]).await;
    for protocol in [
        "smtp", "imap", "pop3", "ftp", "ldap", "xmpp", "postgres", "mysql", "sieve",
    ] {
        let args = ["--timeout", "0.3", "--starttls", protocol, &address];
        let (status, report) = probe(&args).await;
        assert_eq!(status, 2, "{report:#}");
        assert_fields(
            &report,
            &json!({ "status": "unreachable", "failure/stage": "starttls" }),
        );
    }
}
