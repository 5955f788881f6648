//! The same certificate, version and cipher suite for every implementation.

use std::sync::{Arc, LazyLock};

use rcgen::{CertifiedKey, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{PrivatePkcs8KeyDer, ServerName},
};
use tokio_tls_shutdown::tokio_rustls::rustls;

pub const NAME: &str = "localhost";

static IDENTITY: LazyLock<CertifiedKey<KeyPair>> = LazyLock::new(|| {
    rcgen::generate_simple_self_signed([NAME.to_owned()]).expect("a certificate can be made")
});

/// The certificate and its key.
pub fn pem() -> (String, String) {
    (IDENTITY.cert.pem(), IDENTITY.signing_key.serialize_pem())
}

pub fn server_name() -> ServerName<'static> {
    ServerName::try_from(NAME).expect("a DNS name")
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
            ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ],
        ..ring::default_provider()
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

impl Version {
    pub const BOTH: [Self; 2] = [Self::Tls13, Self::Tls12];

    fn rustls(self) -> [&'static SupportedProtocolVersion; 1] {
        match self {
            Self::Tls12 => [&rustls::version::TLS12],
            Self::Tls13 => [&rustls::version::TLS13],
        }
    }

    pub fn client_config(self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(IDENTITY.cert.der().clone())
            .expect("a certificate that rustls reads");
        ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.rustls())
            .expect("a suite for each version")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }

    /// Sends no TLS 1.3 tickets, so that the wire is silent after the handshake.
    pub fn server_config(self) -> ServerConfig {
        let key = PrivatePkcs8KeyDer::from(IDENTITY.signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&self.rustls())
            .expect("a suite for each version")
            .with_no_client_auth()
            .with_single_cert(vec![IDENTITY.cert.der().clone()], key.into())
            .expect("a key that fits");
        config.send_tls13_tickets = 0;
        config
    }
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tls12 => "TLS 1.2",
            Self::Tls13 => "TLS 1.3",
        })
    }
}
