//! tonic on tls-listener.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, crypto::ring, server::WebPkiClientVerifier,
};
use tls_listener::TlsListener;
use tokio::{net::TcpListener, sync::oneshot};
use tokio_rustls::rustls;
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor, GracefulConnector, integrations::hyper::HttpsConnector,
    tokio_rustls,
};
use tonic::{Request, service::interceptor::InterceptedService, transport};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

use crate::support::{in_time, pair};

/// Both sides show the same certificate.
fn configs() -> (ClientConfig, ServerConfig) {
    let (certificate, key) = pair::identity();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let roots = Arc::new(roots);
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.clone(), provider.clone())
        .build()
        .unwrap();
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(vec![certificate.clone()], key.clone_key())
        .unwrap();
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![certificate.clone()], key.clone_key())
        .unwrap();
    client.alpn_protocols = vec![b"h2".to_vec()];
    server.alpn_protocols = vec![b"h2".to_vec()];
    (client, server)
}

#[tokio::test]
async fn a_call_knows_its_client_and_a_drain_cuts_it() {
    let (client, server) = configs();
    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(Arc::new(server)).with_tracker(&tracker);
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = tcp.local_addr().unwrap();

    let seen = Arc::new(Mutex::new(None));
    let see = seen.clone();
    let (reporter, health) = tonic_health::server::health_reporter();
    let health = InterceptedService::new(health, move |request: Request<()>| {
        let certs = request.peer_certs().map_or(0, |certs| certs.len());
        *see.lock().unwrap() = Some((request.remote_addr(), certs));
        Ok(request)
    });
    let (stop, stopped) = oneshot::channel::<()>();
    let incoming = TlsListener::new(acceptor, tcp).connections();
    let served = tokio::spawn(
        transport::Server::builder()
            .add_service(health)
            .serve_with_incoming_shutdown(incoming, async { stopped.await.unwrap() }),
    );

    let connector = HttpsConnector::new(GracefulConnector::new(Arc::new(client)));
    let http = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(connector);
    let origin = format!("https://localhost:{}", address.port());
    let mut client = HealthClient::with_origin(http, origin.parse().unwrap());
    let watch = client.watch(HealthCheckRequest::default());
    let mut watch = in_time("the call", watch).await.unwrap().into_inner();
    let first = in_time("the first message", watch.message()).await.unwrap();
    assert_eq!(first.unwrap().status(), ServingStatus::Serving);
    let (remote, certs) = seen.lock().unwrap().unwrap();
    assert!(
        remote.is_some_and(|remote| remote.ip() == address.ip()),
        "{remote:?}"
    );
    assert_eq!(certs, 1);

    stop.send(()).unwrap();
    // The call goes on while the server stops.
    reporter
        .set_service_status("", tonic_health::ServingStatus::NotServing)
        .await;
    let second = in_time("the second message", watch.message())
        .await
        .unwrap();
    assert_eq!(second.unwrap().status(), ServingStatus::NotServing);

    let report = tracker.drain(Duration::ZERO).await;
    assert_eq!((report.open_before, report.aborted), (1, 1), "{report}");
    assert_eq!(
        (report.closed.aborted, report.still_open),
        (1, 0),
        "{report}"
    );
    in_time("the cut", watch.message()).await.unwrap_err();
    in_time("the server", served).await.unwrap().unwrap();
}
