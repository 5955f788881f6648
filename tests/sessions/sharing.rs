//! One cache, many connections.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex},
};

use rand::{Rng, SeedableRng, rngs::StdRng};
use rustls::{
    client::ClientSessionMemoryCache,
    server::{ServerSessionMemoryCache, StoresServerSessions},
};
use tokio::{io::AsyncWriteExt, task::JoinSet};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector, ShutdownExt, resumption::ClientSessions,
    tokio_rustls::rustls,
};

use crate::site::{
    KINDS, Kind, close, fail_after_bad_record_from_server, meet, resumes, write_bad_record,
};

#[tokio::test(start_paused = true)]
async fn e07_parallel_connections_use_the_sessions_of_one_that_is_open() {
    for kind in KINDS {
        let sessions = ClientSessions::in_memory(8);
        let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
        let acceptor = GracefulAcceptor::new(kind.server());
        let open = meet(&connector, &acceptor).await;
        assert!(resumes(&connector, &acceptor).await, "{kind:?}");
        drop(open);
    }
}

#[tokio::test(start_paused = true)]
async fn e07_a_store_of_the_user_receives_nothing_from_a_connection_that_is_open() {
    for kind in KINDS {
        let sessions = ClientSessions::with_store(Arc::new(ClientSessionMemoryCache::new(32)));
        let connector = GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
        let acceptor = GracefulAcceptor::new(kind.server());
        let (mut client, mut server) = meet(&connector, &acceptor).await;
        assert_eq!(sessions.stats().stored, if kind.is_tls13() { 2 } else { 1 });
        let (other, _server) = meet(&connector, &acceptor).await;
        assert!(!{ other }.is_resumed());
        close(&mut client, &mut server).await;
        assert_eq!(sessions.stats().stored, 0);
        assert!(resumes(&connector, &acceptor).await, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn e08_only_what_the_failed_connection_has_brought_is_evicted() {
    for kind in KINDS {
        let sessions = ClientSessions::in_memory(8);
        let connector = GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
        let acceptor = GracefulAcceptor::new(kind.server());
        // There is nothing to resume at first.
        let (mut bad, mut bad_server) = meet(&connector, &acceptor).await;
        let fresh = GracefulAcceptor::new(kind.server());
        let (mut good, mut good_server) = meet(&connector, &fresh).await;
        let before = sessions.stats().stored;
        fail_after_bad_record_from_server(&mut bad, &mut bad_server).await;
        let stats = sessions.stats();
        match kind.is_tls13() {
            // One of the two tickets was offered by the second connection.
            true => assert_eq!((before, stats.stored, stats.evicted_failed), (3, 2, 1)),
            // The second connection has replaced the session of the first.
            false => assert_eq!((before, stats.stored, stats.evicted_failed), (1, 1, 0)),
        }
        close(&mut good, &mut good_server).await;
        assert!(resumes(&connector, &fresh).await, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn stats_say_what_has_become_of_the_sessions() {
    let sessions = ClientSessions::in_memory(8);
    let connector = GracefulConnector::new(Kind::Tls13Stateful.client());
    let connector = connector.with_sessions(sessions.clone());
    let acceptor = GracefulAcceptor::new(Kind::Tls13Stateful.server());
    assert!(!resumes(&connector, &acceptor).await);
    assert!(resumes(&connector, &acceptor).await);
    drop(meet(&connector, &acceptor).await);
    let (mut client, mut server) = meet(&connector, &acceptor).await;
    fail_after_bad_record_from_server(&mut client, &mut server).await;
    let stats = sessions.stats();
    assert_eq!((stats.received, stats.offered, stats.resumed), (8, 3, 3));
    assert_eq!((stats.evicted_dropped, stats.evicted_failed), (2, 2));
    assert_eq!((stats.stored, stats.evicted_full), (1, 0));
}

/// A server's store that knows which connection has put what, and what was asked for.
#[derive(Debug)]
struct Witness {
    inner: Arc<ServerSessionMemoryCache>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    put_by: HashMap<Vec<u8>, usize>,
    failed: HashSet<usize>,
    taken: HashSet<Vec<u8>>,
    offered_twice: usize,
    offered_after_failure: usize,
}

tokio::task_local! {
    /// The connection whose handshake is running.
    static CONNECTION: usize;
}

impl StoresServerSessions for Witness {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let by = CONNECTION.get();
        self.seen.lock().unwrap().put_by.insert(key.clone(), by);
        self.inner.put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner.get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut seen = self.seen.lock().unwrap();
        let twice = !seen.taken.insert(key.to_vec());
        seen.offered_twice += usize::from(twice);
        let from = seen.put_by.get(key).copied();
        let dead = from.is_some_and(|from| seen.failed.contains(&from));
        seen.offered_after_failure += usize::from(dead);
        drop(seen);
        self.inner.take(key)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// Sixteen tasks connect, fail and close at random. The server has seen every ticket.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn e08_and_e09_nothing_is_offered_twice_and_nothing_of_a_failed_connection() {
    const TASKS: usize = 16;
    const ROUNDS: usize = 40;
    let sessions = ClientSessions::in_memory(4);
    let witness = Arc::new(Witness {
        inner: ServerSessionMemoryCache::new(10_000),
        seen: Mutex::default(),
    });
    let mut config = Kind::Tls13Stateful.server_config();
    config.session_storage = Arc::<Witness>::clone(&witness);
    let acceptor = GracefulAcceptor::new(Arc::new(config));
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        let connector = GracefulConnector::new(Kind::Tls13Stateful.client());
        let connector = connector.with_sessions(sessions.clone());
        let (sessions, witness) = (sessions.clone(), Arc::clone(&witness));
        let acceptor = acceptor.clone();
        tasks.spawn(async move {
            let mut random = StdRng::seed_from_u64(task as u64);
            for round in 0..ROUNDS {
                let id = task * ROUNDS + round;
                let meet = CONNECTION.scope(id, meet(&connector, &acceptor));
                let (mut client, mut server) = meet.await;
                assert!(sessions.stats().stored <= 8);
                tokio::task::yield_now().await;
                match random.random_range(0..5) {
                    0 => close(&mut client, &mut server).await,
                    1 => client.shutdown().await.unwrap(),
                    2 => {
                        write_bad_record(server.get_mut().get_mut().0).await;
                        client.shutdown_bidirectional().await.unwrap_err();
                        witness.seen.lock().unwrap().failed.insert(id);
                    }
                    3 => {
                        fail_after_bad_record_from_server(&mut client, &mut server).await;
                        witness.seen.lock().unwrap().failed.insert(id);
                    }
                    _ => {
                        drop(client);
                        witness.seen.lock().unwrap().failed.insert(id);
                    }
                }
            }
        });
    }
    while let Some(result) = tasks.join_next().await {
        result.unwrap();
    }
    let seen = witness.seen.lock().unwrap();
    assert_eq!((seen.offered_twice, seen.offered_after_failure), (0, 0));
    assert!(seen.failed.len() > TASKS * ROUNDS / 3);
    let stats = sessions.stats();
    assert_eq!(stats.received, 2 * (TASKS * ROUNDS) as u64);
    assert!(stats.resumed > 0 && stats.resumed <= stats.offered);
    let gone = stats.evicted_failed + stats.evicted_dropped + stats.evicted_full;
    assert_eq!(stats.received, stats.stored + stats.offered + gone);
}
