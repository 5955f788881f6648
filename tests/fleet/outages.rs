//! A store that is down costs resumption and nothing else.

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, advance},
};

use crate::{
    double::{Double, Mode},
    fleet::{KINDS, Server, client, pair, sessions},
    site::{Kind, resumes},
};

const BOUND: Duration = Duration::from_millis(50);

/// Whether a lookup brings something.
const MODES: [(Mode, bool); 7] = [
    (Mode::Slow(Duration::from_millis(49)), true),
    (Mode::Slow(Duration::from_millis(51)), false),
    (Mode::Hangs, false),
    (Mode::Fails, false),
    (Mode::Panics, false),
    (Mode::Forgets, false),
    (Mode::Full, true),
];

#[tokio::test(start_paused = true)]
async fn e11_no_handshake_fails_or_waits_longer_than_the_bound_whatever_the_store_does() {
    std::panic::set_hook(Box::new(|_| {}));
    for kind in KINDS {
        for (mode, finds) in MODES {
            let (store, [a, b]) = pair(kind).await;
            let client = client(kind);
            assert!(!a.resumes(&client).await);
            store.set_mode(mode);
            let before = Instant::now();
            assert_eq!(
                resumes(&client, &b.acceptor).await,
                finds,
                "{kind:?} {mode:?}"
            );
            assert!(before.elapsed() <= BOUND, "{:?} {mode:?}", before.elapsed());
        }
    }
    drop(std::panic::take_hook());
}

#[tokio::test(start_paused = true)]
async fn e11_the_bound_is_what_was_set() {
    for bound in [Duration::ZERO, Duration::from_millis(7)] {
        let store = Arc::new(Double::new());
        let server = Server::start(KINDS[0], sessions(&store).with_timeout(bound)).await;
        let client = client(KINDS[0]);
        assert!(!server.resumes(&client).await);
        store.set_mode(Mode::Hangs);
        let before = Instant::now();
        assert!(!resumes(&client, &server.acceptor).await);
        // The clock of a paused test advances by whole milliseconds.
        assert!(before.elapsed() <= bound + Duration::from_millis(1));
        assert_eq!(server.sessions.stats().timed_out, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn e11_an_outage_is_noticed_and_its_end_too() {
    for (mode, kind) in [(Mode::Hangs, KINDS[0]), (Mode::Fails, KINDS[1])] {
        let (store, [a, _]) = pair(kind).await;
        let clients: Vec<_> = (0..100).map(|_| client(kind)).collect();
        for client in &clients {
            assert!(!a.resumes(client).await);
        }
        store.set_mode(mode);
        for client in &clients[..90] {
            assert!(!resumes(client, &a.acceptor).await);
        }
        let stats = a.sessions.stats();
        assert_eq!(stats.timed_out + stats.failed, 5, "{mode:?}");
        assert_eq!(stats.skipped, 85, "the others did not wait");
        assert!(stats.lookups_broken);
        // One of the next waits, and the others do not.
        advance(Duration::from_secs(1)).await;
        for client in &clients[..10] {
            resumes(client, &a.acceptor).await;
        }
        let probed = a.sessions.stats();
        assert_eq!(probed.timed_out + probed.failed, 6);
        store.set_mode(Mode::Answers);
        advance(Duration::from_secs(2)).await;
        a.sessions.flush().await;
        for client in &clients[90..] {
            assert!(a.resumes(client).await, "{mode:?}: it has recovered");
        }
        assert!(!a.sessions.stats().lookups_broken);
        // Writes are another circuit.
        for client in &clients[..10] {
            a.resumes(client).await;
            assert!(a.resumes(client).await, "{mode:?}");
        }
        assert!(!a.sessions.stats().writes_broken);
    }
}

/// 1,000 clients, with a store that goes through everything.
#[tokio::test(start_paused = true)]
async fn e11_two_thousand_handshakes_through_all_outages() {
    std::panic::set_hook(Box::new(|_| {}));
    for kind in KINDS {
        let (store, servers) = pair(kind).await;
        let mut tasks = JoinSet::new();
        for n in 0..1000 {
            let server = servers[n % 2].clone();
            let client = client(kind);
            tasks.spawn(async move {
                tokio::time::sleep(Duration::from_millis(10 * n as u64)).await;
                for _ in 0..2 {
                    let before = Instant::now();
                    resumes(&client, &server.acceptor).await;
                    assert!(before.elapsed() <= BOUND);
                }
                assert!(server.sessions.stats().queued <= 2 * 1024);
            });
        }
        for (mode, _) in MODES {
            tokio::time::sleep(Duration::from_secs(1)).await;
            store.set_mode(mode);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        store.set_mode(Mode::Answers);
        while let Some(task) = tasks.join_next().await {
            task.unwrap();
        }
        // By itself, once it is asked again.
        advance(Duration::from_secs(31)).await;
        for server in &servers {
            let client = client(kind);
            for _ in 0..3 {
                server.resumes(&client).await;
            }
            assert!(server.resumes(&client).await, "{kind:?}");
            let stats = server.sessions.stats();
            assert!(!stats.lookups_broken && !stats.writes_broken);
            assert_eq!(stats.queued, 0);
        }
    }
    drop(std::panic::take_hook());
}

#[tokio::test(start_paused = true)]
async fn e11_the_queue_is_bounded_and_what_it_drops_is_counted() {
    let store = Arc::new(Double::new());
    let sessions = sessions(&store).with_queue_capacity(10);
    let server = Server::start(Kind::Tls13Stateful, sessions).await;
    store.set_mode(Mode::Hangs);
    for _ in 0..100 {
        resumes(&client(Kind::Tls13Stateful), &server.acceptor).await;
        assert!(server.sessions.stats().queued <= 10);
    }
    store.set_mode(Mode::Answers);
    server.sessions.flush().await;
    let stats = server.sessions.stats();
    assert_eq!(
        stats.written + stats.writes_failed + stats.writes_dropped,
        200
    );
    assert!(stats.writes_dropped >= 150, "{stats:?}");
    assert_eq!(store.len() as u64, stats.written);
}

#[tokio::test(start_paused = true)]
async fn e11_the_session_of_a_failed_connection_is_removed_when_the_store_is_back() {
    let (store, [a, b]) = pair(Kind::Tls12Id).await;
    let client = client(Kind::Tls12Id);
    assert!(!a.resumes(&client).await);
    let (mut ours, mut theirs) = b.meet(&client).await;
    assert!(theirs.is_resumed());
    store.set_mode(Mode::Fails);
    crate::site::fail_after_bad_record_from_client(&mut ours, &mut theirs).await;
    drop((ours, theirs));
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!((store.len(), b.sessions.stats().queued > 0), (1, true));
    store.set_mode(Mode::Answers);
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!((store.len(), b.sessions.stats().queued), (0, 0));
}

/// What many connections bring at once is not one round trip for each.
#[tokio::test(start_paused = true)]
async fn e11_writes_of_connections_that_end_together_are_sent_together() {
    let (store, [a, _]) = pair(Kind::Tls13Stateful).await;
    let writes = || store.writes.load(std::sync::atomic::Ordering::Relaxed);
    let mut open = Vec::new();
    for _ in 0..50 {
        let (mut ours, mut theirs) = a.meet(&client(Kind::Tls13Stateful)).await;
        crate::site::close(&mut ours, &mut theirs).await;
        open.push((ours, theirs));
    }
    a.sessions.flush().await;
    assert_eq!(store.len(), 100);
    assert!(writes() <= 50, "at most one for each connection");
    let before = writes();
    store.set_mode(Mode::Slow(Duration::from_millis(10)));
    drop(open);
    for _ in 0..50 {
        let (mut ours, mut theirs) = a.meet(&client(Kind::Tls13Stateful)).await;
        crate::site::close(&mut ours, &mut theirs).await;
    }
    a.sessions.flush().await;
    assert_eq!(store.len(), 200);
    assert!(writes() - before <= 2, "{}", writes() - before);
}
