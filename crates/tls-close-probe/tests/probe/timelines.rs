//! The timeline: who sent what, in the order in which it came.

use std::io;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tls_shutdown::ShutdownExt;

use crate::{
    run::{PATIENT, report},
    servers::{TLS12, TLS13, Tls, answer, fin, read_to_close_notify, reset, server, with_tickets},
};

/// The events as `from what` or `from detail`, from the end of the handshake on.
fn after_the_handshake(report: &Value) -> Vec<String> {
    let events = report["timeline"].as_array().unwrap().iter();
    let after = events.skip_while(|event| event["what"] != "handshake_finished");
    after.skip(1).map(name).collect()
}

fn name(event: &Value) -> String {
    let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
    let count = match event["count"].as_u64().unwrap() {
        1 => String::new(),
        count => format!("{count} "),
    };
    let what = match event["what"].as_str().unwrap() {
        "handshake" | "alert" => text("detail"),
        what => what.to_owned(),
    };
    format!("{}: {count}{what}", text("from"))
}

async fn timeline<F>(
    config: tokio_rustls::rustls::ServerConfig,
    serve: fn(Tls) -> F,
    args: &[&str],
) -> Value
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let address = server(config, serve).await;
    report(&[args, &[&address], &PATIENT].concat()).await
}

#[tokio::test]
async fn a_clean_close_is_told_in_order() {
    let report = timeline(with_tickets(TLS13), answer, &[]).await;
    let expected = [
        "server: 2 ticket",
        "client: close_notify",
        "server: close_notify",
        "server: fin",
    ];
    assert_eq!(after_the_handshake(&report), expected, "{report:#}");

    let report = timeline(with_tickets(TLS12), answer, &[]).await;
    let expected = [
        "client: close_notify",
        "server: close_notify",
        "server: fin",
    ];
    assert_eq!(after_the_handshake(&report), expected, "{report:#}");
}

#[tokio::test]
async fn the_handshake_of_tls_1_3_is_opened() {
    let report = timeline(with_tickets(TLS13), answer, &[]).await;
    let events = report["timeline"].as_array().unwrap().iter().map(name);
    let messages: Vec<_> = events
        .take_while(|name| !name.ends_with("handshake_finished"))
        .collect();
    for expected in [
        "client: ClientHello",
        "server: ServerHello",
        "server: EncryptedExtensions",
        "server: CertificateVerify",
        "server: Finished",
        "client: Finished",
    ] {
        let message = expected.split(' ').nth(1).unwrap();
        let side = expected.split(' ').next().unwrap();
        let found = messages
            .iter()
            .any(|name| name.starts_with(side) && name.contains(message));
        assert!(found, "{expected} in {messages:?}");
    }
}

#[tokio::test]
async fn data_after_our_close_notify_stand_behind_it() {
    async fn late(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.write_all(&[0; 40_000]).await?;
        tls.close_notify().await?;
        Ok(())
    }
    for case in [TLS12, TLS13] {
        let report = timeline(case.server_config(), late, &[]).await;
        let expected = [
            "client: close_notify",
            "server: 3 application_data",
            "server: close_notify",
            "server: fin",
        ];
        assert_eq!(after_the_handshake(&report), expected, "{report:#}");
    }
}

#[tokio::test]
async fn key_updates_are_followed() {
    async fn update(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        for _ in 0..2 {
            tls.get_mut()
                .1
                .refresh_traffic_keys()
                .map_err(io::Error::other)?;
            tls.write_all(b"x").await?;
        }
        answer(tls).await
    }
    let report = timeline(TLS13.server_config(), update, &["--send", "x"]).await;
    let events = after_the_handshake(&report);
    let server: Vec<_> = events
        .iter()
        .filter(|name| name.starts_with("server"))
        .collect();
    let expected = [
        "server: key_update",
        "server: application_data",
        "server: key_update",
        "server: application_data",
        "server: close_notify",
        "server: fin",
    ];
    assert_eq!(server, expected, "{report:#}");
    assert!(
        !events.iter().any(|name| name.contains("encrypted")),
        "{events:?}"
    );
}

#[tokio::test]
async fn an_end_without_close_notify_is_seen() {
    for case in [TLS12, TLS13] {
        let report = timeline(case.server_config(), fin, &[]).await;
        let expected = ["client: close_notify", "server: fin"];
        assert_eq!(after_the_handshake(&report), expected, "{report:#}");
    }
}

#[tokio::test]
async fn a_reset_behind_close_notify_stands_behind_it() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        reset(&tls)
    }
    let report = timeline(TLS13.server_config(), end, &[]).await;
    let expected = [
        "client: close_notify",
        "server: close_notify",
        "server: reset",
    ];
    assert_eq!(after_the_handshake(&report), expected, "{report:#}");
}

#[tokio::test]
async fn a_record_that_is_cut_off_is_shown_as_such() {
    async fn cut(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.get_mut()
            .0
            .write_all(&[23, 3, 3, 0, 100, 1, 2, 3])
            .await
    }
    let report = timeline(TLS13.server_config(), cut, &[]).await;
    let events = after_the_handshake(&report);
    let expected = [
        "client: close_notify",
        "server: partial_record",
        "server: fin",
    ];
    assert_eq!(events, expected, "{report:#}");
    assert_eq!(
        report["timeline"]
            .as_array()
            .unwrap()
            .iter()
            .rev()
            .nth(1)
            .unwrap()["detail"],
        "8 of 105 bytes"
    );
}

#[tokio::test]
async fn plaintext_behind_the_close_is_shown() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        tls.get_mut().0.write_all(b"220 clear\r\n").await
    }
    let report = timeline(TLS13.server_config(), end, &[]).await;
    let expected = [
        "client: close_notify",
        "server: close_notify",
        "server: plaintext",
        "server: fin",
    ];
    assert_eq!(after_the_handshake(&report), expected, "{report:#}");
}
