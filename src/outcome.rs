//! What a close has come to.

use std::fmt;

use crate::error::ShutdownError;

/// Which of the two close_notify alerts have been exchanged, as [SSL_get_shutdown(3)] has it.
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
    /// Ours was taken by the transport and flushed (`SSL_SENT_SHUTDOWN`).
    pub const SENT: Self = Self(1);
    /// The peer's was received and authenticated (`SSL_RECEIVED_SHUTDOWN`).
    pub const RECEIVED: Self = Self(2);
    /// Both: the transport may be used for something else.
    pub const COMPLETE: Self = Self(1 | 2);

    /// Tells whether all flags of `other` are set.
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

/// How the peer ended its side of the connection.
///
/// Only [`CloseNotify`](Self::CloseNotify) is authenticated: everything else may be the network's
/// doing, or an attacker's who cuts a message short ([RFC 8446, section 6.1]).
///
/// ```
/// use tokio_tls_shutdown::{Closed, PeerClose};
///
/// /// What is common, what is not.
/// fn is_worth_a_warning(closed: Closed) -> bool {
///     matches!(closed.peer(), PeerClose::TimedOut | PeerClose::DiscardLimit)
/// }
/// ```
///
/// [RFC 8446, section 6.1]: https://www.rfc-editor.org/rfc/rfc8446#section-6.1
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PeerClose {
    /// With a close_notify alert.
    CloseNotify,
    /// With the end of the transport alone (a TCP FIN).
    Eof,
    /// With a reset of the transport (a TCP RST), or it was gone.
    Reset,
    /// Not at all before the deadline.
    TimedOut,
    /// Not before it had sent more application data than the discard limit.
    DiscardLimit,
    /// Not seen, but [`GracefulStream::set_state`](crate::GracefulStream::set_state) or a
    /// [quiet shutdown](crate::GracefulStream::set_quiet_shutdown) said to count it as received.
    Assumed,
}

impl fmt::Display for PeerClose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CloseNotify => "the peer closed with close_notify",
            Self::Eof => "the peer closed the transport without close_notify",
            Self::Reset => "the peer reset the transport without close_notify",
            Self::TimedOut => "the peer sent no close_notify before the deadline",
            Self::DiscardLimit => "the peer went on sending beyond the discard limit",
            Self::Assumed => "the peer's close_notify was not waited for",
        })
    }
}

/// How a bidirectional close ended. Our own close_notify was sent, or the peer had closed and
/// left before it could be.
///
/// A peer that answers our close_notify with FIN or RST is common enough to be an outcome and not
/// an error, but it is never [clean](Self::is_clean): use [`require_clean`](Self::require_clean)
/// where the end of the TLS connection is the end of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a close may be unclean: see `is_clean` and `require_clean`"]
#[non_exhaustive]
pub struct Closed {
    pub(crate) peer: PeerClose,
    pub(crate) discarded: u64,
    pub(crate) tickets: u32,
}

impl Closed {
    /// Returns how the peer ended its side.
    #[must_use]
    pub const fn peer(&self) -> PeerClose {
        self.peer
    }

    /// Returns how many bytes of application data were thrown away, those that were already
    /// decrypted before the call among them.
    #[must_use]
    pub const fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Returns how many TLS 1.3 session tickets arrived while waiting (always 0 on a server).
    #[must_use]
    pub const fn tickets(&self) -> u32 {
        self.tickets
    }

    /// Tells whether the peer ended with close_notify.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        matches!(self.peer, PeerClose::CloseNotify)
    }

    /// Turns everything but a clean close into an error.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::Unclean`] unless the peer ended with close_notify.
    ///
    /// ```no_run
    /// # use tokio_tls_shutdown::{ShutdownError, ShutdownExt, tokio_rustls::client::TlsStream};
    /// # async fn f(mut tls: TlsStream<tokio::net::TcpStream>) -> Result<(), ShutdownError> {
    /// tls.shutdown_bidirectional().await?.require_clean()?;
    /// # Ok(()) }
    /// ```
    pub const fn require_clean(self) -> Result<(), ShutdownError> {
        match self.peer {
            PeerClose::CloseNotify => Ok(()),
            peer => Err(ShutdownError::Unclean(peer)),
        }
    }
}
