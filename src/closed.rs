//! `Closed`: how a bidirectional close has ended.

use std::fmt;

use crate::{error::ShutdownError, state::PeerClose};

/// How a bidirectional close ended: our `close_notify` was sent, or the peer had closed cleanly
/// and left before it could be delivered.
///
#[doc = include_str!("doc/what_a_close_proves.md")]
///
/// A peer that answers our `close_notify` with FIN or RST is common enough to be an outcome and not
/// an error, but it is never [clean](Self::is_clean): use [`require_clean`](Self::require_clean)
/// where the end of the TLS connection is the end of a message.
///
/// Displayed, it is one line: how the peer closed, and what was discarded.
///
/// ```
/// use tokio_tls_shutdown::Closed;
///
/// fn log(closed: Closed) {
///     println!("{closed}"); // the peer closed with close_notify, 5 bytes discarded
///     if closed.is_clean() && closed.peer_closed_first() {
///         println!("the peer may not have read what was sent last");
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a close may be unclean: see `is_clean` and `require_clean`"]
#[non_exhaustive]
pub struct Closed {
    pub(crate) peer: PeerClose,
    pub(crate) discarded: u64,
    pub(crate) tickets: u32,
    pub(crate) peer_first: bool,
}

impl Closed {
    /// Returns how the peer closed its side.
    #[must_use]
    pub const fn peer(&self) -> PeerClose {
        self.peer
    }

    /// Returns how many bytes of application data were discarded, including those that had been
    /// decrypted before the call.
    #[must_use]
    pub const fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Returns how many TLS 1.3 session tickets arrived during the call. Always 0 on a server.
    #[must_use]
    pub const fn tickets(&self) -> u32 {
        self.tickets
    }

    /// Returns `true` if the peer closed with `close_notify`.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        matches!(self.peer, PeerClose::CloseNotify)
    }

    /// Returns `true` if the peer's `close_notify` was received before ours had left.
    ///
    /// Ours has left when the transport has taken its last byte: from there on the peer may answer it.
    ///
    /// The peer then closed of its own accord and may not have read what we sent last; for a
    /// request on an idle connection this means that it may have to be sent again.
    ///
    /// [`shutdown_bidirectional()`](crate::ShutdownExt::shutdown_bidirectional) of a
    /// [`GracefulStream`](crate::GracefulStream) receives what has arrived, in at most 32 reads, before it
    /// sends, so an alert that lay unread in the socket is found. `close_notify()` and `shutdown()` send
    /// first. `false` still proves nothing: the alerts may have crossed on
    /// their way.
    ///
    /// A plain TLS stream does not remember whether an earlier call has made our `close_notify`, so it
    /// sends before it receives, and this is `true` only if the peer's was processed before the call, by
    /// a read or by [`poll_peer_closed`](crate::ShutdownExt::poll_peer_closed), or if ours could not be
    /// delivered. If an earlier call has made ours, it is `false`.
    #[must_use]
    pub const fn peer_closed_first(&self) -> bool {
        self.peer_first
    }

    /// Turns everything but a clean close into an error.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::Unclean`] unless the peer closed with `close_notify`.
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

/// For people to read: the wording may change.
impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.peer.fmt(f)?;
        if self.peer_first {
            f.write_str(", before we did")?;
        }
        match self.discarded {
            0 => Ok(()),
            bytes => write!(f, ", {bytes} bytes discarded"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_one_line_that_says_who_closed_and_what_was_lost() {
        let closed = |peer, peer_first, discarded| Closed {
            peer,
            discarded,
            tickets: 2,
            peer_first,
        };
        for (closed, expected) in [
            (
                closed(PeerClose::CloseNotify, false, 0),
                "the peer closed with close_notify",
            ),
            (
                closed(PeerClose::CloseNotify, true, 5),
                "the peer closed with close_notify, before we did, 5 bytes discarded",
            ),
            (
                closed(PeerClose::Reset, false, 5),
                "the peer reset the transport without close_notify, 5 bytes discarded",
            ),
        ] {
            assert_eq!(closed.to_string(), expected);
        }
    }
}
