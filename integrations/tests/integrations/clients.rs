//! Clients that do not behave, and a handler that crashes: the server goes on.

use std::{io::ErrorKind, time::Duration};

use axum::{Router, routing::get};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsConnector, rustls};
use tokio_tls_shutdown::{is_missing_close_notify, tokio_rustls};

use crate::{
    servers::{LAYERS, Server, VERSIONS},
    support::{in_time, pair},
};

fn app() -> Router {
    Router::new()
        .route("/", get(async || "hello and goodbye"))
        .route(
            "/crash",
            get(async || -> &str { panic!("a crash on purpose") }),
        )
}

/// Sends a request and reads to the end of the connection.
async fn get_path(server: &Server, path: &str) -> (String, std::io::Result<()>) {
    let mut tls = server.connect("http/1.1").await;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    tls.write_all(request.as_bytes()).await.unwrap();
    let mut response = Vec::new();
    let end = in_time("the response", tls.read_to_end(&mut response)).await;
    (String::from_utf8(response).unwrap(), end.map(drop))
}

async fn check_it_goes_on(server: &Server) {
    let (response, end) = get_path(server, "/").await;
    assert!(response.starts_with("HTTP/1.1 200 OK"), "{response}");
    assert!(response.ends_with("hello and goodbye"), "{response}");
    assert!(end.is_ok(), "close_notify: {end:?}");
}

/// A client that trusts nobody.
fn distrustful() -> TlsConnector {
    let config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    TlsConnector::from(std::sync::Arc::new(config))
}

#[tokio::test]
async fn a_server_goes_on_whatever_its_clients_and_handlers_do() {
    for layer in LAYERS {
        for version in VERSIONS {
            let server = Server::start(layer, version, app()).await;

            let silent = server.connect("http/1.1").await;
            let mut shaking_hands = server.tcp().await;
            shaking_hands.write_all(b"\x16\x03\x01").await.unwrap();
            check_it_goes_on(&server).await;

            let mut no_tls = server.tcp().await;
            no_tls.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut alert = Vec::new();
            // Whether the alert outlives the close of the socket is not the point here.
            let _ = in_time("its end", no_tls.read_to_end(&mut alert)).await;
            assert!(alert.is_empty() || alert[0] == 21, "{alert:?}");
            check_it_goes_on(&server).await;

            let refused = distrustful().connect(pair::name(), server.tcp().await);
            let refused = in_time("the refusal", refused).await.unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::InvalidData, "{refused}");
            check_it_goes_on(&server).await;

            let (response, end) = get_path(&server, "/crash").await;
            assert_eq!(response, "");
            assert!(is_missing_close_notify(&end.unwrap_err()));
            check_it_goes_on(&server).await;

            // These two are still there, and nothing else is.
            let tracker = server.tracker.clone();
            let report = server.drain(Duration::ZERO).await;
            assert_eq!(report.still_open, 0, "{layer:?} {report}");
            let stats = tracker.stats();
            assert_eq!(
                stats.failed, 2,
                "plain HTTP and the refusal: {layer:?} {stats}"
            );
            assert_eq!(stats.total(), 9, "{layer:?} {stats}");
            drop((silent, shaking_hands));
        }
    }
}
