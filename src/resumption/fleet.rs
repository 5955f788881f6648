//! Sessions that a fleet of servers shares through a database, without a blocking call.
//!
//! Servers behind one address share their sessions, or a client that is sent to another one makes
//! a full handshake. [`FleetSessions`] keeps them in a [`FleetStore`]; the crate
//! `tokio-tls-shutdown-redis` has one for Redis and Valkey. What a server does with a connection:
//!
//! 1. It reads the ClientHello as it passes to rustls. If that offers a session, the server looks it
//!    up: **one round trip, and none if it offers none.** After 50 ms, unless
//!    [set](FleetSessions::with_timeout), the handshake continues without it and is a full one.
//! 2. A TLS 1.3 ticket is taken, in one step, out of the database: it is used once in the whole
//!    fleet, and so is early data that comes with it. A ticket that was not resumed is put back.
//! 3. What the connection has created is written **after it has ended**, as its
//!    [`Retention`] says: by default after a clean close, in one write that
//!    no task waits for. If the connection is dropped or fails, nothing is written, and the TLS 1.2
//!    session that it resumed is removed. A process that dies writes nothing more.
//!
//! ```
//! use std::sync::Arc;
//! use tokio_tls_shutdown::GracefulAcceptor;
//! use tokio_tls_shutdown::resumption::fleet::{FleetKeys, FleetSessions, FleetStore};
//! use tokio_tls_shutdown::tokio_rustls::rustls::ServerConfig;
//!
//! fn acceptor(
//!     config: Arc<ServerConfig>,
//!     store: Arc<dyn FleetStore>,
//!     key: [u8; 32],
//! ) -> GracefulAcceptor {
//!     let sessions = FleetSessions::new(store, FleetKeys::new(key), "www.example.com");
//!     GracefulAcceptor::new(config).with_fleet_sessions(sessions)
//! }
//! ```
//!
//! # When to use ticket keys instead
//!
//! With the same [`ticketer`] on each server (keys that you distribute and rotate) and a [named
//! context](super::ServerSessions::with_context), the client carries the session itself: no
//! database, no round trip, no outage. Use that unless you need one of these:
//!
//! | | ticket keys | a fleet's sessions |
//! |---|---|---|
//! | a session of a connection that failed or was dropped | resumes until the key is gone | evicted |
//! | a TLS 1.3 ticket | can be used any number of times | is used once |
//! | 0-RTT with rustls | never | once for each ticket |
//! | who has a key can read | recorded TLS 1.2 connections that resumed | those, if they can read the database, too |
//! | a resumption waits for | nothing | one round trip to the database |
//!
//! # Encryption
//!
//! Sessions are encrypted and named as [`FleetKeys`] says. These ciphers are those of RustCrypto,
//! whichever crypto provider rustls has, and **are not validated for FIPS 140**: a provider in FIPS mode
//! does not change that. Where it is required, use the provider's ticket keys.
//!
//! # What it costs
//!
//! A lookup is one round trip within the handshake, from a task of its own. A connection that
//! closes cleanly makes one write, which is sent together with those of others.
//!
//! A value is 49 bytes longer than rustls's session, which has about 80 bytes, the server name and the
//! client's certificate chain. In Redis 7 an entry takes about 330 bytes where the value has 170
//! (measured, with 100,000 of them), so 1 GB holds about 3 million sessions of clients without
//! certificates. How many there are: full handshakes and TLS 1.3 resumptions in a
//! [lifetime](FleetSessions::with_lifetime), times the tickets for each (2 by default,
//! [`send_tls13_tickets`]; most clients use one of them). A database that evicts the least recently
//! used entries when it is full does no harm.
//!
//! # When the database fails
//!
//! An outage costs resumption and nothing else. After 5 lookups in a row that failed or were not
//! answered in time, no handshake waits for the database any more, except one after 1 second and
//! then after 2, 4, ... up to 30 seconds, until one is answered. The same applies to writes, apart
//! from lookups: a database that is full still answers. With the feature `tracing` each of these
//! changes is one event, a warning or an info; [`FleetSessions::stats`] has the counts.
//!
//! Writes wait in a bounded queue; what does not fit is dropped and counted. Removals have twice the
//! room, and are sent when the database is back. If the process ends before that, the TLS 1.2 session
//! of a connection that has failed stays in the database until it expires.
//!
//! A database that loses a write on failover may bring back a TLS 1.3 ticket that was taken, and so
//! may an operator who restores a backup. Resumption stays safe; early data could then be accepted
//! twice. Accept early data only for what may arrive twice, as [always](super#0-rtt).
//!
//! # What a client sees
//!
//! The write is sent when the connection has ended. A client that connects to another server within
//! that moment is not resumed. The first handshake of each [configuration](super#contexts) is a full
//! one if the client has no certificate.
//!
//! Go's `crypto/tls` resumes TLS 1.3 sessions here, and never one of TLS 1.2: there it keeps a session
//! only if the server has sent a ticket (RFC 5077), and its session id is 32 random bytes in each
//! connection, which is looked up and not found. With [ticket keys](#when-to-use-ticket-keys-instead)
//! it resumes in both versions.
//!
//! [`ClientSessions`](super::ClientSessions) stays in memory: a client's session is as good as a
//! password, for one server name, until it expires. Clients gain little if they share them, since each makes one
//! full handshake and then has its own; and a TLS 1.3 ticket that several clients present links
//! them and is used up by the first. Who wants it nevertheless has
//! [`ClientSessions::with_store`](super::ClientSessions::with_store).
//!
//! [`ticketer`]: rustls::ServerConfig::ticketer
//! [`send_tls13_tickets`]: rustls::ServerConfig::send_tls13_tickets

mod call;
mod circuit;
pub(crate) mod client_hello;
pub(crate) mod connection;
mod keys;
mod observe;
mod stats;
mod store;
mod write_queue;

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use rustls::ServerConfig;

use self::{
    circuit::Circuit, connection::FleetConnection, stats::Counters, write_queue::WriteQueue,
};
use super::{
    Retention,
    context::{self, Context},
};

pub use keys::FleetKeys;
pub use stats::FleetStats;
pub use store::{FleetStore, Lookup, StoreError, StoreFuture, Write};

/// What rustls tells clients of stateful TLS 1.3 tickets; RFC 5246, appendix F.1.4, says the same
/// of TLS 1.2 sessions.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The sessions that the clients of a fleet of servers can resume, in a database.
///
/// Cheap to clone; clones share the store, the queue of writes and the counts. Pass it to
/// [`GracefulAcceptor::with_fleet_sessions`](crate::GracefulAcceptor::with_fleet_sessions). How it
/// works and what it costs is in the [module](self).
#[derive(Clone)]
pub struct FleetSessions {
    shared: Arc<Shared>,
    timeout: Duration,
    lifetime: Duration,
    pub(super) retention: Retention,
    pub(super) context: Arc<[u8]>,
}

/// What all connections of all clones have in common.
struct Shared {
    store: Arc<dyn FleetStore>,
    keys: RwLock<Arc<FleetKeys>>,
    lookups: Arc<Circuit>,
    counters: Arc<Counters>,
    queue: Arc<WriteQueue>,
}

impl Shared {
    fn keys(&self) -> Arc<FleetKeys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl FleetSessions {
    /// Creates a new value that keeps the sessions in `store`, encrypted with `keys`.
    ///
    /// Sessions resume where the same `context` is named, with a store and keys in common. Servers
    /// with the same context state that they trust the same client certificates: see
    /// [`ServerSessions::with_context`](super::ServerSessions::with_context), which says the same
    /// of other stores.
    #[must_use]
    pub fn new(store: Arc<dyn FleetStore>, keys: FleetKeys, context: impl AsRef<[u8]>) -> Self {
        let counters = Arc::<Counters>::default();
        let queue = WriteQueue::new(Arc::clone(&store), Arc::clone(&counters));
        Self {
            shared: Arc::new(Shared {
                store,
                keys: RwLock::new(Arc::new(keys)),
                lookups: Arc::new(Circuit::new(observe::lookups_changed)),
                counters,
                queue: Arc::new(queue),
            }),
            timeout: Duration::from_millis(50),
            lifetime: LIFETIME,
            retention: Retention::default(),
            context: context::named(context.as_ref()),
        }
    }

    /// Sets which sessions are kept when their connection ends. Defaults to
    /// [`Retention::CleanClose`].
    ///
    /// With [`Retention::Always`] sessions are written when the handshake is finished.
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Sets how long a handshake waits for the store. Defaults to 50 ms.
    ///
    /// Then it is a full handshake. Choose what a full handshake costs your clients: one round trip
    /// to them, at most.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets how long a session can be resumed after it was written. Defaults to 24 hours, which is
    /// also the maximum.
    ///
    /// It is what rustls tells clients of its tickets, whatever is set here. Resuming does not
    /// extend it; a connection that resumed in TLS 1.3 gives the client new tickets, though. Whole
    /// seconds count.
    ///
    /// Give all servers of a fleet the same lifetime, and clocks that agree: a session that would
    /// live longer than a lifetime and a minute from now is refused, as that of a server whose clock
    /// was ahead.
    #[must_use]
    pub fn with_lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.min(LIFETIME);
        self
    }

    /// Sets how many writes may wait to be sent, for all clones. Defaults to 1024.
    ///
    /// Each takes at most 16 KiB, and usually some hundred bytes. Removals have twice the room.
    #[must_use]
    pub fn with_queue_capacity(self, writes: usize) -> Self {
        self.shared.queue.set_capacity(writes);
        self
    }

    /// Replaces the keys of all clones, from the next handshake on.
    ///
    /// See [Rotation](FleetKeys#rotation).
    pub fn set_keys(&self, keys: FleetKeys) {
        let mut current = (self.shared.keys.write()).unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(keys);
    }

    /// Returns the counts of all clones.
    #[must_use]
    pub fn stats(&self) -> FleetStats {
        let Shared {
            counters,
            queue,
            lookups,
            ..
        } = &*self.shared;
        FleetStats {
            queued: queue.len() as u64,
            lookups_broken: lookups.is_open(),
            writes_broken: queue.is_broken(),
            ..counters.read()
        }
    }

    /// Waits until all writes of connections that have ended were sent or dropped.
    ///
    /// Call it before the process ends, after a [drain](crate::CloseTracker::drain), and bound it in
    /// time: while the store is down, removals wait. What another runtime has left in the queue as it
    /// ended is sent on this one.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropping the future cancels no write.
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokio::time::timeout;
    /// use tokio_tls_shutdown::{CloseTracker, resumption::fleet::FleetSessions};
    ///
    /// async fn stop(tracker: CloseTracker, sessions: FleetSessions) {
    ///     println!("{}", tracker.drain(Duration::from_secs(10)).await);
    ///     let _ = timeout(Duration::from_secs(1), sessions.flush()).await;
    /// }
    /// ```
    pub async fn flush(&self) {
        self.shared.queue.flush().await;
    }

    /// Creates what rustls sees as the store of one connection.
    pub(super) fn open(&self, context: Context, config: &Arc<ServerConfig>) -> FleetConnection {
        FleetConnection::new(
            Arc::clone(&self.shared),
            self.timeout,
            self.lifetime,
            self.retention,
            context,
            Arc::clone(config),
        )
    }
}

impl fmt::Debug for FleetSessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetSessions")
            .field("retention", &self.retention)
            .field("timeout", &self.timeout)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}
