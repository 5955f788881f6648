//! A client with early data: its protocol is that of the connection.

use std::{io::Read, sync::Arc, time::Duration};

use hyper::Uri;
use hyper_util::{
    client::legacy::{Client, connect::Connection},
    rt::TokioExecutor,
};
use tokio::{net::TcpListener, sync::mpsc};
use tokio_rustls::{TlsAcceptor, rustls};
use tokio_tls_shutdown::{
    GracefulConnector, ShutdownExt, integrations::hyper::HttpsConnector,
    resumption::ClientSessions, tokio_rustls,
};
use tower_service::Service;

use crate::support::{Case, Role, Version, in_time};

/// While a client sends early data, ALPN is not known yet, and hyper would take HTTP/1.1.
#[tokio::test]
async fn g25_a_connection_that_resumes_is_http2_if_its_session_was() {
    let protocols = [b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut server = Case::new(Version::Tls13, Role::Server).server_config();
    server.max_early_data_size = 100_000;
    server.send_tls13_tickets = 2;
    server.alpn_protocols = protocols.to_vec();
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let mut client = Case::new(Version::Tls13, Role::Client).client_config();
    client.enable_early_data = true;
    client.alpn_protocols = protocols.to_vec();
    let tls = GracefulConnector::new(Arc::new(client))
        .with_sessions(ClientSessions::in_memory(8))
        .with_early_data(true);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (seen, mut see) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let mut tls = acceptor.accept(tcp).await.unwrap();
            let mut early = Vec::new();
            if let Some(mut data) = tls.get_mut().1.early_data() {
                data.read_to_end(&mut early).unwrap();
            }
            let session = tls.get_ref().1;
            let alpn = session.alpn_protocol().map(<[u8]>::to_vec);
            let resumed = session.handshake_kind() == Some(rustls::HandshakeKind::Resumed);
            seen.send((alpn, resumed, early)).unwrap();
            let _ = tls.shutdown_bidirectional().await;
        }
    });
    let mut connector = HttpsConnector::new(tls);
    let uri: Uri = format!("https://localhost:{port}/").parse().unwrap();
    for resumes in [false, true] {
        let mut connected = connector.call(uri.clone()).await.unwrap();
        assert!(connected.connected().is_negotiated_h2(), "{resumes}");
        let tls = connected.inner_mut();
        let closed = in_time("the close", tls.shutdown_bidirectional()).await;
        assert!(closed.unwrap().is_clean());
        let (alpn, resumed, early) = in_time("the server", see.recv()).await.unwrap();
        assert_eq!(alpn.as_deref(), Some(&b"h2"[..]), "{resumes}");
        assert_eq!((resumed, early), (resumes, Vec::new()));
    }
    // hyper-util's client agrees. The server only closes: the request fails, or is sent again.
    let http: Client<_, String> = Client::builder(TokioExecutor::new()).build(connector);
    let request = tokio::spawn(tokio::time::timeout(Duration::from_secs(5), http.get(uri)));
    let (alpn, resumed, early) = in_time("the server", see.recv()).await.unwrap();
    request.abort();
    assert_eq!(alpn.as_deref(), Some(&b"h2"[..]));
    assert!(resumed);
    assert!(
        early.is_empty() || early.starts_with(b"PRI * HTTP/2.0"),
        "HTTP/1.1 on a connection whose protocol is HTTP/2"
    );
}
