//! The sessions of one connection, held back until it has ended well.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::{
    NamedGroup,
    client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue},
    pki_types::ServerName,
};

use super::{MAX_TICKETS, Retention, guarded, stats::Counters};
use crate::event::{Event, Observer, SessionOutcome};

pub(super) struct Staged {
    store: Arc<dyn ClientSessionStore>,
    retention: Retention,
    counters: Arc<Counters>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    tickets: VecDeque<(ServerName<'static>, Tls13ClientSessionValue)>,
    session: Option<(ServerName<'static>, Tls12ClientSessionValue)>,
    /// Whose TLS 1.2 session in the store this connection has resumed or published.
    answers_for: Option<ServerName<'static>>,
    /// Whose TLS 1.2 session in the store this connection has offered.
    offers: Option<ServerName<'static>>,
    published: bool,
    /// What comes is no longer kept.
    evicted: bool,
}

impl Held {
    fn len(&self) -> usize {
        self.tickets.len() + usize::from(self.session.is_some())
    }
}

impl Staged {
    pub(super) fn new(
        store: Arc<dyn ClientSessionStore>,
        retention: Retention,
        counters: Arc<Counters>,
    ) -> Self {
        let held = Held {
            published: retention == Retention::Always,
            ..Held::default()
        };
        Self {
            store,
            retention,
            counters,
            held: Mutex::new(held),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties what is held. The store is called without the lock.
    fn take(&self, published: bool) -> Held {
        let mut held = self.held();
        let taken = Held {
            tickets: std::mem::take(&mut held.tickets),
            session: held.session.take(),
            answers_for: held.answers_for.take(),
            offers: held.offers.take(),
            published: held.published,
            evicted: held.evicted,
        };
        held.published = published;
        held.evicted = !published;
        if published {
            held.answers_for = (taken.session.as_ref())
                .map(|(name, _)| name.clone())
                .or_else(|| taken.answers_for.clone());
        }
        self.counters.gone(taken.len());
        taken
    }

    fn publish(&self) {
        let held = self.take(true);
        for (name, ticket) in held.tickets {
            guarded(|| self.store.insert_tls13_ticket(name, ticket));
        }
        if let Some((name, session)) = held.session {
            guarded(|| self.store.set_tls12_session(name, session));
        }
    }

    fn evict(&self, end: SessionOutcome) {
        let held = self.take(false);
        let mut evicted = held.len();
        // A handshake that came to nothing says nothing of the session that it has offered.
        let offered = held.offers.filter(|_| end == SessionOutcome::Failed);
        if let Some(name) = held.answers_for.or(offered) {
            guarded(|| self.store.remove_tls12_session(&name));
            evicted += 1;
        }
        self.counters.evicted(evicted, end);
    }
}

impl fmt::Debug for Staged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What is held is secret.
        f.debug_struct("Staged").finish_non_exhaustive()
    }
}

impl Observer for Staged {
    fn on_event(&self, event: Event) {
        match event {
            Event::Resumed => self.resumed(),
            Event::Ended(end) => self.end(end),
        }
    }
}

impl Staged {
    fn resumed(&self) {
        self.counters.resumed();
        let mut held = self.held();
        if let Some(name) = held.offers.take() {
            held.answers_for = Some(name);
        }
    }

    fn end(&self, end: SessionOutcome) {
        match self.retention.keeps(end) {
            true => self.publish(),
            false => self.evict(end),
        }
    }
}

impl ClientSessionStore for Staged {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        guarded(|| self.store.set_kx_hint(server_name, group));
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        guarded(|| self.store.kx_hint(server_name))
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.counters.received();
        let mut held = self.held();
        if held.evicted {
            return;
        }
        if held.published {
            held.answers_for = Some(name.clone());
            drop(held);
            guarded(|| self.store.set_tls12_session(name, value));
        } else if held.session.replace((name, value)).is_none() {
            self.counters.stored(1);
        }
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let session = guarded(|| self.store.tls12_session(name))?;
        self.counters.offered();
        self.held().offers = Some(name.to_owned());
        Some(session)
    }

    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        guarded(|| self.store.remove_tls12_session(name));
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.counters.received();
        let mut held = self.held();
        if held.evicted {
            return;
        }
        if held.published {
            drop(held);
            guarded(|| self.store.insert_tls13_ticket(name, value));
            return;
        }
        match held.tickets.len() < MAX_TICKETS {
            true => self.counters.stored(1),
            false => {
                held.tickets.pop_front();
                self.counters.displaced(1);
            }
        }
        held.tickets.push_back((name, value));
    }

    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let ticket = guarded(|| self.store.take_tls13_ticket(name))?;
        self.counters.offered();
        Some(ticket)
    }
}
