//! rustls 0.24 as it stands, closed by us.

use std::sync::Arc;

use rustls_next::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CipherSuite, CryptoProvider, Identity},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    server::Tls13Tickets,
};
use rustls_ring::{DEFAULT_TLS12_PROVIDER, DEFAULT_TLS13_PROVIDER};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tls_shutdown_next::{ShutdownExt, TlsStream};

use super::Contender;
use crate::tls::{NAME, Version, pem};

pub struct RustlsNext {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

fn provider(version: Version) -> Arc<CryptoProvider> {
    let mut provider = match version {
        Version::Tls12 => DEFAULT_TLS12_PROVIDER,
        Version::Tls13 => DEFAULT_TLS13_PROVIDER,
    };
    let suites = provider.tls12_cipher_suites.to_mut();
    let chosen = CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    suites.retain(|suite| suite.common.suite == chosen);
    let suites = provider.tls13_cipher_suites.to_mut();
    suites.retain(|suite| suite.common.suite == CipherSuite::TLS13_AES_128_GCM_SHA256);
    Arc::new(provider)
}

impl RustlsNext {
    pub fn new(version: Version) -> Self {
        let (certificate, key) = pem();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes());
        let certificate = certificate.expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");

        let mut roots = RootCertStore::empty();
        roots.add(certificate.clone()).expect("a certificate");
        let client = ClientConfig::builder(provider(version))
            .with_root_certificates(roots)
            .with_no_client_auth()
            .expect("a suite");

        let identity = Identity::from_cert_chain(vec![certificate]).expect("a certificate");
        let mut server = ServerConfig::builder(provider(version))
            .with_no_client_auth()
            .with_single_cert(Arc::new(identity), key)
            .expect("a key that fits");
        server.send_tls13_tickets = Tls13Tickets { default: 0, max: 0 };

        Self {
            client: Arc::new(client),
            server: Arc::new(server),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Contender<IO> for RustlsNext {
    const NAME: &'static str = "tokio-tls-shutdown on rustls 0.24";

    type Stream = TlsStream<IO>;

    async fn connect(&self, io: IO) -> Self::Stream {
        let name = ServerName::try_from(NAME).expect("a DNS name");
        let tls = TlsStream::connect(Arc::clone(&self.client), name, io).await;
        tls.expect("a handshake")
    }

    async fn accept(&self, io: IO) -> Self::Stream {
        let tls = TlsStream::accept(Arc::clone(&self.server), io).await;
        tls.expect("a handshake")
    }

    async fn close_notify(tls: &mut Self::Stream) {
        tls.close_notify().await.expect("a close");
    }

    async fn shutdown_bidirectional(tls: &mut Self::Stream) {
        let closed = tls.shutdown_bidirectional().await.expect("a close");
        assert!(closed.is_clean());
    }
}
