//! `ClientSessions`: the sessions that a client can resume.

use std::sync::Arc;

use rustls::client::{ClientSessionStore, Resumption, Tls12Resumption};

#[cfg(feature = "session-cache")]
use super::in_memory::InMemoryStore;
use super::{
    Retention, SessionStats, failed_offers::FailedOffers, staged_store::StagedStore,
    stats::Counters,
};
use crate::event::Observer;

/// The sessions that a client can resume, shared by all of its connections.
///
/// Cheap to clone; clones share the sessions. Pass it to
/// [`GracefulConnector::with_sessions`](crate::GracefulConnector::with_sessions).
///
/// Configurations can share sessions: rustls resumes a session only with the certificate verifier
/// and the client credentials that it was made with.
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
    InMemory(Arc<InMemoryStore>),
    Staged {
        store: Arc<dyn ClientSessionStore>,
        failed_offers: Arc<FailedOffers>,
    },
}

impl ClientSessions {
    /// Creates a new cache in memory for the sessions of up to `capacity` server names.
    ///
    /// The least recently used name is evicted first. For each name the cache holds up to 8
    /// TLS 1.3 tickets, one TLS 1.2 session and the last key exchange group. With a capacity of 0
    /// it holds nothing.
    ///
    /// A session can be resumed at once, also while the connection that received it is open. When
    /// a connection fails, or ends in a way that its [`Retention`] does not accept, the sessions
    /// that it received and the TLS 1.2 session that it resumed are evicted, and no others.
    ///
    /// A handshake that fails evicts nothing, as it does not prove who answered. Only after 3 such
    /// handshakes in a row is the TLS 1.2 session evicted that they offered. TLS 1.3 tickets are
    /// offered once, whatever happens then.
    #[cfg(feature = "session-cache")]
    #[must_use]
    pub fn in_memory(capacity: usize) -> Self {
        let counters = Arc::default();
        let store = InMemoryStore::new(capacity, Arc::clone(&counters));
        Self::new(Store::InMemory(Arc::new(store)), counters)
    }

    /// Creates a new value that keeps the sessions in `store`.
    ///
    /// Each connection holds its sessions back, and publishes them to the store when it has ended
    /// in a way that its [`Retention`] accepts: when both sides have closed, when a bidirectional
    /// or lingering close has ended, or when the stream is dropped. Up to 8 TLS 1.3 tickets, the
    /// newest, and one TLS 1.2 session are held back. With [`Retention::Always`] everything is
    /// published at once.
    ///
    /// When a connection fails, the TLS 1.2 session of its server name is removed from the store
    /// if the connection has resumed or published one. Published TLS 1.3 tickets cannot be
    /// removed, as a store does not say which connection published them. A handshake that fails
    /// removes nothing; only the third in a row removes the TLS 1.2 session that they offered.
    ///
    /// The store is called from within reads, closes and drops, and must not block for long. If it
    /// panics, the connection continues without it.
    #[must_use]
    pub fn with_store(store: Arc<dyn ClientSessionStore>) -> Self {
        let failed_offers = Arc::default();
        let store = Store::Staged {
            store,
            failed_offers,
        };
        Self::new(store, Arc::default())
    }

    fn new(store: Store, counters: Arc<Counters>) -> Self {
        Self {
            store,
            retention: Retention::default(),
            tls12: Tls12Resumption::SessionIdOrTickets,
            counters,
        }
    }

    /// Sets which sessions are kept when their connection ends. Defaults to
    /// [`Retention::CleanClose`].
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how TLS 1.2 sessions are resumed. Defaults to
    /// [`Tls12Resumption::SessionIdOrTickets`].
    ///
    /// This replaces the setting of the connector's configuration.
    #[must_use]
    pub fn with_tls12_resumption(mut self, how: Tls12Resumption) -> Self {
        self.tls12 = how;
        self
    }

    /// Returns how many sessions were received, offered, resumed and evicted so far.
    #[must_use]
    pub fn stats(&self) -> SessionStats {
        match &self.store {
            #[cfg(feature = "session-cache")]
            Store::InMemory(store) => store.stats(),
            Store::Staged { .. } => self.counters.read(),
        }
    }

    /// Returns the store for one connection, and the observer that evicts its sessions.
    pub(crate) fn open(&self) -> (Resumption, Arc<dyn Observer>) {
        match &self.store {
            #[cfg(feature = "session-cache")]
            Store::InMemory(store) => self.resumption(store.open(self.retention)),
            Store::Staged {
                store,
                failed_offers,
            } => self.resumption(StagedStore::new(
                Arc::clone(store),
                self.retention,
                Arc::clone(&self.counters),
                Arc::clone(failed_offers),
            )),
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
