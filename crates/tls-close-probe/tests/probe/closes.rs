//! How servers answer `close_notify`, and what was said before.

use std::{io, io::Write, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_tls_shutdown::ShutdownExt;

use crate::{
    run::{PATIENT, assert_fields, report},
    servers::{
        TLS12, TLS13, Tls, answer, close_notify_with, fin, read_to_close_notify, reset, rst,
        server, silence, with_tickets,
    },
};

/// What the probe reports of such a server, with `args` for the probe.
async fn report_of<F>(config: ServerConfig, serve: fn(Tls) -> F, args: &[&str]) -> Value
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    report(&[args, &[&server(config, serve).await]].concat()).await
}

#[tokio::test]
async fn a_server_that_answers_is_clean() {
    for case in [TLS12, TLS13] {
        let report = report_of(with_tickets(case), answer, &PATIENT).await;
        let expected = json!({
            "connection/server_name": "localhost",
            "connection/tls_version": if case.is_tls13() { "TLSv1.3" } else { "TLSv1.2" },
            "conversation/sent_bytes": 0,
            "conversation/received_bytes": 0,
            "conversation/server_ended_first": null,
            "close/answer": "close_notify",
            "close/error": null,
            "close/discarded_bytes": 0,
            "close/tickets": if case.is_tls13() { 2 } else { 0 },
            "close/transport": "fin",
            "close/transport_bytes": 0,
            "resumption/resumed": true,
            "resumption/error": null,
        });
        assert_fields(&report, &expected);
    }
}

#[tokio::test]
async fn a_server_that_answers_with_fin_is_unclean() {
    for case in [TLS12, TLS13] {
        let report = report_of(with_tickets(case), fin, &PATIENT).await;
        assert_fields(
            &report,
            &json!({ "close/answer": "fin", "close/transport": "fin" }),
        );
    }
}

#[tokio::test]
async fn a_server_that_answers_with_a_reset_is_unclean() {
    for case in [TLS12, TLS13] {
        let report = report_of(with_tickets(case), rst, &PATIENT).await;
        assert_fields(
            &report,
            &json!({ "close/answer": "reset", "close/transport": "reset" }),
        );
    }
}

#[tokio::test]
async fn a_reset_behind_close_notify_is_seen() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        reset(&tls)
    }
    let report = report_of(with_tickets(TLS13), end, &PATIENT).await;
    assert_fields(
        &report,
        &json!({ "close/answer": "close_notify", "close/transport": "reset" }),
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let report = report_of(with_tickets(TLS13), silence, &["--timeout", "3"]).await;
    assert_fields(
        &report,
        &json!({ "close/answer": "timed_out", "close/transport": "open" }),
    );
}

#[tokio::test]
async fn a_server_that_leaves_tcp_open_is_clean() {
    async fn stay(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        std::future::pending().await
    }
    for case in [TLS12, TLS13] {
        let report = report_of(with_tickets(case), stay, &["--timeout", "1"]).await;
        let expected = json!({
            "status": "clean",
            "close/answer": "close_notify",
            "close/transport": "open",
        });
        assert_fields(&report, &expected);
    }
}

#[tokio::test]
async fn data_after_our_close_notify_is_counted() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.write_all(&[0; 100_000]).await?;
        tls.close_notify().await?;
        Ok(())
    }
    for case in [TLS12, TLS13] {
        let report = report_of(with_tickets(case), end, &PATIENT).await;
        assert_fields(
            &report,
            &json!({ "close/answer": "close_notify", "close/discarded_bytes": 100_000, "conversation/received_bytes": 0 }),
        );
    }
}

#[tokio::test]
async fn plaintext_behind_the_close_is_counted() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        tls.get_mut().0.write_all(b"220 clear\r\n").await
    }
    let report = report_of(with_tickets(TLS13), end, &PATIENT).await;
    assert_fields(
        &report,
        &json!({ "close/answer": "close_notify", "close/transport": "fin", "close/transport_bytes": 11 }),
    );
}

#[tokio::test]
async fn a_server_that_ends_first_is_told_apart() {
    async fn close_notify(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        let mut tls = close_notify_with(tls, b"bye").await?;
        read_to_close_notify(&mut tls).await
    }
    async fn fin(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        tls.get_mut().0.shutdown().await?;
        read_to_close_notify(&mut tls).await
    }
    async fn rst(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        reset(&tls)
    }
    let args = [&PATIENT[..], &["--send", "x"]].concat();

    let report_1 = report_of(with_tickets(TLS13), close_notify, &args).await;
    let expected = json!({
        "conversation/server_ended_first": "close_notify",
        "conversation/received_bytes": 3,
        "close/answer": "close_notify",
    });
    assert_fields(&report_1, &expected);

    let report_2 = report_of(with_tickets(TLS13), fin, &args).await;
    let expected = json!({ "conversation/server_ended_first": "fin", "close/answer": "fin" });
    assert_fields(&report_2, &expected);

    let report_3 = report_of(with_tickets(TLS13), rst, &args).await;
    let expected =
        json!({ "conversation/server_ended_first": "reset", "close/transport": "reset" });
    assert_fields(&report_3, &expected);
}

#[tokio::test]
async fn escapes_in_the_request_are_understood() {
    const REQUEST: &[u8] = b"a\r\n\t\x00\xff\\z";
    async fn check(mut tls: Tls) -> io::Result<()> {
        let mut request = [0; REQUEST.len()];
        tls.read_exact(&mut request).await?;
        if request == REQUEST {
            tls = close_notify_with(tls, b"yes").await?;
        }
        read_to_close_notify(&mut tls).await
    }
    let args = [&PATIENT[..], &["--send", r"a\r\n\t\0\xff\\z"]].concat();
    let report = report_of(with_tickets(TLS13), check, &args).await;
    assert_fields(
        &report,
        &json!({ "conversation/sent_bytes": REQUEST.len(), "conversation/received_bytes": 3 }),
    );
}

#[tokio::test]
async fn a_late_answer_to_the_request_is_waited_for() {
    async fn late(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        // Longer than the silence that ends a conversation.
        tokio::time::sleep(Duration::from_millis(600)).await;
        let mut tls = close_notify_with(tls, b"yes").await?;
        read_to_close_notify(&mut tls).await
    }
    let args = [&PATIENT[..], &["--send", "x"]].concat();
    let report = report_of(with_tickets(TLS13), late, &args).await;
    assert_fields(
        &report,
        &json!({ "conversation/received_bytes": 3, "conversation/server_ended_first": "close_notify" }),
    );
}

/// More than the buffers on the way hold: who does not read while it sends gets stuck.
#[tokio::test]
async fn a_file_is_sent_while_the_answer_comes() {
    const FILE: usize = 12_000_000;
    async fn echo(tls: Tls) -> io::Result<()> {
        let (mut reader, mut writer) = tokio::io::split(tls);
        tokio::io::copy(&mut reader, &mut writer).await?;
        reader.unsplit(writer).close_notify().await?;
        Ok(())
    }
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&vec![b'x'; FILE]).unwrap();
    let path = file.path().to_str().unwrap();
    let args = [&PATIENT[..], &["--send-file", path]].concat();
    let report = report_of(with_tickets(TLS13), echo, &args).await;
    assert_fields(
        &report,
        &json!({ "conversation/sent_bytes": FILE, "close/answer": "close_notify" }),
    );
    let bytes = |field: &str| report.pointer(field).and_then(|n| n.as_u64()).unwrap();
    assert_eq!(
        bytes("/conversation/received_bytes") + bytes("/close/discarded_bytes"),
        FILE as u64
    );
}

#[tokio::test]
async fn without_tickets_nothing_is_resumed() {
    let report = report_of(TLS13.server_config(), answer, &PATIENT).await;
    assert_fields(
        &report,
        &json!({ "close/tickets": 0, "resumption/resumed": false }),
    );
}

#[tokio::test]
async fn a_failed_second_connection_does_not_cost_the_report() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        drop(listener);
        let acceptor = TlsAcceptor::from(Arc::new(with_tickets(TLS13)));
        answer(acceptor.accept(tcp).await.unwrap()).await
    });
    let report = report(&[&[format!("localhost:{port}").as_str()], &PATIENT[..]].concat()).await;
    assert_fields(
        &report,
        &json!({ "close/answer": "close_notify", "resumption/resumed": null }),
    );
    let error = report["resumption"]["error"].as_str().unwrap();
    assert!(error.contains("failed to connect to "), "{error}");
}
