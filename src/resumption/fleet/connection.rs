//! The sessions of one connection: looked up before its handshake, written after its end.

use std::{
    collections::HashMap,
    mem,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustls::{ProtocolVersion, ServerConfig};
use tokio::{runtime::Handle, task::JoinHandle};

use super::{
    Shared, call,
    call::Unanswered,
    client_hello::Offer,
    keys::{Key, MAX_SESSION},
    stats::{LookupResult, WriteResult},
    store::{Lookup, Write},
};
use crate::resumption::{Retention, context::Context};

/// rustls's session ids and stateful tickets are so long. Others are not looked up.
const ID: usize = 32;

/// How many tickets of a ClientHello are looked up. Clients offer one or two; more would let one
/// ClientHello load the store, and take many tickets.
const MAX_TICKETS: usize = 4;

/// How far the clocks of a fleet may differ, in seconds.
const CLOCK_SKEW: u64 = 60;

/// What rustls sees as the store of one connection. It never waits: what it does not have was not
/// found.
pub(crate) struct FleetConnection {
    shared: Arc<Shared>,
    timeout: Duration,
    lifetime: Duration,
    publishes_at_once: bool,
    context: Context,
    config: Arc<ServerConfig>,
    offers_tls13: AtomicBool,
    sessions: Mutex<Sessions>,
}

struct Sessions {
    /// By the id that rustls asks for, with the context appended.
    found: HashMap<Vec<u8>, Found>,
    created: Created,
}

struct Found {
    session: Vec<u8>,
    expires: u64,
    /// It is no longer in the store.
    was_taken: bool,
    /// rustls has taken it.
    is_in_use: bool,
}

/// The sessions that the connection has created.
enum Created {
    /// Not published: the connection has not ended.
    Held(Vec<(Vec<u8>, Vec<u8>)>),
    Published,
    Evicted,
}

/// A lookup, and whose result it is.
struct Planned {
    id: Vec<u8>,
    key: Key,
    name: Vec<u8>,
    takes: bool,
}

impl FleetConnection {
    pub(super) fn new(
        shared: Arc<Shared>,
        timeout: Duration,
        lifetime: Duration,
        retention: Retention,
        context: Context,
        config: Arc<ServerConfig>,
    ) -> Self {
        Self {
            shared,
            timeout,
            lifetime,
            publishes_at_once: retention == Retention::Always,
            context,
            config,
            offers_tls13: AtomicBool::new(false),
            sessions: Mutex::new(Sessions {
                found: HashMap::new(),
                created: Created::Held(Vec::new()),
            }),
        }
    }

    fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks up what the client offers, if it offers anything and the store is not known to be
    /// down. The task ends within the time limit.
    ///
    /// It is a task, so that a handshake that is dropped meanwhile loses no ticket: what the task
    /// finds then is put back.
    pub(crate) fn look_up(self: &Arc<Self>, offer: &Offer) -> Option<JoinHandle<()>> {
        self.offers_tls13.store(offer.tls13, Ordering::Relaxed);
        let runtime = Handle::try_current().ok()?;
        self.shared.queue.set_runtime(&runtime);
        let planned = self.plan(offer);
        if planned.is_empty() {
            return None;
        }
        let Ok(permit) = self.shared.lookups.admit() else {
            self.shared.counters.lookup(LookupResult::Skipped);
            return None;
        };
        let this = Arc::clone(self);
        Some(runtime.spawn(async move {
            let (names, planned): (Vec<_>, Vec<_>) = (planned.into_iter())
                .map(|planned| (planned.lookup(), planned))
                .unzip();
            let call = || this.shared.store.look_up(&names);
            let answer = call::bounded(this.timeout, call).await;
            permit.settle(answer.is_ok());
            let result = match answer {
                Ok(values) => this.found(planned, values),
                Err(Unanswered::TimedOut) => LookupResult::TimedOut,
                Err(Unanswered::Failed) => LookupResult::Failed,
            };
            this.shared.counters.lookup(result);
        }))
    }

    /// What rustls would ask for.
    fn plan(&self, offer: &Offer) -> Vec<Planned> {
        let is_tls13 = offer.tls13 && self.context.configuration.speaks_tls13();
        let tickets = match is_tls13 && !self.config.ticketer.enabled() {
            true => &offer.psk_identities[..],
            false => &[],
        };
        let session_id = (!is_tls13).then_some(&offer.session_id);
        let keys = self.shared.keys();
        let ids = (tickets.iter().chain(session_id))
            .filter(|id| id.len() == ID)
            .take(MAX_TICKETS);
        ids.map(|id| self.context.bind(id))
            .flat_map(|id| {
                keys.all().map(move |key| Planned {
                    name: key.name(&id),
                    id: id.clone(),
                    key: key.clone(),
                    takes: is_tls13,
                })
            })
            .collect()
    }

    fn found(&self, planned: Vec<Planned>, values: Vec<Option<Vec<u8>>>) -> LookupResult {
        let now = self.now();
        let mut result = LookupResult::Miss;
        let mut sessions = self.sessions();
        for (planned, value) in planned.into_iter().zip(values) {
            let Some(value) = value else { continue };
            let opened = (planned.key.open(&planned.name, &value))
                .filter(|opened| now.is_some_and(|now| self.is_alive(opened.expires, now)));
            let Some(opened) = opened else {
                if result == LookupResult::Miss {
                    result = LookupResult::Rejected;
                }
                continue;
            };
            result = LookupResult::Hit;
            let found = Found {
                session: opened.session,
                expires: opened.expires,
                was_taken: planned.takes,
                is_in_use: false,
            };
            sessions.found.insert(planned.id, found);
        }
        result
    }

    /// Not what has expired, nor what a server whose clock was ahead would let live for too long.
    fn is_alive(&self, expires: u64, now: u64) -> bool {
        let latest = now.saturating_add(self.lifetime.as_secs() + CLOCK_SKEW);
        now < expires && expires <= latest
    }

    /// Seconds since 1970, by the clock of the configuration.
    fn now(&self) -> Option<u64> {
        (self.config.time_provider.current_time()).map(|now| now.as_secs())
    }

    /// Encrypts a session for the store. `None` if that cannot be done or it has expired.
    fn seal(&self, id: &[u8], session: &[u8], expires: u64) -> Option<Write> {
        let ttl = expires.checked_sub(self.now()?).filter(|&ttl| ttl > 0)?;
        let keys = self.shared.keys();
        let name = keys.current().name(id);
        let random = self.config.crypto_provider().secure_random;
        let value = keys.current().seal(&name, session, expires, random)?;
        Some(Write::Put {
            name,
            value,
            ttl: Duration::from_secs(ttl).min(self.lifetime),
        })
    }

    fn publish(&self, created: Vec<(Vec<u8>, Vec<u8>)>) {
        let expires = |now: u64| now.saturating_add(self.lifetime.as_secs());
        let Some(expires) = self.now().map(expires) else {
            return;
        };
        let writes: Vec<_> = (created.iter())
            .filter_map(|(id, session)| self.seal(id, session, expires))
            .collect();
        let lost = created.len() - writes.len();
        self.shared.counters.write(WriteResult::Dropped, lost);
        self.shared.queue.push(writes);
    }

    fn remove(&self, ids: &[Vec<u8>]) {
        let keys = self.shared.keys();
        let names = ids.iter().flat_map(|id| keys.all().map(|key| key.name(id)));
        self.shared
            .queue
            .push(names.map(|name| Write::Remove { name }).collect());
    }

    fn put_back_found(&self, found: impl Iterator<Item = (Vec<u8>, Found)>) {
        let writes: Vec<_> = found
            .filter(|(_, found)| found.was_taken && !found.is_in_use)
            .filter_map(|(id, found)| self.seal(&id, &found.session, found.expires))
            .collect();
        self.shared.queue.push(writes);
    }
}

/// As `resumption::connection_store` calls them.
impl FleetConnection {
    pub(crate) fn put(&self, id: Vec<u8>, session: Vec<u8>) -> bool {
        if session.len() > MAX_SESSION {
            self.shared.counters.write(WriteResult::Dropped, 1);
            return false;
        }
        let mut sessions = self.sessions();
        match &mut sessions.created {
            Created::Held(created) => created.push((id, session)),
            Created::Published => {
                drop(sessions);
                self.publish(vec![(id, session)]);
            }
            Created::Evicted => return false,
        }
        true
    }

    pub(crate) fn get(&self, id: &[u8]) -> Option<Vec<u8>> {
        let sessions = self.sessions();
        let found = sessions.found.get(id).filter(|found| !found.was_taken)?;
        Some(found.session.clone())
    }

    pub(crate) fn take(&self, id: &[u8]) -> Option<Vec<u8>> {
        let mut sessions = self.sessions();
        let found =
            (sessions.found.get_mut(id)).filter(|found| found.was_taken && !found.is_in_use)?;
        found.is_in_use = true;
        Some(found.session.clone())
    }

    /// A session that rustls has taken was not resumed.
    pub(crate) fn put_back(&self, id: &[u8]) {
        if let Some(found) = self.sessions().found.get_mut(id) {
            found.is_in_use = false;
        }
    }

    /// Nothing is resumed from now on. What was taken from the store and not resumed goes back.
    pub(crate) fn handshake_ended(&self) {
        let found = mem::take(&mut self.sessions().found);
        self.put_back_found(found.into_iter());
    }

    pub(crate) fn handshake_finished(&self, version: Option<ProtocolVersion>) {
        let offered = self.offers_tls13.load(Ordering::Relaxed);
        if offered && version == Some(ProtocolVersion::TLSv1_2) {
            self.context.configuration.refuse_tls13();
        }
        self.handshake_ended();
        if self.publishes_at_once {
            self.end(true, Vec::new());
        }
    }

    /// The connection has ended. `used` are the sessions that it has created or resumed, if they
    /// are not to be kept.
    pub(crate) fn end(&self, keeps: bool, used: Vec<Vec<u8>>) {
        let next = match keeps {
            true => Created::Published,
            false => Created::Evicted,
        };
        let created = mem::replace(&mut self.sessions().created, next);
        match (created, keeps) {
            (Created::Held(created), true) => self.publish(created),
            (Created::Held(created), false) => {
                let mut used = used;
                used.retain(|id| created.iter().all(|(held, _)| held != id));
                self.remove(&used);
            }
            (_, true) => {}
            (_, false) => self.remove(&used),
        }
    }
}

/// What a lookup has found after the handshake had ended goes back.
impl Drop for FleetConnection {
    fn drop(&mut self) {
        let sessions = self.sessions.get_mut();
        let sessions = sessions.unwrap_or_else(PoisonError::into_inner);
        let found = mem::take(&mut sessions.found);
        self.put_back_found(found.into_iter());
    }
}

impl Planned {
    fn lookup(&self) -> Lookup {
        match self.takes {
            true => Lookup::Take(self.name.clone()),
            false => Lookup::Get(self.name.clone()),
        }
    }
}
