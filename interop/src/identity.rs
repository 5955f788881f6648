//! The certificate of whichever side is the server, and our two configurations.

use std::sync::Arc;

use anyhow::Context;
use rcgen::{CertificateParams, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio_tls_shutdown::tokio_rustls::rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    version,
};

use crate::peer::Version;

/// A self-signed certificate for `localhost` and its key, in files for other programs.
pub(crate) struct Identity {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    directory: TempDir,
}

impl Identity {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let key = KeyPair::generate()?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names)?;
        // GnuTLS wants to see what a certificate may be used for.
        params.is_ca = IsCa::NoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let certificate = params.self_signed(&key)?;
        let directory = tempfile::tempdir()?;
        let (cert_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        for (name, text) in [
            ("cert.pem", &cert_pem),
            ("key.pem", &key_pem),
            ("both.pem", &format!("{cert_pem}{key_pem}")),
        ] {
            std::fs::write(directory.path().join(name), text)?;
        }
        Ok(Self {
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            directory,
        })
    }

    pub(crate) fn certificate_file(&self) -> String {
        self.file("cert.pem")
    }

    pub(crate) fn key_file(&self) -> String {
        self.file("key.pem")
    }

    /// The certificate and its key in one file.
    pub(crate) fn both_file(&self) -> String {
        self.file("both.pem")
    }

    fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    pub(crate) fn client_config(&self, version: Version) -> anyhow::Result<Arc<ClientConfig>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[protocol(version)])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Arc::new(config))
    }

    pub(crate) fn server_config(&self, version: Version) -> anyhow::Result<Arc<ServerConfig>> {
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[protocol(version)])?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.key.clone_key())
            .context("our own certificate")?;
        Ok(Arc::new(config))
    }
}

fn protocol(version: Version) -> &'static SupportedProtocolVersion {
    match version {
        Version::Tls12 => &version::TLS12,
        Version::Tls13 => &version::TLS13,
    }
}

pub(crate) fn server_name() -> ServerName<'static> {
    ServerName::try_from("localhost").expect("a valid name")
}
