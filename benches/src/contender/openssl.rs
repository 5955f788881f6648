//! tokio-openssl, closed by itself and by us. Its `shutdown()` is `SSL_shutdown(3)` called once, and
//! FIN; called again it waits for the peer's close_notify.

use std::pin::Pin;

use openssl::{
    pkey::PKey,
    ssl::{Ssl, SslContext, SslContextBuilder, SslMethod, SslVerifyMode, SslVersion},
    x509::X509,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio_openssl::SslStream;
use tokio_tls_shutdown::{Gate, ShutdownExt};

use super::Contender;
use crate::tls::{NAME, pem};

pub struct OpenSsl {
    client: SslContext,
    server: SslContext,
}

/// The same over a `Gate`, closed by us.
#[derive(Default)]
pub struct GracefulOpenSsl(OpenSsl);

fn context(method: SslMethod) -> SslContextBuilder {
    let mut context = SslContext::builder(method).expect("a context");
    let version = Some(SslVersion::TLS1_3);
    context.set_min_proto_version(version).expect("TLS 1.3");
    let suites = "TLS_AES_128_GCM_SHA256";
    context.set_ciphersuites(suites).expect("a suite");
    context
}

impl Default for OpenSsl {
    fn default() -> Self {
        let (certificate, key) = pem();
        let certificate = X509::from_pem(certificate.as_bytes()).expect("a certificate");
        let key = PKey::private_key_from_pem(key.as_bytes()).expect("a key");

        let mut server = context(SslMethod::tls_server());
        server.set_certificate(&certificate).expect("a certificate");
        server.set_private_key(&key).expect("a key that fits");
        server.set_num_tickets(0).expect("a number");

        let mut client = context(SslMethod::tls_client());
        client.set_verify(SslVerifyMode::PEER);
        let roots = client.cert_store_mut();
        roots.add_cert(certificate).expect("a certificate");

        Self {
            client: client.build(),
            server: server.build(),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Contender<IO> for OpenSsl {
    const NAME: &'static str = "tokio-openssl";

    type Stream = SslStream<IO>;

    async fn connect(&self, io: IO) -> Self::Stream {
        let mut ssl = Ssl::new(&self.client).expect("a session");
        ssl.set_hostname(NAME).expect("a name");
        ssl.param_mut().set_host(NAME).expect("a name");
        let mut tls = SslStream::new(ssl, io).expect("a stream");
        Pin::new(&mut tls).connect().await.expect("a handshake");
        tls
    }

    async fn accept(&self, io: IO) -> Self::Stream {
        let ssl = Ssl::new(&self.server).expect("a session");
        let mut tls = SslStream::new(ssl, io).expect("a stream");
        Pin::new(&mut tls).accept().await.expect("a handshake");
        tls
    }

    async fn close_notify(tls: &mut Self::Stream) {
        tls.shutdown().await.expect("a shutdown");
    }

    async fn shutdown_bidirectional(tls: &mut Self::Stream) {
        tls.shutdown().await.expect("a shutdown");
        // FIN cannot be sent twice once the peer's has come too.
        match tls.shutdown().await {
            Err(e) if e.kind() != std::io::ErrorKind::NotConnected => panic!("{e}"),
            _ => {}
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Contender<IO> for GracefulOpenSsl {
    const NAME: &'static str = "tokio-tls-shutdown on tokio-openssl";

    type Stream = SslStream<Gate<IO>>;

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
