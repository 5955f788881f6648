//! Connects: TCP, STARTTLS where asked for, and the TLS handshake.

use std::{io, sync::Arc, time::Duration};

use anyhow::anyhow;
use bstr::ByteSlice;
use rustls::{ClientConfig, HandshakeKind, pki_types::ServerName};
use serde::Serialize;
use tokio::{
    io::AsyncReadExt,
    net::TcpStream,
    time::{Instant, timeout, timeout_at},
};
use tokio_tls_shutdown::{
    GracefulStream, RecordAligned,
    tokio_rustls::{TlsConnector, client::TlsStream, rustls},
};

use crate::{
    certificate_error,
    failure::{Failure, Stage},
    milliseconds::milliseconds,
    observe::{Secrets, Transport, alert_name},
    options::Options,
    session::{TlsVersion, suite_name},
    starttls::{Dialog, StarttlsError},
    target::Target,
    timeline::{Side, Timeline, What},
};

/// Aligned to records, so that what follows the server's `close_notify` is not lost.
pub(crate) type Stream = GracefulStream<TlsStream<RecordAligned<Transport<TcpStream>>>>;

/// What a connection is, as of its handshake.
#[derive(Clone, Serialize)]
pub(crate) struct Facts {
    /// The address that was connected to.
    pub(crate) address: String,
    pub(crate) server_name: String,
    pub(crate) starttls: Option<&'static str>,
    pub(crate) tls_version: TlsVersion,
    pub(crate) cipher_suite: String,
    /// From the first SYN to the end of the TCP handshake.
    pub(crate) connect_ms: f64,
    /// From the first SYN to the end of the TLS handshake.
    pub(crate) handshake_ms: f64,
    /// Whether the server asked for a certificate of the client.
    pub(crate) certificate_requested: bool,
    /// Whether one was sent then.
    pub(crate) certificate_given: bool,
    #[serde(skip)]
    pub(crate) resumed: bool,
}

pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) facts: Facts,
}

/// Connects within the time limit, and writes to the timeline.
pub(crate) async fn connect(
    target: &Target,
    options: &Options,
    config: &ClientConfig,
    timeline: &Arc<Timeline>,
) -> Result<Connected, Failure> {
    let begun = Instant::now();
    let until = begun + options.timeout;
    let name = options.sni.as_deref().unwrap_or(&target.host);
    let name = ServerName::try_from(name.to_owned())
        .map_err(|_| Failure::new(Stage::Connect, format!("invalid server name `{name}`")))?;

    let tcp = timeout_at(until, tcp(target))
        .await
        .unwrap_or_else(|_| Err(anyhow!("no answer within {:?}", options.timeout)))
        .map_err(|e| {
            let name = target.name();
            Failure::new(
                Stage::Connect,
                format!("failed to connect to {name}: {e:#}"),
            )
        })?;
    let connect_ms = milliseconds(begun.elapsed());
    timeline.add(Side::Local, What::Connected, 0, None);

    let address = tcp.peer_addr().map(|address| address.to_string());
    let address = address.unwrap_or_default();
    let secrets = Arc::new(Secrets::default());
    let mut transport = Transport::new(tcp, timeline.clone(), &secrets);
    if let Some(protocol) = options.starttls {
        let dialog = Dialog::new(&mut transport, &name);
        let done = timeout_at(until, protocol.negotiate(dialog)).await;
        done.unwrap_or(Err(StarttlsError::TimedOut)).map_err(|e| {
            if matches!(e, StarttlsError::TimedOut) {
                timeline.add(Side::Local, What::GaveUp, 0, None);
            }
            Failure::starttls(protocol.name(), e)
        })?;
    }
    transport.begin_tls();

    let mut config = config.clone();
    // The secrets of this connection stay in this process, for the timeline.
    config.key_log = secrets.clone();
    let handshake = TlsConnector::from(Arc::new(config))
        .connect(name.clone(), RecordAligned::new(transport))
        .into_fallible();
    let tls = match timeout_at(until, handshake).await {
        Ok(Ok(tls)) => tls,
        Ok(Err((error, transport))) => {
            let failure = explain(&error, transport).await;
            return Err(Failure {
                certificate_requested: secrets.certificate_requested(),
                ..failure
            });
        }
        Err(_) => {
            timeline.add(Side::Local, What::GaveUp, 0, None);
            let limit = options.timeout;
            let text = format!("the TLS handshake did not finish within {limit:?}");
            return Err(Failure::timed_out(Stage::Handshake, text));
        }
    };

    let session = tls.get_ref().1;
    let tls_version = TlsVersion::of(session.protocol_version());
    timeline.add(
        Side::Local,
        What::HandshakeFinished,
        0,
        Some(tls_version.to_string()),
    );
    let suite = session.negotiated_cipher_suite();
    let certificate_requested = secrets.certificate_requested();
    let facts = Facts {
        address,
        server_name: name.to_str().into_owned(),
        starttls: options.starttls.map(|protocol| protocol.name()),
        tls_version,
        cipher_suite: suite.map_or_else(String::new, |suite| suite_name(suite.suite())),
        connect_ms,
        handshake_ms: milliseconds(begun.elapsed()),
        certificate_requested,
        certificate_given: certificate_requested && options.has_certificate,
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    };
    let stream = GracefulStream::new(tls);
    Ok(Connected { stream, facts })
}

async fn tcp(target: &Target) -> anyhow::Result<TcpStream> {
    let tcp = TcpStream::connect((target.host.as_str(), target.port)).await?;
    // Without it, waiting for the server behind a small write takes 41 ms.
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// Says in plain words why a handshake failed.
async fn explain(error: &io::Error, transport: RecordAligned<Transport<TcpStream>>) -> Failure {
    let (mut transport, mut unread) = transport.into_parts();
    let cause = error.get_ref().and_then(|e| e.downcast_ref());
    let text = match cause {
        Some(rustls::Error::InvalidCertificate(why)) => {
            let text = format!(
                "invalid peer certificate: {}",
                certificate_error::words(why)
            );
            return Failure::certificate(text);
        }
        Some(rustls::Error::AlertReceived(alert)) => {
            let code = u8::from(*alert);
            let name = alert_name(code);
            let text = format!("the server refused the TLS handshake: alert {name}");
            return Failure::alert(text, code);
        }
        // RecordAligned has kept it from rustls.
        None if error.kind() == io::ErrorKind::InvalidData && !unread.is_empty() => {
            // The transport has stopped behind what might have been a header.
            let more = timeout(Duration::from_millis(100), transport.read_buf(&mut unread));
            let _ = more.await;
            let line = unread.lines().next().unwrap_or_default();
            let line = line[..line.len().min(60)].escape_ascii();
            return Failure::not_tls(format!("not a TLS server: it says `{line}`"));
        }
        _ => match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the server closed the connection during the TLS handshake".into()
            }
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                "the server reset the connection during the TLS handshake".into()
            }
            _ => format!("the TLS handshake failed: {error}"),
        },
    };
    Failure::new(Stage::Handshake, text)
}
