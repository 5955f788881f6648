//! rustls 0.24 as the tests open it.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::Identity,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rustls_ring::{DEFAULT_TLS12_PROVIDER, DEFAULT_TLS13_PROVIDER};
use tokio_tls_shutdown::{GracefulStream, RecordAligned, ShutdownState, TlsStream};

use crate::{
    library::{Io, Library},
    support::{Case, Role, Scripted, Version, pair},
};

macro_rules! for_each_library {
    ($each:ident: $($argument:tt)*) => {
        $each!(rustls_next RustlsNext: $($argument)*);
    };
}

pub(crate) struct RustlsNext;

impl Library for RustlsNext {
    type Tls<IO: Io> = TlsStream<IO>;

    const NAME: &str = "rustls 0.24";

    const TRIES_EVERY_BYTE: bool = true;

    async fn open<IO: Io>(case: Case, io: IO) -> io::Result<Self::Tls<IO>> {
        let (certificate, key) = pair::pem();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(match case.version {
            Version::Tls12 => DEFAULT_TLS12_PROVIDER,
            Version::Tls13 => DEFAULT_TLS13_PROVIDER,
        });
        match case.role {
            Role::Client => {
                let mut roots = RootCertStore::empty();
                roots.add(certificate).unwrap();
                let config = ClientConfig::builder(provider)
                    .with_root_certificates(roots)
                    .with_no_client_auth()
                    .unwrap();
                let name = "localhost".try_into().unwrap();
                TlsStream::connect(Arc::new(config), name, io).await
            }
            Role::Server => {
                let identity = Identity::from_cert_chain(vec![certificate]).unwrap();
                let config = ServerConfig::builder(provider)
                    .with_no_client_auth()
                    .with_single_cert(Arc::new(identity), key)
                    .unwrap();
                TlsStream::accept(Arc::new(config), io).await
            }
        }
    }

    fn into_transport(
        stream: GracefulStream<Self::Tls<RecordAligned<Scripted>>>,
    ) -> Result<RecordAligned<Scripted>, ShutdownState> {
        stream.into_transport().map_err(|e| e.state())
    }
}
