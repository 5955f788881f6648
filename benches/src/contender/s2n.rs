//! s2n-tls-tokio, closed by itself and by us. Its `shutdown()` sends close_notify and FIN; reading to the end then waits for
//! the peer's.

use s2n_tls::{config::Config, security::DEFAULT_TLS13};
use s2n_tls_tokio::{TlsAcceptor, TlsConnector, TlsStream};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tls_shutdown::{Gate, ShutdownExt};

use super::Contender;
use crate::tls::{NAME, pem};

pub struct S2n {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

/// The same over a `Gate`, closed by us.
#[derive(Default)]
pub struct GracefulS2n(S2n);

impl Default for S2n {
    fn default() -> Self {
        let (certificate, key) = pem();
        let mut server = Config::builder();
        server
            .set_security_policy(&DEFAULT_TLS13)
            .expect("a policy");
        server
            .load_pem(certificate.as_bytes(), key.as_bytes())
            .expect("a certificate and its key");

        let mut client = Config::builder();
        client
            .set_security_policy(&DEFAULT_TLS13)
            .expect("a policy");
        client.with_system_certs(false).expect("no system roots");
        client
            .trust_pem(certificate.as_bytes())
            .expect("a certificate");

        Self {
            connector: TlsConnector::new(client.build().expect("a configuration")),
            acceptor: TlsAcceptor::new(server.build().expect("a configuration")),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Contender<IO> for S2n {
    const NAME: &'static str = "s2n-tls-tokio";

    type Stream = TlsStream<IO>;

    async fn connect(&self, io: IO) -> Self::Stream {
        let tls = self.connector.connect(NAME, io).await.expect("a handshake");
        let suite = tls.as_ref().cipher_suite().expect("a suite");
        assert_eq!(suite, "TLS_AES_128_GCM_SHA256");
        tls
    }

    async fn accept(&self, io: IO) -> Self::Stream {
        self.acceptor.accept(io).await.expect("a handshake")
    }

    async fn close_notify(tls: &mut Self::Stream) {
        tls.shutdown().await.expect("a shutdown");
    }

    async fn shutdown_bidirectional(tls: &mut Self::Stream) {
        tls.shutdown().await.expect("a shutdown");
        tls.read_to_end(&mut Vec::new()).await.expect("a read");
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Contender<IO> for GracefulS2n {
    const NAME: &'static str = "tokio-tls-shutdown on s2n-tls-tokio";

    type Stream = TlsStream<Gate<IO>>;

    async fn connect(&self, io: IO) -> Self::Stream {
        self.0.connect(Gate::new(io)).await
    }

    async fn accept(&self, io: IO) -> Self::Stream {
        self.0.accept(Gate::new(io)).await
    }

    async fn close_notify(tls: &mut Self::Stream) {
        tls.close_notify().await.expect("a close");
    }

    async fn shutdown_bidirectional(tls: &mut Self::Stream) {
        let closed = tls.shutdown_bidirectional().await.expect("a close");
        assert!(closed.is_clean());
    }
}
