//! The sessions of a client in memory, each with the connection that brought it.

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
    stats::{Counters, SessionStats},
};
use crate::{
    event::{Event, Observer, SessionOutcome},
    sync::{Mutex, MutexGuard},
};

#[cfg(test)]
mod tests;

/// What the connections share.
pub(super) struct Memory<T = Tls13ClientSessionValue, S = Tls12ClientSessionValue> {
    cache: Arc<Mutex<Cache<T, S>>>,
    counters: Arc<Counters>,
    next: AtomicU64,
}

impl<T, S> Memory<T, S> {
    pub(super) fn new(capacity: usize, counters: Arc<Counters>) -> Self {
        Self {
            cache: Arc::new(Mutex::new(Cache {
                servers: LruCache::unbounded(),
                capacity,
            })),
            counters,
            next: AtomicU64::new(0),
        }
    }

    pub(super) fn stats(&self) -> SessionStats {
        // What comes and what goes for it is counted under one lock.
        let _cache = lock(&self.cache);
        self.counters.read()
    }

    pub(super) fn open(&self, retention: Retention) -> Connection<T, S> {
        Connection {
            cache: Arc::clone(&self.cache),
            counters: Arc::clone(&self.counters),
            id: Id(self.next.fetch_add(1, Ordering::Relaxed)),
            retention,
            answers_for: Mutex::new(None),
            evicted: AtomicBool::new(false),
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is in the cache is secret.
        f.debug_struct("Memory").finish_non_exhaustive()
    }
}

/// Which connection has brought a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Id(u64);

struct Brought<V> {
    by: Id,
    value: V,
}

struct Cache<T, S> {
    servers: LruCache<ServerName<'static>, Server<T, S>>,
    capacity: usize,
}

/// What is known of one server.
struct Server<T, S> {
    hint: Option<NamedGroup>,
    /// Oldest first.
    tickets: VecDeque<Brought<T>>,
    session: Option<Brought<S>>,
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
    /// Changes what is known of a server. Returns how many sessions had to make room for it, or
    /// `None` if there is no room at all.
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

/// One connection: a store for rustls that knows who brings and who uses a session.
pub(super) struct Connection<T = Tls13ClientSessionValue, S = Tls12ClientSessionValue> {
    cache: Arc<Mutex<Cache<T, S>>>,
    counters: Arc<Counters>,
    id: Id,
    retention: Retention,
    answers_for: Mutex<Option<Answers>>,
    /// What it brings is no longer kept.
    evicted: AtomicBool,
}

/// What a connection answers for, beside what it has brought itself.
struct Answers {
    name: ServerName<'static>,
    /// Who has brought the TLS 1.2 session that it offers.
    offers: Option<Id>,
    resumed: bool,
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

    fn answer_for(&self, name: &ServerName<'_>, offers: Option<Id>) {
        let mut answers = lock(&self.answers_for);
        match &mut *answers {
            Some(answers) => answers.offers = answers.offers.or(offers),
            None => {
                *answers = Some(Answers {
                    name: name.to_owned(),
                    offers,
                    resumed: false,
                });
            }
        }
    }

    fn insert_ticket(&self, name: ServerName<'static>, value: T) {
        self.counters.received();
        self.answer_for(&name, None);
        let by = self.id;
        self.edit(name, |server| {
            let full = server.tickets.len() == MAX_TICKETS;
            if full {
                server.tickets.pop_front();
            }
            server.tickets.push_back(Brought { by, value });
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
        self.answer_for(&name, None);
        let by = self.id;
        self.edit(name, |server| {
            if server.session.replace(Brought { by, value }).is_none() {
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
        self.answer_for(name, Some(by));
        self.counters.offered();
        Some(value)
    }

    fn remove_session(&self, name: &ServerName<'static>) {
        let mut cache = lock(&self.cache);
        let removed = cache.servers.get_mut(name).and_then(|s| s.session.take());
        self.counters.gone(usize::from(removed.is_some()));
    }

    /// Evicts what this connection has brought or used, and nothing else.
    fn evict(&self, end: SessionOutcome) {
        self.evicted.store(true, Ordering::Relaxed);
        let answers = lock(&self.answers_for);
        let Some(answers) = &*answers else {
            return;
        };
        // A handshake that came to nothing says nothing of the session that it has offered.
        let uses = (answers.offers).filter(|_| answers.resumed || end == SessionOutcome::Failed);
        let mut cache = lock(&self.cache);
        let Some(server) = cache.servers.peek_mut(&answers.name) else {
            return;
        };
        let before = server.len();
        server.tickets.retain(|ticket| ticket.by != self.id);
        let session = server.session.take();
        server.session = session.filter(|s| s.by != self.id && Some(s.by) != uses);
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
        if let Some(answers) = &mut *lock(&self.answers_for) {
            answers.resumed = true;
        }
    }

    fn end(&self, end: SessionOutcome) {
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
