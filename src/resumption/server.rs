//! `ServerSessions`: what a server lets its clients resume.

use std::{
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::server::StoresServerSessions;

use super::{Retention, catch_store_panic};
use crate::event::{Event, Observer, SessionOutcome};

/// The sessions that the clients of a server can resume: TLS 1.2 session ids and TLS 1.3 stateful
/// tickets.
///
/// Cheap to clone; clones share the store. Give it to
/// [`GracefulAcceptor::with_sessions`](crate::GracefulAcceptor::with_sessions). When a connection
/// ends otherwise than its [`Retention`] asks for, the sessions that it has put into the store or
/// has resumed from there are taken out. [Stateless tickets](super#what-cannot-be-taken-back)
/// cannot be.
///
/// ```
/// use std::sync::Arc;
/// use tokio_tls_shutdown::{GracefulAcceptor, resumption::ServerSessions};
/// use tokio_tls_shutdown::tokio_rustls::rustls::{ServerConfig, server::ServerSessionMemoryCache};
///
/// fn acceptor(config: Arc<ServerConfig>) -> GracefulAcceptor {
///     let sessions = ServerSessions::new(ServerSessionMemoryCache::new(1024));
///     GracefulAcceptor::new(config).with_sessions(sessions)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ServerSessions {
    store: Arc<dyn StoresServerSessions>,
    retention: Retention,
}

impl ServerSessions {
    /// Keeps the sessions in `store`.
    ///
    /// It is called from within handshakes, closes and drops, and must not block for long. If it
    /// panics, the connection goes on without it.
    #[must_use]
    pub fn new(store: Arc<dyn StoresServerSessions>) -> Self {
        Self {
            store,
            retention: Retention::default(),
        }
    }

    /// Sets which sessions stay; [`Retention::CleanClose`] unless set.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Opens a connection: a store for rustls that knows it, and the ledger that ends it.
    pub(crate) fn open(&self) -> (Arc<dyn StoresServerSessions>, Arc<dyn Observer>) {
        let connection = Arc::new(Connection {
            store: Arc::clone(&self.store),
            retention: self.retention,
            keys: Mutex::default(),
        });
        let store: Arc<dyn StoresServerSessions> = Arc::<Connection>::clone(&connection);
        (store, connection)
    }
}

/// One connection, and the keys of the sessions that it answers for.
struct Connection {
    store: Arc<dyn StoresServerSessions>,
    retention: Retention,
    keys: Mutex<Keys>,
}

#[derive(Default)]
struct Keys {
    /// Brought or resumed.
    ours: Vec<Vec<u8>>,
    /// Asked for by a client that may have seen them somewhere.
    offered: Vec<Vec<u8>>,
}

impl Connection {
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys are secret.
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Observer for Connection {
    fn on_event(&self, event: Event) {
        match event {
            Event::Resumed => self.resumed(),
            Event::Ended(end) => self.end(end),
        }
    }
}

impl Connection {
    fn resumed(&self) {
        let Keys { ours, offered } = &mut *self.keys();
        ours.append(offered);
    }

    fn end(&self, end: SessionOutcome) {
        if self.retention.keeps(end) {
            return;
        }
        let Keys { mut ours, offered } = mem::take(&mut *self.keys());
        if end == SessionOutcome::Failed {
            ours.extend(offered);
        }
        for key in ours {
            catch_store_panic(|| self.store.take(&key));
        }
    }
}

impl StoresServerSessions for Connection {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let stored = catch_store_panic(|| self.store.put(key.clone(), value));
        if stored {
            self.keys().ours.push(key);
        }
        stored
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let session = catch_store_panic(|| self.store.get(key))?;
        self.keys().offered.push(key.to_vec());
        Some(session)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        catch_store_panic(|| self.store.take(key))
    }

    fn can_cache(&self) -> bool {
        catch_store_panic(|| self.store.can_cache())
    }
}
