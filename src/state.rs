//! Which alerts were exchanged, and how the peer has closed: leaves that every layer may import.

use std::fmt;

/// Which of the two `close_notify` alerts were exchanged, as [SSL_get_shutdown(3)] reports it.
///
/// A set of two flags, [`SENT`](Self::SENT) and [`RECEIVED`](Self::RECEIVED).
///
/// [SSL_get_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_set_shutdown/
///
/// ```
/// use tokio_tls_shutdown::ShutdownState;
///
/// assert_eq!(ShutdownState::COMPLETE, ShutdownState::SENT | ShutdownState::RECEIVED);
/// assert!(ShutdownState::COMPLETE.contains(ShutdownState::SENT));
/// assert!(!ShutdownState::NONE.contains(ShutdownState::SENT));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct ShutdownState(u8);

impl ShutdownState {
    /// Neither side has closed.
    pub const NONE: Self = Self(0);
    /// Our `close_notify` was taken by the transport and flushed (`SSL_SENT_SHUTDOWN`).
    pub const SENT: Self = Self(1);
    /// The peer's `close_notify` was received and authenticated (`SSL_RECEIVED_SHUTDOWN`).
    pub const RECEIVED: Self = Self(2);
    /// Both alerts were exchanged: the transport may be used for something else.
    pub const COMPLETE: Self = Self(1 | 2);

    /// Returns `true` if all flags of `other` are set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for ShutdownState {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl fmt::Debug for ShutdownState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match *self {
            Self::COMPLETE => "COMPLETE",
            Self::SENT => "SENT",
            Self::RECEIVED => "RECEIVED",
            _ => "NONE",
        })
    }
}

/// How the peer closed its side of the connection.
///
/// Only [`CloseNotify`](Self::CloseNotify) is authenticated: everything else can be caused by the
/// network, or by an attacker who truncates a message ([RFC 8446, section 6.1]).
///
/// ```
/// use tokio_tls_shutdown::{Closed, PeerClose};
///
/// /// EOF and reset are common; a peer that never closes is worth a line in the log.
/// fn is_worth_a_warning(closed: Closed) -> bool {
///     matches!(closed.peer(), PeerClose::TimedOut | PeerClose::DiscardLimit)
/// }
/// ```
///
/// [RFC 8446, section 6.1]: https://www.rfc-editor.org/rfc/rfc8446#section-6.1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerClose {
    /// The peer sent `close_notify`.
    CloseNotify,
    /// The peer closed the transport (TCP FIN) without sending `close_notify`.
    Eof,
    /// The peer reset the transport (TCP RST), or the transport was gone.
    Reset,
    /// The deadline passed before the peer closed.
    TimedOut,
    /// The peer sent more application data than the discard limit allows.
    DiscardLimit,
    /// The peer's `close_notify` was not waited for:
    /// [`GracefulStream::set_state`](crate::GracefulStream::set_state) or a
    /// [quiet shutdown](crate::GracefulStream::set_quiet_shutdown) counts it as received.
    Assumed,
}

impl fmt::Display for PeerClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CloseNotify => "the peer closed with close_notify",
            Self::Eof => "the peer closed the transport without close_notify",
            Self::Reset => "the peer reset the transport without close_notify",
            Self::TimedOut => "the peer sent no close_notify before the deadline",
            Self::DiscardLimit => "the peer sent more data than the discard limit allows",
            Self::Assumed => "the peer's close_notify was not waited for",
        })
    }
}

/// Result of [`peer_closed`](crate::ShutdownExt::peer_closed): why it has stopped waiting.
///
/// ```
/// use tokio_tls_shutdown::{PeerStatus, ShutdownError, ShutdownExt};
/// # use tokio_tls_shutdown::tokio_rustls::client::TlsStream;
///
/// # async fn f(mut tls: TlsStream<tokio::net::TcpStream>) -> Result<(), ShutdownError> {
/// match tls.peer_closed().await? {
///     PeerStatus::Closed(how) => println!("closed while idle: {how}"),
///     PeerStatus::Readable => println!("an answer that was not asked for"),
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeerStatus {
    /// Application data can be read. The peer may have closed after sending it.
    Readable,
    /// The peer has closed its side, and everything that it sent before was read.
    Closed(PeerClose),
}
