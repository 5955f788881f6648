//! Handshakes that cost next to nothing, so that each run can have one of its own.
//!
//! Neither key exchange nor signature protects anything here, and no byte is random. So the peer's
//! side of a handshake is the same every time: it is recorded once for each case and played back.

use std::{
    mem,
    sync::{Arc, LazyLock, Mutex},
};

use rustls::{
    ClientConfig, ClientConnection, Connection, DigitallySignedStruct, Error, KeyLog, NamedGroup,
    ServerConfig, ServerConnection, SignatureAlgorithm, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{
        ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
        SupportedKxGroup, ring,
    },
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{ClientHello, NoServerSessionStorage, ResolvesServerCert},
    sign::{CertifiedKey, Signer, SigningKey},
    version::{TLS12, TLS13},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, rustls};
use tokio_test::task::spawn;

use super::keys::Keys;
use crate::support::{CASES, Case, Role, Version, pair::name};

/// Always the same bytes.
#[derive(Debug)]
struct Fixed;

impl SecureRandom for Fixed {
    fn fill(&self, buf: &mut [u8]) -> Result<(), GetRandomFailed> {
        buf.fill(0x5a);
        Ok(())
    }
}

/// A key exchange whose result is known to everyone.
#[derive(Debug)]
struct NoKx;

impl SupportedKxGroup for NoKx {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Self))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for NoKx {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, Error> {
        Ok(vec![7; 32].into())
    }

    fn pub_key(&self) -> &[u8] {
        &[1; 32]
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

/// A signature that does not depend on what is signed, and whoever takes it for good.
#[derive(Debug)]
struct NoSignature;

impl SigningKey for NoSignature {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for NoSignature {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![1; 8])
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

impl ServerCertVerifier for NoSignature {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SCHEME]
    }
}

#[derive(Debug)]
struct NoCertificate(Arc<CertifiedKey>);

impl ResolvesServerCert for NoCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

/// Keeps the application traffic secrets of TLS 1.3, from which those after a KeyUpdate follow.
#[derive(Debug, Default)]
struct Secrets(Mutex<[Vec<u8>; 2]>);

impl KeyLog for Secrets {
    fn log(&self, label: &str, _: &[u8], secret: &[u8]) {
        let side = match label {
            "CLIENT_TRAFFIC_SECRET_0" => 0,
            "SERVER_TRAFFIC_SECRET_0" => 1,
            _ => return,
        };
        self.0.lock().unwrap()[side] = secret.to_vec();
    }
}

fn configs(case: Case) -> (ClientConfig, ServerConfig) {
    let provider = Arc::new(CryptoProvider {
        cipher_suites: vec![
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
            ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![&NoKx],
        secure_random: &Fixed,
        ..ring::default_provider()
    });
    let versions = match case.version {
        Version::Tls12 => [&TLS12],
        Version::Tls13 => [&TLS13],
    };
    let mut client = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(NoSignature))
        .with_no_client_auth();
    // A handshake that resumed would not be the one that was recorded.
    client.resumption = Resumption::disabled();
    client.enable_secret_extraction = true;
    let certified = CertifiedKey::new(vec![vec![0; 32].into()], Arc::new(NoSignature));
    let mut server = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(NoCertificate(Arc::new(certified))));
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.enable_secret_extraction = true;
    server.send_tls13_tickets = 0;
    (client, server)
}

/// One side of a handshake, and the keys that come of it.
pub struct Recorded {
    client: TlsConnector,
    server: TlsAcceptor,
    /// All that the peer sends during the handshake.
    pub peer_says: Vec<u8>,
    /// What the peer sends with.
    pub tx: Keys,
    /// What it reads us with.
    pub rx: Keys,
}

impl Recorded {
    pub fn of(case: Case) -> &'static Self {
        static RECORDED: LazyLock<[Recorded; 4]> = LazyLock::new(|| CASES.map(Recorded::new));
        let i = CASES.iter().position(|&c| c == case).unwrap();
        &RECORDED[i]
    }

    fn new(case: Case) -> Self {
        let (mut client, mut server) = configs(case);
        let secrets = Arc::new(Secrets::default());
        let is_client = case.role == Role::Client;
        // The peer's side tells.
        match is_client {
            true => server.key_log = secrets.clone(),
            false => client.key_log = secrets.clone(),
        }
        let (client, server) = (Arc::new(client), Arc::new(server));
        let mut sides: [Connection; 2] = [
            ClientConnection::new(client.clone(), name())
                .unwrap()
                .into(),
            ServerConnection::new(server.clone()).unwrap().into(),
        ];
        let mut said = [Vec::new(), Vec::new()];
        while sides.iter().any(|side| side.is_handshaking()) {
            for me in [0, 1] {
                let mut flight = Vec::new();
                while sides[me].wants_write() {
                    sides[me].write_tls(&mut flight).unwrap();
                }
                said[me].extend(&flight);
                let mut unread = &flight[..];
                while !unread.is_empty() {
                    sides[1 - me].read_tls(&mut unread).unwrap();
                    sides[1 - me].process_new_packets().unwrap();
                }
            }
        }
        let [as_client, as_server] = sides;
        let (ours, theirs, peer) = match is_client {
            true => (0, 1, as_server),
            false => (1, 0, as_client),
        };
        let extracted = peer.dangerous_extract_secrets().unwrap();
        let secrets = mem::take(&mut *secrets.0.lock().unwrap());
        Self {
            client: client.into(),
            server: server.into(),
            peer_says: mem::take(&mut said[theirs]),
            tx: Keys::new(case.version, extracted.tx, &secrets[theirs]),
            rx: Keys::new(case.version, extracted.rx, &secrets[ours]),
        }
    }

    /// Shakes hands over a transport that gives `peer_says` and takes everything.
    pub fn shake_hands<IO: AsyncRead + AsyncWrite + Unpin>(
        &self,
        role: Role,
        io: IO,
    ) -> TlsStream<IO> {
        match role {
            Role::Client => ready(self.client.connect(name(), io)).into(),
            Role::Server => ready(self.server.accept(io)).into(),
        }
    }
}

fn ready<T>(handshake: impl Future<Output = std::io::Result<T>>) -> T {
    let mut handshake = spawn(handshake);
    for _ in 0..10 {
        if let std::task::Poll::Ready(done) = handshake.poll() {
            return done.unwrap();
        }
    }
    panic!("the handshake hangs");
}
