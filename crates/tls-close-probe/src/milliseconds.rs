//! Durations in reports.

use std::time::Duration;

/// With three digits, which is what a network can show.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}
