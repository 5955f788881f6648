//! rustls 0.24 as the tests open it.

use std::{io, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::Identity,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tls_shutdown::{GracefulStream, PlainStream, RecordAligned, ShutdownState, TlsStream};

use crate::support::{Case, Role, Scripted, Version, pair};

macro_rules! for_each_library {
    ($each:ident: $($argument:tt)*) => {
        $each!(rustls_next RustlsNext: $($argument)*);
    };
}

/// A transport.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// As in `tests/backends/libraries.rs`.
pub(crate) trait Library {
    type Tls<IO: Io>: PlainStream + AsyncRead + AsyncWrite + Send + Unpin;

    const NAME: &str;
    const LOOKS_AHEAD: bool = true;
    const REPEATS_WRITES: bool = false;
    const REFUSES_WRITES: bool = true;
    const TRIES_EVERY_BYTE: bool = true;
    const TELLS_ALERTS: bool = true;
    const EXCEPTIONS: &[(&str, Version, &str)] = &[];

    fn speaks(_: Case) -> bool {
        true
    }

    fn open<IO: Io>(case: Case, io: IO) -> impl Future<Output = io::Result<Self::Tls<IO>>>;

    fn into_transport(
        stream: GracefulStream<Self::Tls<RecordAligned<Scripted>>>,
    ) -> Result<RecordAligned<Scripted>, ShutdownState>;
}

pub(crate) struct RustlsNext;

impl Library for RustlsNext {
    type Tls<IO: Io> = TlsStream<IO>;

    const NAME: &str = "rustls 0.24";

    /// The peer has the version of the case, and no other.
    async fn open<IO: Io>(case: Case, io: IO) -> io::Result<Self::Tls<IO>> {
        let (certificate, key) = pair::pem();
        let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let provider = Arc::new(rustls_ring::DEFAULT_PROVIDER);
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
