//! Servers in this process.

use std::{future::pending, io, sync::Arc, time::Duration};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{RootCertStore, ServerConfig, server::WebPkiClientVerifier},
    server::TlsStream,
};
use tokio_tls_shutdown::{GracefulStream, ShutdownExt};

use crate::pair::{Case, Role, Version, identity};

pub(crate) const TLS12: Case = Case::new(Version::Tls12, Role::Client);
pub(crate) const TLS13: Case = Case::new(Version::Tls13, Role::Client);

pub(crate) type Tls = TlsStream<TcpStream>;

/// Listens, does the same on each connection, and returns the address.
pub(crate) async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tcp.set_nodelay(true).unwrap();
            tokio::spawn(serve(tcp));
        }
    });
    format!("localhost:{port}")
}

/// A TLS server that does the same on each connection.
pub(crate) async fn server<F>(
    config: ServerConfig,
    serve: impl Fn(Tls) -> F + Send + Sync + Copy + 'static,
) -> String
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    listen(move |tcp| {
        let accept = acceptor.accept(tcp);
        async move { serve(accept.await?).await }
    })
    .await
}

pub(crate) fn with_tickets(case: Case) -> ServerConfig {
    let mut config = case.server_config();
    config.send_tls13_tickets = 2;
    config
}

/// Requires a certificate of the client: the one that it has itself is accepted.
pub(crate) fn mutual(case: Case) -> ServerConfig {
    let (certificate, key) = identity();
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = case.server_config().crypto_provider().clone();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let version = match case.is_tls13() {
        true => &tokio_rustls::rustls::version::TLS13,
        false => &tokio_rustls::rustls::version::TLS12,
    };
    ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(vec![certificate.clone()], key.clone_key())
        .unwrap()
}

/// Sends an answer and `close_notify` together.
pub(crate) async fn close_notify_with(tls: Tls, answer: &[u8]) -> io::Result<Tls> {
    let mut tls = GracefulStream::new(tls);
    tls.close_notify_with(answer).await?;
    Ok(tls.into_inner())
}

pub(crate) async fn read_to_close_notify(tls: &mut Tls) -> io::Result<()> {
    tokio::io::copy(tls, &mut tokio::io::sink()).await?;
    Ok(())
}

pub(crate) fn reset(tls: &Tls) -> io::Result<()> {
    SockRef::from(tls.get_ref().0).set_linger(Some(Duration::ZERO))
}

/// Answers `close_notify` with its own.
pub(crate) async fn answer(mut tls: Tls) -> io::Result<()> {
    read_to_close_notify(&mut tls).await?;
    tls.close_notify().await?;
    Ok(())
}

/// Answers `close_notify` with FIN alone.
pub(crate) async fn fin(mut tls: Tls) -> io::Result<()> {
    read_to_close_notify(&mut tls).await
}

/// Answers `close_notify` with a reset.
pub(crate) async fn rst(mut tls: Tls) -> io::Result<()> {
    read_to_close_notify(&mut tls).await?;
    reset(&tls)
}

/// Answers `close_notify` with nothing.
pub(crate) async fn silence(mut tls: Tls) -> io::Result<()> {
    read_to_close_notify(&mut tls).await?;
    pending().await
}

pub(crate) async fn plain_http(mut tcp: TcpStream) -> io::Result<()> {
    tcp.read_u8().await?;
    tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
        .await?;
    tcp.shutdown().await?;
    tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await?;
    Ok(())
}

/// An address at which nothing listens.
pub(crate) async fn dead_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().to_string()
}
