//! Statistics of a client's sessions.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::event::SessionOutcome;

/// Counts of the sessions of a [`ClientSessions`](super::ClientSessions).
///
/// A session is a TLS 1.3 ticket or a TLS 1.2 session here.
///
/// ```
/// use tokio_tls_shutdown::resumption::ClientSessions;
///
/// fn report(sessions: &ClientSessions) {
///     let stats = sessions.stats();
///     println!("{} sessions received, {} resumed", stats.received, stats.resumed);
///     println!("{} lost to connections that were dropped", stats.evicted_dropped);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionStats {
    /// Sessions that are held now: in memory, or, with the user's store, by open connections that
    /// have not published them.
    pub stored: u64,
    /// Sessions received from servers.
    pub received: u64,
    /// Sessions handed to rustls to be offered to a server. rustls does not offer those that have
    /// expired.
    pub offered: u64,
    /// Connections that resumed a session.
    pub resumed: u64,
    /// Sessions evicted because their connection failed.
    pub evicted_failed: u64,
    /// Sessions evicted because their connection was dropped without a close.
    pub evicted_dropped: u64,
    /// Sessions displaced by newer ones.
    pub evicted_full: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    stored: AtomicU64,
    received: AtomicU64,
    offered: AtomicU64,
    resumed: AtomicU64,
    evicted_failed: AtomicU64,
    evicted_dropped: AtomicU64,
    evicted_full: AtomicU64,
}

fn add(counter: &AtomicU64, n: usize) {
    counter.fetch_add(n as u64, Ordering::Relaxed);
}

impl Counters {
    pub(super) fn received(&self) {
        add(&self.received, 1);
    }

    pub(super) fn offered(&self) {
        add(&self.offered, 1);
    }

    pub(super) fn resumed(&self) {
        add(&self.resumed, 1);
    }

    pub(super) fn stored(&self, n: usize) {
        add(&self.stored, n);
    }

    pub(super) fn gone(&self, n: usize) {
        self.stored.fetch_sub(n as u64, Ordering::Relaxed);
    }

    pub(super) fn displaced(&self, n: usize) {
        add(&self.evicted_full, n);
    }

    pub(super) fn evicted(&self, n: usize, end: SessionOutcome) {
        match end {
            SessionOutcome::Failed => add(&self.evicted_failed, n),
            SessionOutcome::Dropped => add(&self.evicted_dropped, n),
            SessionOutcome::Closed => {}
        }
    }

    pub(super) fn read(&self) -> SessionStats {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SessionStats {
            stored: read(&self.stored),
            received: read(&self.received),
            offered: read(&self.offered),
            resumed: read(&self.resumed),
            evicted_failed: read(&self.evicted_failed),
            evicted_dropped: read(&self.evicted_dropped),
            evicted_full: read(&self.evicted_full),
        }
    }
}
