//! The end of an HTTP/2 connection, frame by frame.

use std::time::Duration;

use axum::{Router, routing::get};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::watch,
};
use tokio_rustls::client::TlsStream;
use tokio_tls_shutdown::tokio_rustls;

use crate::{
    servers::{LAYERS, Server, VERSIONS},
    support::in_time,
};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

// RFC 9113 section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const END_STREAM_AND_HEADERS: u8 = 1 | 4;
const ACK: u8 = 1;

/// `GET https://localhost/`: three fields and a name of HPACK's static table.
const REQUEST: &[u8] = b"\x82\x87\x84\x41\x09localhost";

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let len = u8::try_from(payload.len()).unwrap();
    [&[0, 0, len, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Reads a frame and acknowledges it if it is a PING. Returns its kind and payload, or `None` at
/// close_notify.
async fn read_frame(tls: &mut TlsStream<TcpStream>) -> Option<(u8, Vec<u8>)> {
    let mut header = [0; 9];
    if in_time("a frame", tls.read(&mut header[..1]))
        .await
        .unwrap()
        == 0
    {
        return None;
    }
    tls.read_exact(&mut header[1..]).await.unwrap();
    let [hi, mid, lo, kind, flags, ..] = header;
    let mut payload = vec![0; u32::from_be_bytes([0, hi, mid, lo]).try_into().unwrap()];
    tls.read_exact(&mut payload).await.unwrap();
    if kind == PING && flags & ACK == 0 {
        tls.write_all(&frame(PING, ACK, 0, &payload)).await.unwrap();
    }
    Some((kind, payload))
}

#[tokio::test]
async fn f06_the_last_frames_and_goaway_come_before_close_notify() {
    for layer in LAYERS {
        for version in VERSIONS {
            let (release, mut released) = watch::channel(false);
            let answer = get(async move || {
                released.wait_for(|released| *released).await.unwrap();
                "the answer"
            });
            let server = Server::start(layer, version, Router::new().route("/", answer)).await;
            let mut tls = server.connect("h2").await;
            let request = frame(HEADERS, END_STREAM_AND_HEADERS, 1, REQUEST);
            let hello = [PREFACE, &frame(SETTINGS, 0, 0, b""), &request].concat();
            tls.write_all(&hello).await.unwrap();
            // So that the request is there when the server stops.
            tls.write_all(&frame(PING, 0, 0, b"are you?"))
                .await
                .unwrap();
            while read_frame(&mut tls).await != Some((PING, b"are you?".to_vec())) {}

            server.stop();
            while read_frame(&mut tls).await.unwrap().0 != GOAWAY {}
            release.send_replace(true);
            let mut last = Vec::new();
            while let Some((kind, payload)) = read_frame(&mut tls).await {
                if kind == DATA {
                    assert_eq!(payload, b"the answer");
                }
                last.push(kind);
            }
            last.retain(|&kind| matches!(kind, HEADERS | DATA | GOAWAY));
            last.dedup();
            assert!(
                last.ends_with(&[DATA, GOAWAY]),
                "{layer:?} {version:?} {last:?}"
            );
            assert!(last.contains(&HEADERS), "{layer:?} {version:?} {last:?}");
            tls.shutdown().await.unwrap();
            let report = server.drain(Duration::from_secs(20)).await;
            assert_eq!(report.closed.clean, 1, "{layer:?} {version:?} {report}");
        }
    }
}
