//! Counts the handshakes that fail after a client has offered a TLS 1.2 session.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use rustls::pki_types::ServerName;

/// After so many failed handshakes in a row the session that they have offered is evicted.
///
/// One alone proves nothing: anyone who can write to the network can make a handshake fail. But a
/// server that answers each attempt to resume with a failure must not be out of reach until the
/// session expires.
const LIMIT: u8 = 3;

/// Bounds the memory; when it is reached, the counts start again.
const MAX_NAMES: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct FailedOffers(Mutex<HashMap<ServerName<'static>, u8>>);

impl FailedOffers {
    /// Counts a failed handshake with `name`. Returns `true` if the session that it has offered
    /// has to go.
    pub(super) fn count(&self, name: &ServerName<'static>) -> bool {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_NAMES && !counts.contains_key(name) {
            counts.clear();
        }
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        let reached = *count >= LIMIT;
        if reached {
            counts.remove(name);
        }
        reached
    }

    /// A handshake with `name` was finished.
    pub(super) fn reset(&self, name: &ServerName<'_>) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !counts.is_empty() {
            counts.remove(&name.to_owned());
        }
    }
}
