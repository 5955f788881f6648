//! Servers that send without end: the probe stops at its limits, and so does its memory.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use serde_json::json;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_tls_shutdown::ShutdownExt;

use crate::{
    run::{PATIENT, assert_fields, report},
    servers::{TLS12, TLS13, Tls, listen, read_to_close_notify, with_tickets},
};

const MIB: u64 = 1024 * 1024;

/// What the kernel's buffers may hold beside what the probe has read.
const BUFFERS: u64 = 24 * MIB;

/// A TLS server that counts what it sends on its first connection.
async fn counting<F>(
    case: crate::pair::Case,
    serve: fn(Tls, Arc<AtomicU64>) -> F,
) -> (String, Arc<AtomicU64>)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let sent = Arc::new(AtomicU64::new(0));
    let acceptor = TlsAcceptor::from(Arc::new(with_tickets(case)));
    let counter = sent.clone();
    let connections = AtomicU64::new(0);
    let address = listen(move |tcp| {
        let first = connections.fetch_add(1, Ordering::Relaxed) == 0;
        let counter = match first {
            true => counter.clone(),
            false => Arc::default(),
        };
        let accept = acceptor.accept(tcp);
        async move { serve(accept.await?, counter).await }
    });
    (address.await, sent)
}

async fn send_without_end(to: &mut (impl AsyncWrite + Unpin), sent: &AtomicU64) -> io::Result<()> {
    loop {
        let bytes = to.write(&[b'x'; 65_536]).await?;
        sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn g36_a_flood_after_our_close_notify_is_read_to_the_limit_and_no_further() {
    for case in [TLS12, TLS13] {
        let (address, sent) = counting(case, |mut tls, sent| async move {
            read_to_close_notify(&mut tls).await?;
            send_without_end(&mut tls, &sent).await
        })
        .await;
        let report = report(&[&[address.as_str()], &PATIENT[..]].concat()).await;
        let expected = json!({
            "status": "unclean",
            "close/answer": "discard_limit",
            "close/transport": "sending",
            "close/transport_bytes": 0,
        });
        assert_fields(&report, &expected);
        let discarded = report["close"]["discarded_bytes"].as_u64().unwrap();
        assert!((16 * MIB..17 * MIB).contains(&discarded), "{discarded}");
        let sent = sent.load(Ordering::Relaxed);
        assert!(sent < discarded + BUFFERS, "{sent} bytes were sent");
    }
}

#[tokio::test]
async fn g36_a_flood_before_the_close_is_not_read_without_end() {
    let (address, sent) = counting(TLS13, |mut tls, sent| async move {
        send_without_end(&mut tls, &sent).await
    })
    .await;
    let report = report(&[&[address.as_str()], &PATIENT[..]].concat()).await;
    assert_fields(&report, &json!({ "close/answer": "discard_limit" }));
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < 2 * 17 * MIB + BUFFERS, "{sent} bytes were sent");
}

#[tokio::test]
async fn g36_a_flood_behind_the_tls_close_is_not_read_without_end() {
    let (address, sent) = counting(TLS13, |mut tls, sent| async move {
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        send_without_end(tls.get_mut().0, &sent).await
    })
    .await;
    let report = report(&[&[address.as_str()], &PATIENT[..]].concat()).await;
    let expected = json!({ "close/answer": "close_notify", "close/transport": "sending" });
    assert_fields(&report, &expected);
    let read = report["close"]["transport_bytes"].as_u64().unwrap();
    assert!((MIB..2 * MIB).contains(&read), "{read}");
    let sent = sent.load(Ordering::Relaxed);
    assert!(sent < read + BUFFERS, "{sent} bytes were sent");
}

#[tokio::test]
async fn the_timeline_is_bounded_and_has_its_end() {
    // Data and plaintext by turns would each be an event.
    let (address, _) = counting(TLS13, |mut tls, _| async move {
        for _ in 0..300 {
            tls.write_all(b"x").await?;
            tls.flush().await?;
            tls.get_mut()
                .1
                .refresh_traffic_keys()
                .map_err(io::Error::other)?;
            tls.flush().await?;
        }
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        Ok(())
    })
    .await;
    let report = report(&[&[address.as_str()], &PATIENT[..]].concat()).await;
    let timeline = report["timeline"].as_array().unwrap();
    assert!(timeline.len() <= 210, "{}", timeline.len());
    assert!(report["timeline_omitted"].as_u64() > Some(0));
    assert_eq!(timeline.last().unwrap()["what"], "fin");
}
