//! BoringSSL as the tests open it.

use std::{error::Error, io};

use boring::{
    pkey::PKey,
    ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion},
    x509::X509,
};
use tokio_boring::{SslStream, SslStreamBuilder};
use tokio_tls_shutdown::{Gate, GracefulStream, RecordAligned, ShutdownState};

use crate::{
    library::{Io, Library},
    support::{Case, Role, Scripted, Version, pair},
};

macro_rules! for_each_library {
    ($each:ident: $($argument:tt)*) => {
        $each!(boring Boring: $($argument)*);
    };
}

pub(crate) struct Boring;

fn ssl(case: Case) -> Result<Ssl, Box<dyn Error + Send + Sync>> {
    let mut context = SslContext::builder(SslMethod::tls())?;
    let version = match case.version {
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    };
    context.set_min_proto_version(Some(version))?;
    context.set_max_proto_version(Some(version))?;
    context.set_verify(SslVerifyMode::NONE);
    if case.role == Role::Server {
        let (certificate, key) = pair::pem();
        context.set_certificate(X509::from_pem(certificate.as_bytes())?.as_ref())?;
        context.set_private_key(PKey::private_key_from_pem(key.as_bytes())?.as_ref())?;
    }
    Ok(Ssl::new(&context.build())?)
}

impl Library for Boring {
    type Tls<IO: Io> = SslStream<Gate<IO>>;

    const NAME: &str = "boring";

    const LOOKS_AHEAD: bool = false;

    const REPEATS_WRITES: bool = true;

    const TRIES_EVERY_BYTE: bool = true;

    const REPORTS_EOF: bool = false;

    async fn open<IO: Io>(case: Case, io: IO) -> io::Result<Self::Tls<IO>> {
        let ssl = ssl(case).map_err(io::Error::other)?;
        let tls = SslStreamBuilder::new(ssl, Gate::new(io));
        let opened = match case.role {
            Role::Client => tls.connect().await,
            Role::Server => tls.accept().await,
        };
        opened.map_err(|e| io::Error::other(e.to_string()))
    }

    fn into_transport(
        stream: GracefulStream<Self::Tls<RecordAligned<Scripted>>>,
    ) -> Result<RecordAligned<Scripted>, ShutdownState> {
        stream.into_transport().map_err(|e| e.state())
    }
}
