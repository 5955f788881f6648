//! The certificate of whichever side is the server, and our two configurations.

use std::sync::Arc;

use anyhow::Context;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio_tls_shutdown::tokio_rustls::rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    version,
};

use crate::peer::Version;

/// A certificate for `localhost`, its key and its root, in files for other programs too.
pub(crate) struct Identity {
    root: CertificateDer<'static>,
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    directory: TempDir,
}

impl Identity {
    pub(crate) fn make() -> anyhow::Result<Self> {
        let root_key = KeyPair::generate()?;
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&root_key)?;
        let issuer = Issuer::new(params, root_key);

        let key = KeyPair::generate()?;
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(names)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer)?;

        let directory = tempfile::tempdir()?;
        let (cert_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        for (name, text) in [
            ("root.pem", &root.pem()),
            ("cert.pem", &cert_pem),
            ("key.pem", &key_pem),
            ("both.pem", &format!("{cert_pem}{key_pem}")),
        ] {
            std::fs::write(directory.path().join(name), text)?;
        }
        Ok(Self {
            root: root.der().clone(),
            certificate: certificate.der().clone(),
            key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            directory,
        })
    }

    /// What a client trusts.
    pub(crate) fn root_file(&self) -> String {
        self.file("root.pem")
    }

    /// What a server shows.
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
        roots.add(self.root.clone())?;
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
