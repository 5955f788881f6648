//! Handshakes that cost little: neither a key exchange nor a signature is computed, because that
//! would take longer than all that an input does after it.

use std::sync::{Arc, LazyLock};

use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error, NamedGroup, ServerConfig, SignatureAlgorithm,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{ActiveKeyExchange, CryptoProvider, SharedSecret, SupportedKxGroup, ring},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ServerSessionMemoryCache,
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};

use crate::support::{CASES, Case, pair};

/// Configurations whose sessions are remembered by no other input.
pub(super) fn configs(case: Case, tickets: usize) -> (ClientConfig, ServerConfig) {
    static CONFIGS: LazyLock<[(ClientConfig, ServerConfig); 4]> =
        LazyLock::new(|| CASES.map(|case| (client_config(case), server_config(case))));
    let index = CASES.iter().position(|&other| other == case).unwrap();
    let (mut client, mut server) = CONFIGS[index].clone();
    client.resumption = Resumption::in_memory_sessions(8);
    server.session_storage = ServerSessionMemoryCache::new(8);
    server.send_tls13_tickets = tickets;
    (client, server)
}

/// One cipher suite for each version: what `Forge` speaks.
fn provider() -> Arc<CryptoProvider> {
    Arc::new(CryptoProvider {
        cipher_suites: vec![
            ring::cipher_suite::TLS13_AES_128_GCM_SHA256,
            ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
        ],
        kx_groups: vec![&NoExchange],
        ..ring::default_provider()
    })
}

fn client_config(case: Case) -> ClientConfig {
    let versions = [if case.is_tls13() { &TLS13 } else { &TLS12 }];
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions)
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    config.enable_secret_extraction = true;
    config
}

fn server_config(case: Case) -> ServerConfig {
    let versions = [if case.is_tls13() { &TLS13 } else { &TLS12 }];
    let key = CertifiedKey::new(vec![pair::identity().0.clone()], Arc::new(NoKey));
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&versions)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.enable_secret_extraction = true;
    config
}

/// A group in which every secret is the same.
#[derive(Debug)]
struct NoExchange;

impl SupportedKxGroup for NoExchange {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        Ok(Box::new(Self))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

impl ActiveKeyExchange for NoExchange {
    fn complete(self: Box<Self>, _: &[u8]) -> Result<SharedSecret, Error> {
        Ok(SharedSecret::from(vec![1; 32]))
    }

    fn pub_key(&self) -> &[u8] {
        &[1; 32]
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

const SCHEME: SignatureScheme = SignatureScheme::ECDSA_NISTP256_SHA256;

/// A key that signs nothing.
#[derive(Debug)]
struct NoKey;

impl SigningKey for NoKey {
    fn choose_scheme(&self, _: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        Some(Box::new(Self))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ECDSA
    }
}

impl Signer for NoKey {
    fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(vec![1; 70])
    }

    fn scheme(&self) -> SignatureScheme {
        SCHEME
    }
}

/// Trusts everyone.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
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
