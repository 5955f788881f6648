//! The sessions of a client in memory, each with the connection that received it.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use lru::LruCache;
use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

use super::{
    MAX_TICKETS, Retention,
    failed_offers::FailedOffers,
    stats::{Counters, SessionStats},
};
use crate::{
    event::{Event, Observer, SessionOutcome},
    sync::{Mutex, MutexGuard},
};

#[cfg(test)]
mod tests;

/// What the connections share.
pub(super) struct InMemoryStore<T = Tls13ClientSessionValue, S = Tls12ClientSessionValue> {
    cache: Arc<Mutex<Cache<T, S>>>,
    counters: Arc<Counters>,
    failed_offers: Arc<FailedOffers>,
    next: AtomicU64,
}

impl<T, S> InMemoryStore<T, S> {
    pub(super) fn new(capacity: usize, counters: Arc<Counters>) -> Self {
        Self {
            cache: Arc::new(Mutex::new(Cache {
                servers: LruCache::unbounded(),
                capacity,
            })),
            counters,
            failed_offers: Arc::default(),
            next: AtomicU64::new(0),
        }
    }

    pub(super) fn stats(&self) -> SessionStats {
        // The lock keeps "stored" consistent: a session and the one that it displaces are counted
        // under it.
        let _cache = lock(&self.cache);
        self.counters.read()
    }

    pub(super) fn open(&self, retention: Retention) -> Connection<T, S> {
        Connection {
            cache: Arc::clone(&self.cache),
            counters: Arc::clone(&self.counters),
            failed_offers: Arc::clone(&self.failed_offers),
            id: Id(self.next.fetch_add(1, Ordering::Relaxed)),
            retention,
            usage: Mutex::new(None),
            evicted: AtomicBool::new(false),
        }
    }
}

impl fmt::Debug for InMemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The sessions are secret.
        f.debug_struct("InMemoryStore").finish_non_exhaustive()
    }
}

/// Identifies a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id(u64);

/// A session and the connection that received it.
struct Received<V> {
    by: Id,
    value: V,
}

struct Cache<T, S> {
    servers: LruCache<ServerName<'static>, Server<T, S>>,
    capacity: usize,
}

/// The sessions of one server name.
struct Server<T, S> {
    hint: Option<NamedGroup>,
    /// Oldest first.
    tickets: VecDeque<Received<T>>,
    session: Option<Received<S>>,
}

impl<T, S> Server<T, S> {
    const EMPTY: Self = Self {
        hint: None,
        tickets: VecDeque::new(),
        session: None,
    };

    fn len(&self) -> usize {
        self.tickets.len() + usize::from(self.session.is_some())
    }
}

impl<T, S> Cache<T, S> {
    /// Edits the entry of a server name. Returns how many sessions were displaced, or `None` if the
    /// capacity is 0.
    fn edit(
        &mut self,
        name: ServerName<'static>,
        edit: impl FnOnce(&mut Server<T, S>) -> usize,
    ) -> Option<usize> {
        if self.capacity == 0 {
            return None;
        }
        let displaced = edit(self.servers.get_or_insert_mut(name, || Server::EMPTY));
        match self.servers.len() > self.capacity {
            true => Some(displaced + self.servers.pop_lru().map_or(0, |(_, s)| s.len())),
            false => Some(displaced),
        }
    }
}

/// The store as one connection sees it.
pub(super) struct Connection<T = Tls13ClientSessionValue, S = Tls12ClientSessionValue> {
    cache: Arc<Mutex<Cache<T, S>>>,
    counters: Arc<Counters>,
    failed_offers: Arc<FailedOffers>,
    id: Id,
    retention: Retention,
    usage: Mutex<Option<Usage>>,
    /// Sessions that the connection still receives are discarded.
    evicted: AtomicBool,
}

/// How the connection has used the sessions of its server.
struct Usage {
    name: ServerName<'static>,
    /// Which connection received the TLS 1.2 session that this one offers.
    offers: Option<Id>,
    resumed: bool,
    /// The connection has received a session: its handshake is finished.
    received: bool,
    /// rustls has asked to remove the TLS 1.2 session.
    removes: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T, S> Connection<T, S> {
    fn edit(&self, name: ServerName<'static>, edit: impl FnOnce(&mut Server<T, S>) -> usize) {
        if self.evicted.load(Ordering::Relaxed) {
            return;
        }
        let mut cache = lock(&self.cache);
        if let Some(displaced) = cache.edit(name, edit) {
            self.counters.displaced(displaced);
            self.counters.gone(displaced);
        }
    }

    fn with_usage<R>(&self, name: &ServerName<'_>, edit: impl FnOnce(&mut Usage) -> R) -> R {
        edit(lock(&self.usage).get_or_insert_with(|| Usage {
            name: name.to_owned(),
            offers: None,
            resumed: false,
            received: false,
            removes: false,
        }))
    }

    fn insert_ticket(&self, name: ServerName<'static>, value: T) {
        self.counters.received();
        self.with_usage(&name, |usage| usage.received = true);
        self.remove_if_asked();
        let by = self.id;
        self.edit(name, |server| {
            let full = server.tickets.len() == MAX_TICKETS;
            if full {
                server.tickets.pop_front();
            }
            server.tickets.push_back(Received { by, value });
            self.counters.stored(1);
            usize::from(full)
        });
    }

    fn take_ticket(&self, name: &ServerName<'static>) -> Option<T> {
        let mut cache = lock(&self.cache);
        let ticket = cache.servers.get_mut(name)?.tickets.pop_back()?;
        self.counters.gone(1);
        self.counters.offered();
        Some(ticket.value)
    }

    fn set_session(&self, name: ServerName<'static>, value: S) {
        self.counters.received();
        self.with_usage(&name, |usage| usage.received = true);
        self.failed_offers.reset(&name);
        let by = self.id;
        self.edit(name, |server| {
            if server.session.replace(Received { by, value }).is_none() {
                self.counters.stored(1);
            }
            0
        });
    }

    fn session(&self, name: &ServerName<'_>) -> Option<S>
    where
        S: Clone,
    {
        let mut cache = lock(&self.cache);
        let session = cache.servers.get(&name.to_owned())?.session.as_ref()?;
        let (by, value) = (session.by, session.value.clone());
        drop(cache);
        self.with_usage(name, |usage| usage.offers = usage.offers.or(Some(by)));
        self.counters.offered();
        Some(value)
    }

    /// Removes the TLS 1.2 session of the server once it has proven who it is.
    ///
    /// rustls asks for it when a TLS 1.3 handshake is finished, but also when a TLS 1.2 handshake
    /// fails, which anyone can cause who can write to the network.
    fn remove_session(&self, name: &ServerName<'static>) {
        self.with_usage(name, |usage| usage.removes = true);
        if self.retention == Retention::Always {
            self.remove_if_asked();
        }
    }

    fn remove_if_asked(&self) {
        let mut usage = lock(&self.usage);
        let Some(usage) = usage.as_mut().filter(|usage| usage.removes) else {
            return;
        };
        usage.removes = false;
        let mut cache = lock(&self.cache);
        let server = cache.servers.peek_mut(&usage.name);
        let removed = server.and_then(|server| server.session.take());
        self.counters.gone(usize::from(removed.is_some()));
    }

    /// Evicts the sessions that this connection received or resumed, and no others.
    fn evict(&self, end: SessionOutcome) {
        self.evicted.store(true, Ordering::Relaxed);
        let usage = lock(&self.usage);
        let Some(usage) = &*usage else {
            return;
        };
        let fails = end == SessionOutcome::Failed && !usage.received;
        let used = (usage.offers)
            .filter(|_| usage.resumed || fails && self.failed_offers.count(&usage.name));
        let mut cache = lock(&self.cache);
        let Some(server) = cache.servers.peek_mut(&usage.name) else {
            return;
        };
        let before = server.len();
        server.tickets.retain(|ticket| ticket.by != self.id);
        let session = server.session.take();
        server.session = session.filter(|s| s.by != self.id && Some(s.by) != used);
        let evicted = before - server.len();
        self.counters.gone(evicted);
        self.counters.evicted(evicted, end);
    }
}

impl<T, S> fmt::Debug for Connection<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl<T: Send, S: Send> Observer for Connection<T, S> {
    fn on_event(&self, event: Event) {
        match event {
            Event::Resumed => self.resumed(),
            Event::Ended(end) => self.end(end),
        }
    }
}

impl<T, S> Connection<T, S> {
    fn resumed(&self) {
        self.counters.resumed();
        self.remove_if_asked();
        if let Some(usage) = &mut *lock(&self.usage) {
            usage.resumed = true;
            self.failed_offers.reset(&usage.name);
        }
    }

    fn end(&self, end: SessionOutcome) {
        if end == SessionOutcome::Closed {
            self.remove_if_asked();
        }
        if !self.retention.keeps(end) {
            self.evict(end);
        }
    }
}

impl ClientSessionStore for Connection {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.edit(server_name, |server| {
            server.hint = Some(group);
            0
        });
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        lock(&self.cache).servers.get(&server_name.to_owned())?.hint
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.set_session(name, value);
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.session(name)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.remove_session(name);
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.insert_ticket(name, value);
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.take_ticket(name)
    }
}
