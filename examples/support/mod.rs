//! What the examples share: a certificate made on the spot, and configurations that fit it.
#![allow(dead_code, reason = "each example uses a part of it")]

use std::{error::Error, sync::Arc};

use rustls::{
    ClientConfig, DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{PrivatePkcs8KeyDer, ServerName},
};
use tokio_tls_shutdown::tokio_rustls::rustls;

/// A server for `localhost` with a new certificate, and a client that trusts it. Both have the
/// defaults of rustls: the server sends two tickets after a TLS 1.3 handshake, and the client keeps
/// sessions in memory.
pub(crate) fn configs() -> Result<(ClientConfig, ServerConfig), Box<dyn Error>> {
    configs_with_versions(DEFAULT_VERSIONS)
}

pub(crate) fn configs_with_versions(
    versions: &[&'static SupportedProtocolVersion],
) -> Result<(ClientConfig, ServerConfig), Box<dyn Error>> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.into())?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok((client, server))
}

/// The name on the certificate.
pub(crate) fn localhost() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a valid name")
}
