//! The TLS libraries as the tests open them.

use std::{error::Error, io, panic::catch_unwind, pin::Pin};

use openssl::{
    pkey::PKey,
    ssl::{Ssl, SslContext, SslMethod, SslVerifyMode, SslVersion},
    x509::X509,
};
use s2n_tls::security::{self, Policy};
use tokio_tls_shutdown::{Gate, GracefulStream, RecordAligned, ShutdownState, tokio_rustls};

use crate::{
    library::{Exception, Io, Library},
    support::{Case, Peer, Role, Scripted, Version, Wire, pair},
};

/// Has a macro write something for each library.
macro_rules! for_each_library {
    ($each:ident: $($argument:tt)*) => {
        $each!(rustls Rustls: $($argument)*);
        $each!(openssl Openssl: $($argument)*);
        $each!(native_tls NativeTls: $($argument)*);
        $each!(s2n S2n: $($argument)*);
    };
}

pub(crate) struct Rustls;

impl Library for Rustls {
    type Tls<IO: Io> = tokio_rustls::TlsStream<IO>;

    const NAME: &str = "rustls";

    const REFUSES_WRITES: bool = false;

    async fn open<IO: Io>(case: Case, io: IO) -> io::Result<Self::Tls<IO>> {
        Ok(pair::open(case, io).await)
    }

    fn into_transport(
        stream: GracefulStream<Self::Tls<RecordAligned<Scripted>>>,
    ) -> Result<RecordAligned<Scripted>, ShutdownState> {
        stream.into_transport().map_err(|e| e.state())
    }
}

pub(crate) struct Openssl;

impl Openssl {
    pub(crate) fn ssl(case: Case) -> Result<Ssl, Box<dyn Error + Send + Sync>> {
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
        let mut ssl = Ssl::new(&context.build())?;
        match case.role {
            Role::Client => ssl.set_connect_state(),
            Role::Server => ssl.set_accept_state(),
        }
        Ok(ssl)
    }
}

impl Library for Openssl {
    type Tls<IO: Io> = tokio_openssl::SslStream<Gate<IO>>;

    const NAME: &str = "openssl";

    const TRIES_EVERY_BYTE: bool = true;

    const REPEATS_WRITES: bool = true;

    const REPORTS_EOF: bool = false;

    async fn open<IO: Io>(case: Case, io: IO) -> io::Result<Self::Tls<IO>> {
        let ssl = Self::ssl(case).map_err(io::Error::other)?;
        let mut tls = tokio_openssl::SslStream::new(ssl, Gate::new(io))?;
        let handshake = Pin::new(&mut tls).do_handshake().await;
        handshake.map_err(io::Error::other)?;
        Ok(tls)
    }

    fn into_transport(
        stream: GracefulStream<Self::Tls<RecordAligned<Scripted>>>,
    ) -> Result<RecordAligned<Scripted>, ShutdownState> {
        stream.into_transport().map_err(|e| e.state())
    }
}

pub(crate) struct NativeTls;

impl Library for NativeTls {
    type Tls<IO: Io> = tokio_native_tls::TlsStream<Gate<IO>>;

    const NAME: &str = "native-tls";

    const REPEATS_WRITES: bool = true;

    const REPORTS_EOF: bool = false;

    const LOOKS_AHEAD: bool = false;

    const TELLS_HOW_READS_ENDED: bool = false;

    const TELLS_ALERTS: bool = false;

    /// On OpenSSL its servers are those of Mozilla's "intermediate" of 2017.
    fn speaks(case: Case) -> bool {
        case != Case::new(Version::Tls13, Role::Server)
    }

    async fn open<IO: Io>(case: Case, io: IO) -> io::Result<Self::Tls<IO>> {
        use native_tls::{Identity, Protocol, TlsAcceptor, TlsConnector};

        let most = (case.version == Version::Tls12).then_some(Protocol::Tlsv12);
        let opened = match case.role {
            Role::Client => {
                let connector = TlsConnector::builder()
                    .danger_accept_invalid_certs(true)
                    .max_protocol_version(most)
                    .build()
                    .map_err(io::Error::other)?;
                let connector = tokio_native_tls::TlsConnector::from(connector);
                connector.connect("localhost", Gate::new(io)).await
            }
            Role::Server => {
                let (certificate, key) = pair::pem();
                let identity = Identity::from_pkcs8(certificate.as_bytes(), key.as_bytes());
                let acceptor = TlsAcceptor::builder(identity.map_err(io::Error::other)?)
                    .max_protocol_version(most)
                    .build()
                    .map_err(io::Error::other)?;
                let acceptor = tokio_native_tls::TlsAcceptor::from(acceptor);
                acceptor.accept(Gate::new(io)).await
            }
        };
        opened.map_err(io::Error::other)
    }

    fn into_transport(
        stream: GracefulStream<Self::Tls<RecordAligned<Scripted>>>,
    ) -> Result<RecordAligned<Scripted>, ShutdownState> {
        stream.into_transport().map_err(|e| e.state())
    }
}

pub(crate) struct S2n;

const DEAF: &str = "s2n reads nothing after its close_notify";
const MUTE: &str = "s2n writes nothing after the peer's close_notify";

impl Library for S2n {
    type Tls<IO: Io> = s2n_tls_tokio::TlsStream<Gate<IO>>;

    const NAME: &str = "s2n";

    const LOOKS_AHEAD: bool = false;

    const EXCEPTIONS: &[Exception] = &[
        ("bidirectional", Version::Tls12, DEAF),
        ("half_close_and_read_on", Version::Tls12, DEAF),
        ("bad_record_behind_the_alert", Version::Tls12, DEAF),
        ("bidirectional_dropped_at_every_await", Version::Tls12, DEAF),
        ("both_with_full_buffers", Version::Tls12, DEAF),
        ("plain_stream_waits", Version::Tls12, DEAF),
        ("own_shutdown", Version::Tls12, DEAF),
        ("own_read_that_failed_and_has_passed", Version::Tls12, DEAF),
        ("peer_closed_first", Version::Tls12, MUTE),
    ];

    async fn open<IO: Io>(case: Case, io: IO) -> io::Result<Self::Tls<IO>> {
        let (certificate, key) = pair::pem();
        let mut config = s2n_tls::config::Config::builder();
        match case.version {
            // The last one without TLS 1.3.
            Version::Tls12 => config.set_security_policy(&Policy::from_version("20190214_gcm")?)?,
            Version::Tls13 => config.set_security_policy(&security::DEFAULT_TLS13)?,
        };
        let opened = match case.role {
            Role::Client => {
                config.trust_pem(certificate.as_bytes())?;
                let connector = s2n_tls_tokio::TlsConnector::new(config.build()?);
                connector.connect("localhost", Gate::new(io)).await
            }
            Role::Server => {
                config.load_pem(certificate.as_bytes(), key.as_bytes())?;
                let acceptor = s2n_tls_tokio::TlsAcceptor::new(config.build()?);
                acceptor.accept(Gate::new(io)).await
            }
        };
        Ok(opened?)
    }

    fn into_transport(
        stream: GracefulStream<Self::Tls<RecordAligned<Scripted>>>,
    ) -> Result<RecordAligned<Scripted>, ShutdownState> {
        stream.into_transport().map_err(|e| e.state())
    }
}

/// Otherwise `Library::speaks` leaves out cases that it need not.
#[test]
fn native_tls_servers_speak_no_tls13() {
    let case = Case::new(Version::Tls13, Role::Server);
    assert!(!NativeTls::speaks(case));
    let meets = catch_unwind(|| {
        let wire = Wire::default();
        let mut peer = Peer::new(case, case.client_config(), case.server_config());
        peer.shake_hands(&wire, NativeTls::open(case, wire.transport()))
    });
    assert!(meets.is_err());
}
