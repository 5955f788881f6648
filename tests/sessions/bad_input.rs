//! Stores and servers that misbehave: the connection goes on.

use std::{
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::{
    NamedGroup,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
    pki_types::{ServerName, UnixTime},
    server::{ServerSessionMemoryCache, StoresServerSessions},
    time_provider::TimeProvider,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector,
    resumption::{ClientSessions, ServerSessions},
    tokio_rustls::rustls,
};

use crate::{
    site::{KINDS, Kind, meet, resumes},
    support::forge::{self, Forge},
};

/// Stores nothing, and says so.
#[derive(Debug)]
struct Refusing;

impl StoresServerSessions for Refusing {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        false
    }
    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        None
    }
    fn can_cache(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct Panicking;

impl StoresServerSessions for Panicking {
    fn put(&self, _: Vec<u8>, _: Vec<u8>) -> bool {
        panic!("put")
    }
    fn get(&self, _: &[u8]) -> Option<Vec<u8>> {
        panic!("get")
    }
    fn take(&self, _: &[u8]) -> Option<Vec<u8>> {
        panic!("take")
    }
    fn can_cache(&self) -> bool {
        true
    }
}

impl ClientSessionStore for Panicking {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {
        panic!("set_kx_hint")
    }
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        panic!("kx_hint")
    }
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {
        panic!("set_tls12_session")
    }
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        panic!("tls12_session")
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        panic!("remove_tls12_session")
    }
    fn insert_tls13_ticket(&self, _: ServerName<'static>, _: Tls13ClientSessionValue) {
        panic!("insert_tls13_ticket")
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        panic!("take_tls13_ticket")
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_of_a_server_that_refuses_or_panics_only_costs_the_resumption() {
    for kind in [Kind::Tls12Id, Kind::Tls13Stateful] {
        let stores: [Arc<dyn StoresServerSessions>; 2] = [Arc::new(Refusing), Arc::new(Panicking)];
        for store in stores {
            let acceptor = GracefulAcceptor::new(kind.server());
            let acceptor = acceptor.with_sessions(ServerSessions::new(store));
            let connector = GracefulConnector::new(kind.client());
            for _ in 0..2 {
                assert!(!resumes(&connector, &acceptor).await, "{kind:?}");
                drop(meet(&connector, &acceptor).await);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_of_a_client_that_panics_only_costs_the_resumption() {
    for kind in KINDS {
        let connector = GracefulConnector::new(kind.client());
        let connector = connector.with_sessions(ClientSessions::with_store(Arc::new(Panicking)));
        let acceptor = GracefulAcceptor::new(kind.server());
        for _ in 0..2 {
            assert!(!resumes(&connector, &acceptor).await, "{kind:?}");
            drop(meet(&connector, &acceptor).await);
        }
    }
}

/// Blocks the first who puts something, until it is opened.
#[derive(Debug)]
struct Gate {
    inner: Arc<ServerSessionMemoryCache>,
    clients: ClientSessionMemoryCache,
    visitors: Mutex<usize>,
    opened: (Mutex<bool>, Condvar),
}

impl Gate {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: ServerSessionMemoryCache::new(32),
            clients: ClientSessionMemoryCache::new(32),
            visitors: Mutex::new(0),
            opened: (Mutex::new(false), Condvar::new()),
        })
    }

    fn pass(&self) {
        let first = {
            let mut visitors = self.visitors.lock().unwrap();
            *visitors += 1;
            *visitors == 1
        };
        if first {
            let (opened, changed) = &self.opened;
            let opened = opened.lock().unwrap();
            drop(changed.wait_while(opened, |opened| !*opened).unwrap());
        }
    }

    async fn is_blocking(&self) {
        while *self.visitors.lock().unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    }

    fn open(&self) {
        *self.opened.0.lock().unwrap() = true;
        self.opened.1.notify_all();
    }
}

impl StoresServerSessions for Gate {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.pass();
        self.inner.put(key, value)
    }
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.get(key)
    }
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.take(key)
    }
    fn can_cache(&self) -> bool {
        true
    }
}

impl ClientSessionStore for Gate {
    fn set_kx_hint(&self, name: ServerName<'static>, group: NamedGroup) {
        self.clients.set_kx_hint(name, group);
    }
    fn kx_hint(&self, name: &ServerName<'_>) -> Option<NamedGroup> {
        self.clients.kx_hint(name)
    }
    fn set_tls12_session(&self, name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.pass();
        self.clients.set_tls12_session(name, value);
    }
    fn tls12_session(&self, name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.clients.tls12_session(name)
    }
    fn remove_tls12_session(&self, name: &ServerName<'static>) {
        self.clients.remove_tls12_session(name);
    }
    fn insert_tls13_ticket(&self, name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.pass();
        self.clients.insert_tls13_ticket(name, value);
    }
    fn take_tls13_ticket(&self, name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.clients.take_tls13_ticket(name)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_blocks_one_connection_holds_up_no_other() {
    for kind in [Kind::Tls12Id, Kind::Tls13Stateful] {
        for of_the_server in [false, true] {
            let gate = Gate::new();
            let mut connector = GracefulConnector::new(kind.client());
            let mut acceptor = GracefulAcceptor::new(kind.server());
            if of_the_server {
                let store: Arc<dyn StoresServerSessions> = Arc::<Gate>::clone(&gate);
                acceptor = acceptor.with_sessions(ServerSessions::new(store));
            } else {
                let store: Arc<dyn ClientSessionStore> = Arc::<Gate>::clone(&gate);
                connector = connector.with_sessions(ClientSessions::with_store(store));
            }
            let (also_connector, also_acceptor) = (connector.clone(), acceptor.clone());
            let blocked =
                tokio::spawn(async move { resumes(&also_connector, &also_acceptor).await });
            gate.is_blocking().await;
            for _ in 0..3 {
                resumes(&connector, &acceptor).await;
            }
            gate.open();
            blocked.await.unwrap();
        }
    }
}

/// RFC 8446 section 4.6.1.
fn new_session_ticket(n: u16) -> Vec<u8> {
    let [hi, lo] = n.to_be_bytes();
    let mut body = Vec::new();
    body.extend(7200_u32.to_be_bytes());
    body.extend([0; 4]);
    body.extend([2, hi, lo]);
    body.extend([0, 2, hi, lo]);
    body.extend([0, 0]);
    let len = u8::try_from(body.len()).unwrap();
    [vec![4, 0, 0, len], body].concat()
}

#[tokio::test(start_paused = true)]
async fn of_a_thousand_tickets_eight_are_kept() {
    let kind = Kind::Tls13Stateful;
    let staged = ClientSessions::with_store(Arc::new(ClientSessionMemoryCache::new(32)));
    for sessions in [ClientSessions::in_memory(1), staged] {
        let mut server = kind.server_config();
        server.send_tls13_tickets = 0;
        let acceptor = GracefulAcceptor::new(Arc::new(server));
        let connector = GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
        let (mut client, server) = meet(&connector, &acceptor).await;
        let (mut io, server) = server.into_inner().into_inner();
        let mut forge = Forge::new(kind.case(), server.into());
        for n in 0..1000 {
            let record = forge.seal(forge::HANDSHAKE, &new_session_ticket(n));
            io.write_all(&record).await.unwrap();
        }
        io.write_all(&forge.seal(forge::APPLICATION_DATA, b"!"))
            .await
            .unwrap();
        assert_eq!(client.read_u8().await.unwrap(), b'!');
        let stats = sessions.stats();
        assert_eq!((stats.received, stats.stored), (1000, 8));
        assert_eq!(stats.evicted_full, 992);
        drop(client);
        let stats = sessions.stats();
        assert_eq!((stats.stored, stats.evicted_dropped), (0, 8));
    }
}

#[tokio::test(start_paused = true)]
async fn a_capacity_of_nothing_keeps_nothing() {
    for kind in KINDS {
        let sessions = ClientSessions::in_memory(0);
        let connector = GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
        let acceptor = GracefulAcceptor::new(kind.server());
        for _ in 0..2 {
            assert!(!resumes(&connector, &acceptor).await);
        }
        assert_eq!(sessions.stats().stored, 0);
    }
}

/// A clock that is set by hand.
#[derive(Debug)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let ahead = Duration::from_secs(self.0.load(Ordering::Relaxed));
        let now = Duration::from_secs(UnixTime::now().as_secs()) + ahead;
        Some(UnixTime::since_unix_epoch(now))
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_has_expired_is_not_resumed_and_nothing_else_happens() {
    for kind in KINDS {
        let clock = Arc::new(Clock(AtomicU64::new(0)));
        let mut client = kind.client();
        Arc::get_mut(&mut client).unwrap().time_provider = Arc::<Clock>::clone(&clock);
        let connector = GracefulConnector::new(client).with_sessions(ClientSessions::in_memory(8));
        let acceptor = GracefulAcceptor::new(kind.server());
        assert!(!resumes(&connector, &acceptor).await);
        clock.0.store(8 * 24 * 60 * 60, Ordering::Relaxed);
        // A TLS 1.2 session id says nothing of when it expires.
        assert!(
            kind == Kind::Tls12Id || !resumes(&connector, &acceptor).await,
            "{kind:?}"
        );
        assert!(resumes(&connector, &acceptor).await, "{kind:?}");
    }
}
