//! `ClientSessions`: what a client can resume with.

use std::sync::Arc;

use rustls::client::{ClientSessionStore, Resumption, Tls12Resumption};

#[cfg(feature = "session-cache")]
use super::memory::Memory;
use super::{Retention, SessionStats, staged::Staged, stats::Counters};
use crate::event::Observer;

/// The sessions that a client can resume, shared by all of its connections.
///
/// Cheap to clone; clones share the sessions. Give it to
/// [`GracefulConnector::with_sessions`](crate::GracefulConnector::with_sessions). As with rustls's
/// own cache, rustls resumes a session only with the certificate verifier and the client
/// credentials that it was made with, so configurations that share sessions share those.
///
#[cfg_attr(feature = "session-cache", doc = "```")]
#[cfg_attr(not(feature = "session-cache"), doc = "```ignore")]
/// use std::sync::Arc;
/// use tokio_tls_shutdown::{GracefulConnector, resumption::ClientSessions};
/// use tokio_tls_shutdown::tokio_rustls::rustls::ClientConfig;
///
/// fn connector(config: Arc<ClientConfig>) -> GracefulConnector {
///     GracefulConnector::new(config).with_sessions(ClientSessions::in_memory(256))
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ClientSessions {
    store: Store,
    retention: Retention,
    tls12: Tls12Resumption,
    counters: Arc<Counters>,
}

#[derive(Clone, Debug)]
enum Store {
    #[cfg(feature = "session-cache")]
    Memory(Arc<Memory>),
    Staged(Arc<dyn ClientSessionStore>),
}

impl ClientSessions {
    /// Keeps the sessions of up to `capacity` server names in memory; the least recently used name
    /// goes first.
    ///
    /// For each name up to 8 TLS 1.3 tickets, one TLS 1.2 session and the last key exchange group.
    /// A session is usable at once, also while the connection that brought it is open. When a
    /// connection fails, or ends otherwise than its [`Retention`] asks for, the sessions that it
    /// brought and the TLS 1.2 session that it has resumed are evicted, and no others. With a
    /// capacity of 0 nothing is kept.
    #[cfg(feature = "session-cache")]
    #[must_use]
    pub fn in_memory(capacity: usize) -> Self {
        let counters = Arc::default();
        let memory = Memory::new(capacity, Arc::clone(&counters));
        Self::new(Store::Memory(Arc::new(memory)), counters)
    }

    /// Keeps the sessions in `store`, to which each connection publishes what it has brought when
    /// it has ended as its [`Retention`] asks for.
    ///
    /// That is when both sides have closed, when a bidirectional or lingering close has ended, or
    /// when the stream is dropped. Up to 8 TLS 1.3 tickets, the newest, and one TLS 1.2 session
    /// wait for it. With [`Retention::Always`] everything is published at once.
    ///
    /// When a connection fails, the TLS 1.2 session of its server name is removed from the store
    /// if the connection has resumed or published one. Tickets that are published cannot be taken
    /// back, as a store does not say whose they are.
    ///
    /// The store is called from within reads, closes and drops, and must not block for long. If it
    /// panics, the connection goes on without it.
    #[must_use]
    pub fn staged(store: Arc<dyn ClientSessionStore>) -> Self {
        Self::new(Store::Staged(store), Arc::default())
    }

    fn new(store: Store, counters: Arc<Counters>) -> Self {
        Self {
            store,
            retention: Retention::default(),
            tls12: Tls12Resumption::SessionIdOrTickets,
            counters,
        }
    }

    /// Sets which sessions stay; [`Retention::CleanClose`] unless set.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how TLS 1.2 sessions are resumed; by session id or by ticket unless set. This takes
    /// the place of what the connector's configuration says.
    #[must_use]
    pub fn with_tls12_resumption(mut self, how: Tls12Resumption) -> Self {
        self.tls12 = how;
        self
    }

    /// Returns what has become of the sessions so far.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        match &self.store {
            #[cfg(feature = "session-cache")]
            Store::Memory(memory) => memory.stats(),
            Store::Staged(_) => self.counters.read(),
        }
    }

    /// Opens a connection: a store for rustls that knows it, and the ledger that ends it.
    pub(crate) fn open(&self) -> (Resumption, Arc<dyn Observer>) {
        match &self.store {
            #[cfg(feature = "session-cache")]
            Store::Memory(memory) => self.resumption(memory.open(self.retention)),
            Store::Staged(store) => {
                let (store, counters) = (Arc::clone(store), Arc::clone(&self.counters));
                self.resumption(Staged::new(store, self.retention, counters))
            }
        }
    }

    fn resumption<C>(&self, connection: C) -> (Resumption, Arc<dyn Observer>)
    where
        C: ClientSessionStore + Observer + 'static,
    {
        let connection = Arc::new(connection);
        let store: Arc<dyn ClientSessionStore> = Arc::<C>::clone(&connection);
        let resumption = Resumption::store(store).tls12_resumption(self.tls12);
        (resumption, connection)
    }
}
