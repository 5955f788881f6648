//! TLS configurations and pairs of streams, for each version and each role.

use std::{
    io::Write,
    sync::{Arc, OnceLock},
};

use rcgen::{CertifiedKey, KeyPair};
use rustls::{
    CipherSuiteCommon, ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite,
    SupportedProtocolVersion, Tls12CipherSuite, Tls13CipherSuite,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
};
use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, rustls};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    Tls12,
    Tls13,
}

/// The role of the stream under test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Client,
    Server,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub version: Version,
    pub role: Role,
}

/// Both versions in both roles.
pub const CASES: [Case; 4] = [
    Case::new(Version::Tls12, Role::Client),
    Case::new(Version::Tls12, Role::Server),
    Case::new(Version::Tls13, Role::Client),
    Case::new(Version::Tls13, Role::Server),
];

impl Case {
    pub const fn new(version: Version, role: Role) -> Self {
        Self { version, role }
    }

    pub fn is_tls13(self) -> bool {
        self.version == Version::Tls13
    }

    /// The close_notify record on the wire: header, nonce (TLS 1.2), alert, type (TLS 1.3), tag.
    pub fn alert_len(self) -> usize {
        match self.version {
            Version::Tls12 => 5 + 8 + 2 + 16,
            Version::Tls13 => 5 + 2 + 1 + 16,
        }
    }

    fn versions(self) -> [&'static SupportedProtocolVersion; 1] {
        match self.version {
            Version::Tls12 => [&rustls::version::TLS12],
            Version::Tls13 => [&rustls::version::TLS13],
        }
    }

    pub fn client_config(self) -> ClientConfig {
        self.client_config_with(provider())
    }

    fn client_config_with(self, provider: Arc<CryptoProvider>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(identity().0.clone()).unwrap();
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions())
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.enable_secret_extraction = true;
        config
    }

    /// Sends no TLS 1.3 tickets, so that the wire is silent after the handshake.
    pub fn server_config(self) -> ServerConfig {
        self.server_config_with(provider())
    }

    fn server_config_with(self, provider: Arc<CryptoProvider>) -> ServerConfig {
        let (certificate, key) = identity();
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&self.versions())
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.clone()], key.clone_key())
            .unwrap();
        config.enable_secret_extraction = true;
        config.send_tls13_tickets = 0;
        config
    }

    /// Configurations of a client and a server. The keys of the stream under test are good for so
    /// many records.
    pub fn short_lived(self, records: u64) -> (ClientConfig, ServerConfig) {
        let provider = Arc::new(short_lived_keys(records));
        match self.role {
            Role::Client => (self.client_config_with(provider), self.server_config()),
            Role::Server => (self.client_config(), self.server_config_with(provider)),
        }
    }

    /// Performs the handshake over two transports; the first becomes the stream under test.
    pub async fn pair<A, B>(self, ours: A, theirs: B) -> (TlsStream<A>, TlsStream<B>)
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        self.pair_with(self.client_config(), self.server_config(), ours, theirs)
            .await
    }

    pub async fn pair_with<A, B>(
        self,
        client: ClientConfig,
        server: ServerConfig,
        ours: A,
        theirs: B,
    ) -> (TlsStream<A>, TlsStream<B>)
    where
        A: AsyncRead + AsyncWrite + Unpin,
        B: AsyncRead + AsyncWrite + Unpin,
    {
        let connector = TlsConnector::from(Arc::new(client));
        let acceptor = TlsAcceptor::from(Arc::new(server));
        match self.role {
            Role::Client => {
                let (ours, theirs) =
                    tokio::join!(connector.connect(name(), ours), acceptor.accept(theirs));
                (ours.unwrap().into(), theirs.unwrap().into())
            }
            Role::Server => {
                let (ours, theirs) =
                    tokio::join!(acceptor.accept(ours), connector.connect(name(), theirs));
                (ours.unwrap().into(), theirs.unwrap().into())
            }
        }
    }

    /// A pair over `tokio::io::duplex` of this many bytes.
    pub async fn duplex(
        self,
        bytes: usize,
    ) -> (
        TlsStream<tokio::io::DuplexStream>,
        TlsStream<tokio::io::DuplexStream>,
    ) {
        let (ours, theirs) = tokio::io::duplex(65_536);
        let (mut ours, mut theirs) = self.pair(ours, theirs).await;
        // Two rustls peers can block each other in a handshake over a pipe of one byte.
        (*ours.get_mut().0, *theirs.get_mut().0) = tokio::io::duplex(bytes);
        (ours, theirs)
    }
}

/// Performs the handshake of rustls in the role of the case.
pub async fn open<IO: AsyncRead + AsyncWrite + Unpin>(case: Case, io: IO) -> TlsStream<IO> {
    match case.role {
        Role::Client => {
            let connector = TlsConnector::from(Arc::new(case.client_config()));
            connector.connect(name(), io).await.unwrap().into()
        }
        Role::Server => {
            let acceptor = TlsAcceptor::from(Arc::new(case.server_config()));
            acceptor.accept(io).await.unwrap().into()
        }
    }
}

pub fn name() -> ServerName<'static> {
    ServerName::try_from("localhost").unwrap()
}

/// One cipher suite for each version, both AES-128-GCM: what `Forge` speaks.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
            ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ],
        ..ring::default_provider()
    })
}

/// The same cipher suites, with keys that are good for so many records.
fn short_lived_keys(records: u64) -> CryptoProvider {
    let common = |of: &CipherSuiteCommon| CipherSuiteCommon {
        suite: of.suite,
        hash_provider: of.hash_provider,
        confidentiality_limit: records,
    };
    let usual = provider();
    let suites = usual.cipher_suites.iter().map(|suite| match suite {
        SupportedCipherSuite::Tls12(suite) => {
            SupportedCipherSuite::Tls12(Box::leak(Box::new(Tls12CipherSuite {
                common: common(&suite.common),
                prf_provider: suite.prf_provider,
                kx: suite.kx,
                sign: suite.sign,
                aead_alg: suite.aead_alg,
            })))
        }
        SupportedCipherSuite::Tls13(suite) => {
            SupportedCipherSuite::Tls13(Box::leak(Box::new(Tls13CipherSuite {
                common: common(&suite.common),
                hkdf_provider: suite.hkdf_provider,
                aead_alg: suite.aead_alg,
                quic: suite.quic,
            })))
        }
    });
    CryptoProvider {
        cipher_suites: suites.collect(),
        ..ring::default_provider()
    }
}

fn made() -> &'static CertifiedKey<KeyPair> {
    static MADE: OnceLock<CertifiedKey<KeyPair>> = OnceLock::new();
    MADE.get_or_init(|| rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap())
}

/// A self-signed certificate for `localhost`, made once.
pub fn identity() -> &'static (CertificateDer<'static>, PrivateKeyDer<'static>) {
    static IDENTITY: OnceLock<(CertificateDer<'static>, PrivateKeyDer<'static>)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let key = PrivatePkcs8KeyDer::from(made().signing_key.serialize_der());
        (made().cert.der().clone(), key.into())
    })
}

/// The same certificate and its key as PEM, for other libraries.
pub fn pem() -> (String, String) {
    (made().cert.pem(), made().signing_key.serialize_pem())
}

/// The same certificate and its key as PEM files, for other programs.
pub struct PemFiles {
    pub certificate: NamedTempFile,
    pub key: NamedTempFile,
}

impl PemFiles {
    pub fn write() -> Self {
        Self {
            certificate: file_with(&made().cert.pem()),
            key: file_with(&made().signing_key.serialize_pem()),
        }
    }
}

fn file_with(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}
