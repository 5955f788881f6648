//! The end of a server: what is announced, waited for, aborted and reported.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;

#[cfg(doc)]
use crate::CloseTracker;
use crate::tracker::{
    registry::{Condition, Registry, Snapshot, Wait},
    stats::CloseStats,
};

/// How long the owners of aborted streams have to drop them.
const GRACE: Duration = Duration::from_secs(1);

/// A drain that has begun. Created by [`CloseTracker::begin_drain`].
///
/// Dropped without [`finish`](Self::finish), it aborts nothing, and the drain stays announced.
#[must_use = "a drain aborts and reports nothing until it is finished"]
pub struct Drain {
    registry: Arc<Registry>,
    before: Snapshot,
}

impl Drain {
    pub(super) fn new(registry: Arc<Registry>, before: Snapshot) -> Self {
        Self { registry, before }
    }

    /// Waits until no connection is open, or until `deadline` has passed, counted from this call;
    /// then aborts those that are, and returns the report.
    ///
    /// To abort a stream means: reading and writing fail from now on with
    /// [`ConnectionAborted`](std::io::ErrorKind::ConnectionAborted), a task that waits for it is
    /// woken to see that, and our `close_notify` is tried once without waiting (not with
    /// [`ClosePolicy::Quiet`](crate::ClosePolicy::Quiet) or quiet shutdown). To a peer that takes
    /// the end of the connection for the end of a message, a message that is cut off here looks
    /// whole: choose a deadline that is longer than such messages take. A handshake fails with
    /// [`HandshakeError::Aborted`](crate::HandshakeError::Aborted). The owners then have one more
    /// second to drop their streams; one that is held without being polled is reported as
    /// [`still_open`](DrainReport::still_open).
    ///
    /// A tracker cannot be reused after this: streams that are registered later are aborted on
    /// first poll, whether the deadline has passed or all were closed before. Stop accepting first.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if dropped before the deadline, it has done nothing. Call it again, with another
    /// deadline if you like; the report counts from [`CloseTracker::begin_drain`] in any case.
    ///
    /// # Panics
    ///
    /// Panics on a runtime without a timer.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokio_tls_shutdown::{CloseTracker, DrainReport};
    ///
    /// /// A second signal shortens the deadline.
    /// async fn stop(tracker: &CloseTracker, again: impl Future<Output = ()>) -> DrainReport {
    ///     let drain = tracker.begin_drain();
    ///     tokio::select! {
    ///         report = drain.finish(Duration::from_secs(30)) => report,
    ///         () = again => drain.finish(Duration::ZERO).await,
    ///     }
    /// }
    /// ```
    pub async fn finish(&self, deadline: Duration) -> DrainReport {
        let _ = timeout(deadline, self.wait()).await;
        let aborted = self.registry.abort_all();
        let _ = timeout(GRACE, self.wait()).await;
        self.report(aborted)
    }

    async fn wait(&self) {
        Wait::new(&self.registry, Condition::Empty).await;
    }

    pub(super) fn report(&self, aborted: usize) -> DrainReport {
        let now = self.registry.snapshot();
        DrainReport {
            open_before: self.before.open,
            aborted,
            closed: now.stats.since(self.before.stats),
            still_open: now.open,
        }
    }
}

impl fmt::Debug for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Drain").finish_non_exhaustive()
    }
}

/// Result of a drain, from [`Drain::finish`] or [`CloseTracker::drain`].
///
/// No connection is missing from it: those that were open when the drain began, and those that were
/// made later, are either in [`closed`](Self::closed) or in [`still_open`](Self::still_open).
///
/// ```
/// use tokio_tls_shutdown::DrainReport;
///
/// /// Whether nothing was cut off.
/// fn is_whole(report: &DrainReport) -> bool {
///     report.closed.aborted == 0 && report.closed.failed == 0 && report.still_open == 0
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Number of connections that were open when the drain began.
    pub open_before: usize,
    /// Number of connections that were open at the deadline of this drain, and were aborted.
    ///
    /// Those whose owners saw it are in [`closed.aborted`](CloseStats::aborted), those whose owners
    /// closed or dropped them at the same moment are in [`closed`](Self::closed) by how they ended,
    /// and the others are [`still_open`](Self::still_open). Another drain of the same tracker counts
    /// for itself what was open at its own deadline.
    pub aborted: usize,
    /// How connections ended since the drain began.
    pub closed: CloseStats,
    /// Number of connections that were still not dropped one second after the deadline.
    pub still_open: usize,
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} open when the drain began: {}; {} aborted at the deadline, {} still open",
            self.open_before, self.closed, self.aborted, self.still_open
        )
    }
}

/// Future of [`CloseTracker::draining`].
#[derive(Clone)]
#[must_use = "futures do nothing unless polled"]
pub struct Draining(Wait);

impl Draining {
    pub(super) fn new(wait: Wait) -> Self {
        Self(wait)
    }
}

impl Future for Draining {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl fmt::Debug for Draining {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draining").finish_non_exhaustive()
    }
}
