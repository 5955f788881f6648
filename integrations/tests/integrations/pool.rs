//! The connector in hyper-util's client.

use std::{error::Error, io, sync::Arc, time::Duration};

use axum::{Router, http::Version as Http, routing::get};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use rustls::ClientConfig;
use tokio_rustls::rustls;
use tokio_tls_shutdown::{
    CloseTracker, GracefulConnector, HandshakeError, integrations::hyper::HttpsConnector,
    tokio_rustls,
};

use crate::{
    servers::{Layer, Server, VERSIONS},
    support::{Case, Role, in_time},
};

const TIME: Duration = Duration::from_secs(20);

fn client(config: ClientConfig, tracker: &CloseTracker) -> Client<HttpsConnector, Empty<Bytes>> {
    let tls = GracefulConnector::new(Arc::new(config)).with_tracker(tracker);
    Client::builder(TokioExecutor::new()).build(HttpsConnector::new(tls))
}

#[tokio::test]
async fn the_pool_closes_its_connections_cleanly_in_both_versions_of_http() {
    for version in VERSIONS {
        for (alpn, http) in [("http/1.1", Http::HTTP_11), ("h2", Http::HTTP_2)] {
            let app = Router::new().route("/", get(async || "hello and goodbye"));
            let server = Server::start(Layer::Hyper, version, app).await;
            let mut config = Case::new(version, Role::Client).client_config();
            config.alpn_protocols = vec![alpn.into()];
            let tracker = CloseTracker::new();
            let client = client(config, &tracker);
            let uri: hyper::Uri = format!("https://localhost:{}/", server.address.port())
                .parse()
                .unwrap();
            for _ in 0..3 {
                let response = in_time("the response", client.get(uri.clone()))
                    .await
                    .unwrap();
                assert_eq!(response.version(), http);
                let body = response.into_body().collect().await.unwrap().to_bytes();
                assert_eq!(body, "hello and goodbye");
            }
            assert_eq!(tracker.len(), 1, "one connection for all three");
            drop(client);
            let report = tracker.drain(TIME).await;
            assert_eq!(
                (report.closed.clean, report.aborted),
                (1, 0),
                "{http:?} {report}"
            );
            let tracker = server.tracker.clone();
            server.drain(TIME).await;
            assert_eq!(tracker.stats().clean, 1, "{http:?} {}", tracker.stats());
        }
    }
}

/// The first error of this type in the chain of causes.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let chain = std::iter::successors(Some(error), |&error| error.source());
    { chain }.find_map(|error| error.downcast_ref())
}

#[tokio::test]
async fn what_went_wrong_is_among_the_causes() {
    let server = Server::start(Layer::Hyper, VERSIONS[1], Router::new()).await;
    let tracker = CloseTracker::new();
    let mut config = Case::new(VERSIONS[1], Role::Client).client_config();
    config.alpn_protocols = vec![b"none of these".to_vec()];
    let client = client(config, &tracker);
    let port = server.address.port();

    let uri = format!("https://localhost:{port}/").parse().unwrap();
    let error = client.get(uri).await.unwrap_err();
    let handshake = cause::<HandshakeError>(&error);
    assert!(
        matches!(handshake, Some(HandshakeError::Tls(_))),
        "{error:?}"
    );
    assert_eq!(tracker.stats().failed, 1);

    for uri in [
        format!("http://localhost:{port}/"),
        format!("https://not_a..host:{port}/"),
    ] {
        let error = client.get(uri.parse().unwrap()).await.unwrap_err();
        let invalid = cause::<io::Error>(&error).map(io::Error::kind);
        assert_eq!(invalid, Some(io::ErrorKind::InvalidInput), "{error:?}");
    }
    server.drain(TIME).await;
}

#[tokio::test]
async fn another_connector_can_be_put_below() {
    let server = Server::start(Layer::Hyper, VERSIONS[1], Router::new()).await;
    let config = Case::new(VERSIONS[1], Role::Client).client_config();
    let mut below = HttpConnector::new();
    below.enforce_http(false);
    below.set_local_address(Some("127.0.0.7".parse().unwrap()));
    let connector =
        HttpsConnector::new(GracefulConnector::new(Arc::new(config))).wrap_connector(below);
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build(connector);
    let uri = format!("https://localhost:{}/", server.address.port());
    let response = in_time("the response", client.get(uri.parse().unwrap()))
        .await
        .unwrap();
    let info: &hyper_util::client::legacy::connect::HttpInfo = response
        .extensions()
        .get()
        .expect("what the connector below tells");
    assert_eq!(info.local_addr().ip().to_string(), "127.0.0.7");
    drop((response, client));
    server.drain(TIME).await;
}
