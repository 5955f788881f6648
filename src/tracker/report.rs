//! `CloseReport`: what happened, to one connection.

use std::{fmt, time::Duration};

use crate::{event::Role, tracker::stats::CloseOutcome};

/// How one connection ended, for the callback of
/// [`CloseTracker::with_on_close`](crate::CloseTracker::with_on_close).
///
/// Its `Display` is one line without the name of the peer, which a transport need not have: log it
/// inside a span that has it.
///
/// ```
/// use tokio_tls_shutdown::{CloseReport, CloseTracker, Role};
///
/// fn log(report: &CloseReport) {
///     // The peer had closed before we did: it may not have read what we sent last.
///     if report.role() == Role::Server && report.peer_closed_first() {
///         eprintln!("{report}");
///     }
/// }
///
/// let tracker = CloseTracker::with_on_close(log);
/// # drop(tracker);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseReport {
    pub(super) role: Role,
    pub(super) outcome: CloseOutcome,
    pub(super) discarded: u64,
    pub(super) duration: Option<Duration>,
    pub(super) error: Option<String>,
    pub(super) resumed: bool,
    pub(super) peer_closed_first: bool,
}

impl CloseReport {
    /// Returns which side of the connection we were.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.role
    }

    /// Returns how the connection ended.
    #[must_use]
    pub const fn outcome(&self) -> CloseOutcome {
        self.outcome
    }

    /// Returns how many bytes of application data were discarded while closing.
    #[must_use]
    pub const fn discarded(&self) -> u64 {
        self.discarded
    }

    /// Returns how long the close took: from the first call that closes to the end of the last
    /// one. `None` if no such call was made, or none has ended.
    #[must_use]
    pub const fn duration(&self) -> Option<Duration> {
        self.duration
    }

    /// Returns the text of the first error of the connection, if there was one.
    ///
    /// For people to read: the wording may change.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.error.as_deref()
    }

    /// Returns `true` if the handshake resumed a session.
    #[must_use]
    pub const fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// Returns `true` if the peer's `close_notify` was received before our `close_notify` had left, or
    /// if ours did not leave at all.
    ///
    /// What we sent last may then not have been read, although the close is clean: TLS acknowledges
    /// no data. `false` does not exclude it: see
    /// [`Closed::peer_closed_first`](crate::Closed::peer_closed_first).
    #[must_use]
    pub const fn peer_closed_first(&self) -> bool {
        self.peer_closed_first
    }
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS {} connection closed: {}", self.role, self.outcome)?;
        if self.peer_closed_first {
            f.write_str(", the peer closed first")?;
        }
        if self.discarded > 0 {
            write!(f, ", {} bytes discarded", self.discarded)?;
        }
        if let Some(duration) = self.duration {
            write!(f, ", took {duration:?}")?;
        }
        match &self.error {
            Some(error) => write!(f, ": {error}"),
            None => Ok(()),
        }
    }
}
