//! One log line for each change of a circuit, with the feature `tracing`.

use super::circuit::Change;

pub(super) fn lookups_changed(change: Change) {
    match change {
        Change::Opened => warn("the session store does not answer lookups: handshakes are full"),
        Change::Closed => info("the session store answers lookups again"),
    }
}

pub(super) fn writes_changed(change: Change) {
    match change {
        Change::Opened => warn("the session store does not take writes: new sessions are dropped"),
        Change::Closed => info("the session store takes writes again"),
    }
}

#[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
fn warn(text: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "tokio_tls_shutdown", "{text}");
}

#[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
fn info(text: &'static str) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "tokio_tls_shutdown", "{text}");
}
