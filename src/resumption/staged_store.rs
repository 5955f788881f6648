//! The sessions of one client connection, held back until it has ended well.

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

use super::{
    MAX_TICKETS, Retention, catch_store_panic, failed_offers::FailedOffers, stats::Counters,
};
use crate::event::{Event, Observer, SessionOutcome};

pub(super) struct StagedStore {
    store: Arc<dyn ClientSessionStore>,
    retention: Retention,
    counters: Arc<Counters>,
    failed_offers: Arc<FailedOffers>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    tickets: VecDeque<(ServerName<'static>, Tls13ClientSessionValue)>,
    session: Option<(ServerName<'static>, Tls12ClientSessionValue)>,
    /// The server whose TLS 1.2 session in the store this connection has resumed or published.
    used: Option<ServerName<'static>>,
    /// The server whose TLS 1.2 session in the store this connection has offered.
    offers: Option<ServerName<'static>>,
    /// The server whose TLS 1.2 session rustls has asked to remove.
    removes: Option<ServerName<'static>>,
    /// The connection has received a session: its handshake is finished.
    received: bool,
    published: bool,
    /// Sessions that the connection still receives are discarded.
    evicted: bool,
}

impl Held {
    fn len(&self) -> usize {
        self.tickets.len() + usize::from(self.session.is_some())
    }
}

impl StagedStore {
    pub(super) fn new(
        store: Arc<dyn ClientSessionStore>,
        retention: Retention,
        counters: Arc<Counters>,
        failed_offers: Arc<FailedOffers>,
    ) -> Self {
        let held = Held {
            published: retention == Retention::Always,
            ..Held::default()
        };
        Self {
            store,
            retention,
            counters,
            failed_offers,
            held: Mutex::new(held),
        }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes everything that is held. The store is called without the lock.
    fn take(&self, published: bool) -> Held {
        let mut held = self.held();
        let taken = Held {
            tickets: std::mem::take(&mut held.tickets),
            session: held.session.take(),
            used: held.used.take(),
            offers: held.offers.take(),
            removes: None,
            received: held.received,
            published: held.published,
            evicted: held.evicted,
        };
        held.published = published;
        held.evicted = !published;
        if published {
            held.used = (taken.session.as_ref())
                .map(|(name, _)| name.clone())
                .or_else(|| taken.used.clone());
        }
        self.counters.gone(taken.len());
        taken
    }

    fn publish(&self) {
        let held = self.take(true);
        for (name, ticket) in held.tickets {
            catch_store_panic(|| self.store.insert_tls13_ticket(name, ticket));
        }
        if let Some((name, session)) = held.session {
            catch_store_panic(|| self.store.set_tls12_session(name, session));
        }
    }

    fn evict(&self, end: SessionOutcome) {
        let held = self.take(false);
        let mut evicted = held.len();
        let fails = end == SessionOutcome::Failed && !held.received;
        let refused = (held.offers).filter(|name| fails && self.failed_offers.count(name));
        if let Some(name) = held.used.or(refused) {
            catch_store_panic(|| self.store.remove_tls12_session(&name));
            evicted += 1;
        }
        self.counters.evicted(evicted, end);
    }

    fn remove_if_asked(&self) {
        let removes = self.held().removes.take();
        if let Some(name) = removes {
            catch_store_panic(|| self.store.remove_tls12_session(&name));
        }
    }
}

impl fmt::Debug for StagedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The sessions are secret.
        f.debug_struct("StagedStore").finish_non_exhaustive()
    }
}

impl Observer for StagedStore {
    fn on_event(&self, event: Event) {
        match event {
            Event::Resumed => self.resumed(),
            Event::Ended(end) => self.end(end),
        }
    }
}

impl StagedStore {
    fn resumed(&self) {
        self.counters.resumed();
        self.remove_if_asked();
        let mut held = self.held();
        if let Some(name) = held.offers.take() {
            self.failed_offers.reset(&name);
            held.used = Some(name);
        }
    }

    fn end(&self, end: SessionOutcome) {
        if end == SessionOutcome::Closed {
            self.remove_if_asked();
        }
        match self.retention.keeps(end) {
            true => self.publish(),
            false => self.evict(end),
        }
    }
}

impl ClientSessionStore for StagedStore {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        catch_store_panic(|| self.store.set_kx_hint(server_name, group));
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        catch_store_panic(|| self.store.kx_hint(server_name))
    }

    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.counters.received();
        self.failed_offers.reset(&name);
        let mut held = self.held();
        held.received = true;
        if held.evicted {
            return;
        }
        if held.published {
            held.used = Some(name.clone());
            drop(held);
            catch_store_panic(|| self.store.set_tls12_session(name, value));
        } else if held.session.replace((name, value)).is_none() {
            self.counters.stored(1);
        }
    }

    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        let session = catch_store_panic(|| self.store.tls12_session(name))?;
        self.counters.offered();
        self.held().offers = Some(name.to_owned());
        Some(session)
    }

    /// Removes the session once the server has proven who it is.
    ///
    /// rustls asks for it when a TLS 1.3 handshake is finished, but also when a TLS 1.2 handshake
    /// fails, which anyone can cause who can write to the network.
    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.held().removes = Some(name.clone());
        if self.retention == Retention::Always {
            self.remove_if_asked();
        }
    }

    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.counters.received();
        self.remove_if_asked();
        let mut held = self.held();
        held.received = true;
        if held.evicted {
            return;
        }
        if held.published {
            drop(held);
            catch_store_panic(|| self.store.insert_tls13_ticket(name, value));
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
        let ticket = catch_store_panic(|| self.store.take_tls13_ticket(name))?;
        self.counters.offered();
        Some(ticket)
    }
}
