//! One event and one count for each close, where the features `tracing` and `metrics` ask for
//! them.

use std::fmt;

use crate::{event::Role, tracker::record::Outcome};

/// Whether anybody asks.
pub(crate) const WANTED: bool = cfg!(any(feature = "tracing", feature = "metrics"));

/// What is worth telling of a close that nobody else remembers. Empty where nobody asks.
#[derive(Debug, Default)]
pub(crate) struct Observation {
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    began: Option<tokio::time::Instant>,
    #[cfg(any(feature = "tracing", feature = "metrics"))]
    took: Option<std::time::Duration>,
    #[cfg(feature = "tracing")]
    error: Option<String>,
}

impl Observation {
    /// A step of the close begins.
    pub(crate) fn begins(&mut self) {
        #[cfg(any(feature = "tracing", feature = "metrics"))]
        self.began.get_or_insert_with(tokio::time::Instant::now);
    }

    /// The close, or a part of it, has ended.
    pub(crate) fn ends(&mut self) {
        #[cfg(any(feature = "tracing", feature = "metrics"))]
        {
            self.took = self.began.map(|began| began.elapsed());
        }
    }

    /// Something has failed; what failed first counts.
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
    pub(crate) fn fails(&mut self, error: &dyn fmt::Display) {
        #[cfg(feature = "tracing")]
        self.error.get_or_insert_with(|| error.to_string());
    }

    /// Tells of the close.
    #[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
    pub(crate) fn tell(&self, role: Role, outcome: Outcome, discarded: u64) {
        #[cfg(feature = "tracing")]
        tracing::debug!(
            role = role.name(),
            outcome = outcome.name(),
            discarded,
            took = self.took.map(tracing::field::debug),
            error = self.error.as_deref(),
            "TLS connection closed",
        );
        #[cfg(feature = "metrics")]
        {
            let labels = [("role", role.name()), ("outcome", outcome.name())];
            metrics::counter!("tls_closes_total", &labels).increment(1);
            if let Some(took) = self.took {
                metrics::histogram!("tls_close_seconds", &labels).record(took);
            }
        }
    }
}
