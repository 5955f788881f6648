//! Why a close failed.

use std::{error::Error, fmt, io};

use crate::outcome::PeerClose;

/// Why a close failed.
///
/// Converts into an [`io::Error`] that keeps the kind, with this error as its source.
#[derive(Debug)]
#[non_exhaustive]
pub enum ShutdownError {
    /// The TLS handshake is not finished: there is nothing to close yet, and an alert would go
    /// out in the clear.
    Handshaking,
    /// The transport refused our close_notify, or what had to go out before it.
    ///
    /// Calling again tries the same bytes again; no second alert is made.
    Send(io::Error),
    /// The deadline ran out while our close_notify was still blocked.
    ///
    /// Another thing than a peer that is silent after it ([`PeerClose::TimedOut`]): the peer has
    /// not been told that we close.
    SendTimedOut,
    /// Reading the transport failed, with something else than the peer's end or reset.
    Receive(io::Error),
    /// The TLS session has failed: a fatal alert was sent or received, or the peer sent what is
    /// no valid record. Nothing more is written.
    Tls(rustls::Error),
    /// The peer did not end with close_notify, and [`Closed::require_clean`] asked for it.
    ///
    /// [`Closed::require_clean`]: crate::Closed::require_clean
    Unclean(PeerClose),
}

impl ShutdownError {
    fn kind(&self) -> io::ErrorKind {
        match self {
            Self::Handshaking => io::ErrorKind::NotConnected,
            Self::Send(e) | Self::Receive(e) => e.kind(),
            Self::SendTimedOut | Self::Unclean(PeerClose::TimedOut) => io::ErrorKind::TimedOut,
            // What tokio-rustls makes of a failed session.
            Self::Tls(_) => io::ErrorKind::InvalidData,
            Self::Unclean(PeerClose::Eof) => io::ErrorKind::UnexpectedEof,
            Self::Unclean(PeerClose::Reset) => io::ErrorKind::ConnectionReset,
            Self::Unclean(_) => io::ErrorKind::Other,
        }
    }
}

impl fmt::Display for ShutdownError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Handshaking => f.write_str("the TLS handshake is not finished"),
            Self::Send(_) => f.write_str("close_notify could not be sent"),
            Self::SendTimedOut => {
                f.write_str("close_notify was still blocked when the deadline passed")
            }
            Self::Receive(_) => f.write_str("waiting for the peer's close_notify failed"),
            Self::Tls(_) => f.write_str("the TLS session has failed"),
            Self::Unclean(peer) => peer.fmt(f),
        }
    }
}

impl Error for ShutdownError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Send(e) | Self::Receive(e) => Some(e),
            Self::Tls(e) => Some(e),
            Self::Handshaking | Self::SendTimedOut | Self::Unclean(_) => None,
        }
    }
}

impl From<ShutdownError> for io::Error {
    fn from(error: ShutdownError) -> Self {
        Self::new(error.kind(), error)
    }
}

/// Tells whether a read failed because the peer ended the transport without close_notify.
///
/// For the many who match the error's text today. It knows rustls's error and this crate's
/// [`ShutdownError::Unclean`], also where another `io::Error` wraps them. Whether a missing
/// close_notify matters is the protocol's business: a body whose length was announced and has
/// arrived is whole, one that ends with the connection may have been cut short.
///
/// ```no_run
/// # use tokio::io::AsyncReadExt;
/// # use tokio_tls_shutdown::{is_missing_close_notify, tokio_rustls::client::TlsStream};
/// # async fn f(mut tls: TlsStream<tokio::net::TcpStream>) -> std::io::Result<()> {
/// let mut body = Vec::new();
/// match tls.read_to_end(&mut body).await {
///     Err(e) if is_missing_close_notify(&e) => eprintln!("the body may be cut short"),
///     other => { other?; }
/// }
/// # Ok(()) }
/// ```
#[must_use]
pub fn is_missing_close_notify(error: &io::Error) -> bool {
    let Some(inner) = error.get_ref() else {
        return false;
    };
    if let Some(wrapped) = inner.downcast_ref::<io::Error>() {
        return is_missing_close_notify(wrapped);
    }
    match inner.downcast_ref::<ShutdownError>() {
        Some(e) => matches!(e, ShutdownError::Unclean(PeerClose::Eof)),
        // rustls gives no type to match, only this text.
        None => {
            error.kind() == io::ErrorKind::UnexpectedEof
                && inner
                    .to_string()
                    .starts_with("peer closed connection without sending TLS close_notify")
        }
    }
}
