//! The TLS configuration: which certificates to trust, and the client's own.

use std::{path::Path, sync::Arc};

use anyhow::{Context, anyhow, bail};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio_tls_shutdown::tokio_rustls::rustls;

use crate::{args::Args, certificate_error, insecure::AcceptAny};

pub(crate) fn config(args: &Args) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions = match args.tls12 {
        true => &[&rustls::version::TLS12][..],
        false => rustls::ALL_VERSIONS,
    };
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let builder: ConfigBuilder<_, WantsClientCert> = match args.insecure {
        true => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny(provider))),
        false => builder.with_root_certificates(match &args.ca {
            Some(path) => {
                roots_of(path).with_context(|| format!("failed to use --ca {}", path.display()))?
            }
            None => system_roots()?,
        }),
    };
    let Some(cert) = &args.cert else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates(cert);
    let chain = chain.with_context(|| format!("failed to use --cert {}", cert.display()))?;
    let key_path = args.key.as_ref().unwrap_or(cert);
    PrivateKeyDer::from_pem_file(key_path)
        .map_err(anyhow::Error::new)
        .and_then(|key| Ok(builder.with_client_auth_cert(chain, key)?))
        .with_context(|| format!("failed to use the private key in {}", key_path.display()))
}

fn certificates(path: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates: Vec<_> = CertificateDer::pem_file_iter(path)?.collect::<Result<_, _>>()?;
    match certificates.is_empty() {
        true => bail!("it has no PEM certificate"),
        false => Ok(certificates),
    }
}

fn roots_of(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|e| match e {
            rustls::Error::InvalidCertificate(why) => anyhow!(certificate_error::words(&why)),
            e => e.into(),
        })?;
    }
    Ok(roots)
}

fn system_roots() -> anyhow::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match (roots.is_empty(), found.errors.into_iter().next()) {
        (false, _) => Ok(roots),
        (true, None) => bail!("the system has no root certificates: see --ca and --insecure"),
        (true, Some(e)) => Err(e).context("failed to read the system's root certificates"),
    }
}
