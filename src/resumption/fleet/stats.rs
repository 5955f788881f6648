//! Counts of a fleet's sessions, and the same as metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a [`FleetSessions`](super::FleetSessions) and its clones in this process.
///
/// With the feature `metrics`, the counters `tls_fleet_lookups_total` and `tls_fleet_writes_total`
/// have the same counts, with the label `result`.
///
/// ```
/// use tokio_tls_shutdown::resumption::fleet::FleetSessions;
///
/// fn report(sessions: &FleetSessions) {
///     let stats = sessions.stats();
///     println!("{} of {} lookups found a session", stats.hits, stats.lookups());
///     println!("{} writes were dropped", stats.writes_dropped);
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FleetStats {
    /// Lookups that found a session. It resumes unless rustls refuses it.
    pub hits: u64,
    /// Lookups that found nothing.
    pub misses: u64,
    /// Lookups that found only what could not be decrypted, had expired, or would live for longer
    /// than a [lifetime](super::FleetSessions::with_lifetime).
    pub rejected: u64,
    /// Lookups that the store did not answer in time.
    pub timed_out: u64,
    /// Lookups that the store answered with an error.
    pub failed: u64,
    /// Lookups that were not made, because the circuit was open.
    pub skipped: u64,
    /// Sessions and removals that the store has confirmed.
    pub written: u64,
    /// Sessions that the store did not take: an error, or no answer in time.
    pub writes_failed: u64,
    /// Sessions and removals that were dropped without an attempt: the queue was full, the circuit
    /// was open, there was no runtime, or the session was longer than 16 KiB.
    pub writes_dropped: u64,
    /// Batches of writes that were sent: round trips that no task waited for.
    pub batches: u64,
    /// Writes that wait in the queue now.
    pub queued: u64,
    /// The circuit of lookups is not closed: handshakes are full ones now.
    pub lookups_broken: bool,
    /// The circuit of writes is not closed: new sessions are dropped now.
    pub writes_broken: bool,
}

impl FleetStats {
    /// Returns the number of handshakes that waited for the store: one round trip each.
    #[must_use]
    pub const fn lookups(&self) -> u64 {
        self.hits + self.misses + self.rejected + self.timed_out + self.failed
    }
}

macro_rules! counters {
    ($Enum:ident of $metric:literal: $($(#[$doc:meta])* $Variant:ident => $label:literal),+ $(,)?) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum $Enum {
            $($(#[$doc])* $Variant),+
        }

        impl $Enum {
            #[cfg(feature = "metrics")]
            fn key(self) -> &'static metrics::Key {
                use metrics::{Key, Label};
                // Static, with their hashes: a key made here would allocate for each count.
                match self {
                    $(Self::$Variant => {
                        static LABELS: [Label; 1] = [Label::from_static_parts("result", $label)];
                        static KEY: Key = Key::from_static_parts($metric, &LABELS);
                        &KEY
                    })+
                }
            }
        }
    };
}

counters! {
    LookupResult of "tls_fleet_lookups_total":
    Hit => "hit",
    Miss => "miss",
    Rejected => "rejected",
    TimedOut => "timed_out",
    Failed => "failed",
    Skipped => "skipped",
}

counters! {
    WriteResult of "tls_fleet_writes_total":
    Written => "written",
    Failed => "failed",
    Dropped => "dropped",
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    lookups: [AtomicU64; 6],
    writes: [AtomicU64; 3],
    batches: AtomicU64,
}

impl Counters {
    pub(super) fn lookup(&self, result: LookupResult) {
        self.lookups[result as usize].fetch_add(1, Ordering::Relaxed);
        #[cfg(feature = "metrics")]
        count(result.key(), 1);
    }

    pub(super) fn write(&self, result: WriteResult, writes: usize) {
        if writes > 0 {
            self.writes[result as usize].fetch_add(writes as u64, Ordering::Relaxed);
            #[cfg(feature = "metrics")]
            count(result.key(), writes as u64);
        }
    }

    pub(super) fn batch(&self) {
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Everything but what the queue and the circuits know.
    pub(super) fn read(&self) -> FleetStats {
        let lookups = |result| self.lookups[result as usize].load(Ordering::Relaxed);
        let writes = |result| self.writes[result as usize].load(Ordering::Relaxed);
        FleetStats {
            hits: lookups(LookupResult::Hit),
            misses: lookups(LookupResult::Miss),
            rejected: lookups(LookupResult::Rejected),
            timed_out: lookups(LookupResult::TimedOut),
            failed: lookups(LookupResult::Failed),
            skipped: lookups(LookupResult::Skipped),
            written: writes(WriteResult::Written),
            writes_failed: writes(WriteResult::Failed),
            writes_dropped: writes(WriteResult::Dropped),
            batches: self.batches.load(Ordering::Relaxed),
            ..FleetStats::default()
        }
    }
}

#[cfg(feature = "metrics")]
fn count(key: &'static metrics::Key, n: u64) {
    use metrics::{Level, Metadata, with_recorder};

    static METADATA: Metadata<'static> =
        Metadata::new("tokio_tls_shutdown", Level::INFO, Some(module_path!()));
    with_recorder(|recorder| recorder.register_counter(key, &METADATA).increment(n));
}
