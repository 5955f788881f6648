//! The certificate of whichever side is the server.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// A certificate for `localhost`, its key and its root, in files.
pub(crate) struct Identity(TempDir);

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
        Ok(Self(directory))
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
        self.0.path().join(name).display().to_string()
    }
}
