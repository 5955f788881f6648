//! One event and one count for each close, if the features `tracing` and `metrics` are on and
//! there is a listener.
//!
//! Without one, a close must cost next to nothing: no clock is read, nothing is formatted and
//! nothing is allocated before a listener was found.

use std::{fmt, time::Duration};

use tokio::time::Instant;

use crate::{event::Role, tracker::stats::CloseOutcome};

/// Whether a listener is possible: `tracing` or `metrics` is on.
pub(crate) const WANTED: bool = cfg!(any(feature = "tracing", feature = "metrics"));

/// The target of the event: a filter stays valid when files move.
#[cfg(feature = "tracing")]
const TARGET: &str = "tokio_tls_shutdown";

/// What is observed of one close: of a connection, by its record, or of one call on a plain stream.
/// Empty while there is no listener.
#[derive(Debug, Default)]
pub(crate) struct CloseSpan(Option<Box<Observed>>);

#[derive(Debug, Default)]
struct Observed {
    /// What the event and the user's callback run in.
    #[cfg(feature = "tracing")]
    span: Option<tracing::Span>,
    started: Option<Instant>,
    took: Option<Duration>,
    error: Option<String>,
}

impl CloseSpan {
    /// For a call: its event is emitted in the span of the task that closes.
    pub(crate) const fn of_call() -> Self {
        Self(None)
    }

    /// For a connection: its event is emitted in the span that is current now, where the user has
    /// put the name of the peer, and not in that of the task that drops the stream.
    pub(crate) fn of_connection() -> Self {
        let mut this = Self::default();
        this.on_span_known();
        this
    }

    /// The user may be in the span of the connection now: a handshake is often begun by an accept
    /// loop and polled in a task that has a span of its own. The last one that there was counts.
    pub(crate) fn on_span_known(&mut self) {
        if self.0.is_some() || traces() {
            self.observe_connection();
        }
    }

    /// Observes although neither tracing nor metrics listen: a tracker wants a report.
    pub(crate) fn observe_connection(&mut self) {
        #[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
        let observed = self.0.get_or_insert_default();
        #[cfg(feature = "tracing")]
        {
            let current = tracing::Span::current();
            if !current.is_disabled() {
                observed.span = Some(current);
            }
        }
    }

    /// A step of the close begins.
    pub(crate) fn start(&mut self) {
        if self.0.is_none() && listens() {
            self.0 = Some(Box::default());
        }
        if let Some(observed) = &mut self.0 {
            observed.started.get_or_insert_with(Instant::now);
        }
    }

    /// The close, or a part of it, has ended.
    pub(crate) fn stop(&mut self) {
        if let Some(observed) = &mut self.0 {
            observed.took = observed.started.map(|started| started.elapsed());
        }
    }

    /// Something has failed; what failed first counts.
    pub(crate) fn record_error(&mut self, error: &dyn fmt::Display) {
        if self.0.is_none() && traces() {
            self.0 = Some(Box::default());
        }
        if let Some(observed) = &mut self.0 {
            observed.error.get_or_insert_with(|| error.to_string());
        }
    }

    /// Returns how long the close took.
    pub(crate) fn took(&self) -> Option<Duration> {
        self.0.as_ref()?.took
    }

    /// Returns the text of the first error.
    pub(crate) fn error(&self) -> Option<&str> {
        self.0.as_ref()?.error.as_deref()
    }

    /// Runs `work` in the span of the connection.
    pub(crate) fn in_scope<T>(&self, work: impl FnOnce() -> T) -> T {
        #[cfg(feature = "tracing")]
        if let Some(span) = self.0.as_ref().and_then(|observed| observed.span.as_ref()) {
            return span.in_scope(work);
        }
        work()
    }

    /// Returns `true` if there was a listener when the close began. A call need not ask again at its
    /// end; the record of a connection, which may live for days, does.
    pub(crate) fn is_observed(&self) -> bool {
        self.0.is_some()
    }

    /// Emits the event, and counts the close.
    pub(crate) fn emit(&self, role: Role, outcome: CloseOutcome, discarded: u64) {
        if self.is_observed() || listens() {
            self.emit_observed(role, outcome, discarded);
        }
    }

    #[inline(never)]
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
    fn emit_observed(&self, role: Role, outcome: CloseOutcome, discarded: u64) {
        #[cfg(feature = "tracing")]
        if traces() {
            // Entered, and not named as its parent: filters look at what is entered.
            self.in_scope(|| {
                tracing::debug!(
                    target: TARGET,
                    role = role.as_str(),
                    outcome = outcome.as_str(),
                    discarded,
                    took = self.took().map(tracing::field::debug),
                    error = self.error(),
                    "TLS connection closed",
                );
            });
        }
        #[cfg(feature = "metrics")]
        recorder::count(role, outcome, self.took());
    }
}

/// Returns `true` if a close may have a listener.
#[inline]
fn listens() -> bool {
    traces() || measures()
}

/// Returns `true` if the event may have a listener. Where it has none, a level is one load.
fn traces() -> bool {
    #[cfg(feature = "tracing")]
    return tracing::enabled!(target: TARGET, tracing::Level::DEBUG);
    #[cfg(not(feature = "tracing"))]
    false
}

/// Returns `true` if there is a recorder of how long a close takes.
fn measures() -> bool {
    #[cfg(feature = "metrics")]
    return recorder::is_installed();
    #[cfg(not(feature = "metrics"))]
    false
}

#[cfg(feature = "metrics")]
pub(super) mod recorder {
    use std::{cell::Cell, mem::size_of_val, time::Duration};

    use metrics::{IntoF64, Key, Label, Level, Metadata, with_recorder};

    use super::{CloseOutcome, Role};

    static METADATA: Metadata<'static> =
        Metadata::new("tokio_tls_shutdown", Level::INFO, Some(module_path!()));

    pub(super) fn count(role: Role, outcome: CloseOutcome, took: Option<Duration>) {
        let Keys { closes, seconds } = keys(role, outcome);
        with_recorder(|recorder| {
            recorder.register_counter(closes, &METADATA).increment(1);
            if let Some(took) = took {
                let histogram = recorder.register_histogram(seconds, &METADATA);
                histogram.record(took);
            }
        });
    }

    /// Returns `true` unless the recorder is the one that stands for none.
    ///
    /// `metrics` does not say so, and reading the clock costs more than all the rest. Its recorder
    /// that does nothing has no size; of one that has none either it is asked whether a value for a
    /// histogram would be looked at. "Zero times" records nothing.
    pub(super) fn is_installed() -> bool {
        struct Probe<'a>(&'a Cell<bool>);

        impl IntoF64 for Probe<'_> {
            fn into_f64(self) -> f64 {
                self.0.set(true);
                0.0
            }
        }

        with_recorder(|recorder| {
            if size_of_val(recorder) > 0 {
                return true;
            }
            let looked_at = Cell::new(false);
            let Keys { seconds, .. } = keys(Role::Server, CloseOutcome::Clean);
            let histogram = recorder.register_histogram(seconds, &METADATA);
            histogram.record_many(Probe(&looked_at), 0);
            looked_at.get()
        })
    }

    pub(in crate::tracker) struct Keys {
        pub(in crate::tracker) closes: &'static Key,
        pub(in crate::tracker) seconds: &'static Key,
    }

    /// All static, with their hashes: a key made here would allocate its labels for each close.
    pub(in crate::tracker) fn keys(role: Role, outcome: CloseOutcome) -> Keys {
        macro_rules! keys {
            ($Role:ident, $Outcome:ident) => {{
                static LABELS: [Label; 2] = [
                    Label::from_static_parts("role", Role::$Role.as_str()),
                    Label::from_static_parts("outcome", CloseOutcome::$Outcome.as_str()),
                ];
                static CLOSES: Key = Key::from_static_parts("tls_closes_total", &LABELS);
                static SECONDS: Key = Key::from_static_parts("tls_close_seconds", &LABELS);
                Keys {
                    closes: &CLOSES,
                    seconds: &SECONDS,
                }
            }};
            ($($Outcome:ident)*) => {
                match (role, outcome) {
                    $(
                        (Role::Client, CloseOutcome::$Outcome) => keys!(Client, $Outcome),
                        (Role::Server, CloseOutcome::$Outcome) => keys!(Server, $Outcome),
                    )*
                }
            };
        }
        keys! {
            Clean OneWay Eof Reset ResetAfterCloseNotify TimedOut DiscardLimit Failed Dropped
            Aborted
        }
    }
}
