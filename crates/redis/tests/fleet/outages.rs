//! Redis is killed, paused, full and restarted while clients connect. How many of them wait for it is
//! tested with the clock of Tokio paused, in the core's tests of `fleet`.

use std::{sync::Arc, time::Duration};

use tokio::{task::JoinSet, time::sleep};

use crate::{
    redis_server::RedisServer,
    servers::{KINDS, Server, client},
    site::{Kind, resumes},
};

const CLIENTS: usize = 20;

/// Lets clients connect again and again until `handshakes` are done. None fails: `resumes` panics.
/// Returns how many resumed.
async fn load(kind: Kind, servers: &[Server; 2], handshakes: usize) -> usize {
    let mut clients = JoinSet::new();
    for n in 0..CLIENTS {
        let servers = servers.clone();
        let client = client(kind);
        clients.spawn(async move {
            let mut resumed = 0;
            for round in 0..handshakes / CLIENTS {
                let server = &servers[(n + round) % 2];
                resumed += usize::from(resumes(&client, &server.acceptor).await);
                assert!(server.sessions.stats().queued <= 2 * 1024);
            }
            resumed
        });
    }
    clients.join_all().await.into_iter().sum()
}

/// Connects until a session resumes again, which must not take an operator.
async fn recovers(kind: Kind, servers: &[Server; 2]) {
    let recovered = async {
        for server in servers {
            let client = client(kind);
            while !server.resumes(&client).await {
                sleep(Duration::from_millis(50)).await;
            }
            let stats = server.sessions.stats();
            assert!(!stats.lookups_broken && !stats.writes_broken, "{stats:?}");
        }
    };
    crate::support::in_time("the recovery", recovered).await;
}

async fn outage(kind: Kind, bad: impl AsyncFnOnce(&mut RedisServer)) {
    let mut redis = RedisServer::start();
    let servers = Server::pair(kind, &redis.url()).await;
    load(kind, &servers, 200).await;
    let running = tokio::spawn({
        let servers = servers.clone();
        async move { load(kind, &servers, 2000).await }
    });
    bad(&mut redis).await;
    running.await.unwrap();
    recovers(kind, &servers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_handshakes_go_on_while_redis_is_killed_and_restarted() {
    for kind in KINDS {
        outage(kind, async |redis| {
            redis.kill();
            sleep(Duration::from_millis(300)).await;
            redis.restart();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_handshakes_go_on_while_redis_is_paused() {
    for kind in KINDS {
        outage(kind, async |redis| drop(redis.send("DEBUG SLEEP 1"))).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_handshakes_go_on_while_redis_is_full() {
    for kind in KINDS {
        outage(kind, async |redis| {
            assert_eq!(redis.command("CONFIG SET maxmemory 1"), "+OK");
            sleep(Duration::from_millis(300)).await;
            assert_eq!(redis.command("CONFIG SET maxmemory 0"), "+OK");
        })
        .await;
    }
}

#[tokio::test]
async fn e12_servers_start_while_redis_is_down() {
    for kind in KINDS {
        let mut redis = RedisServer::start();
        redis.kill();
        let servers = Server::pair(kind, &redis.url()).await;
        assert_eq!(load(kind, &servers, 40).await, 0);
        redis.restart();
        recovers(kind, &servers).await;
    }
}

/// A store that is called while nothing answers keeps no more than the queue.
#[tokio::test]
async fn e12_what_was_not_written_is_counted() {
    let mut redis = RedisServer::start();
    let servers = Arc::new(Server::pair(Kind::Tls13Stateful, &redis.url()).await);
    redis.kill();
    load(Kind::Tls13Stateful, &servers, 200).await;
    for server in &*servers {
        crate::support::in_time("the queue", server.sessions.flush()).await;
        let stats = server.sessions.stats();
        assert_eq!(stats.written, 0);
        assert_eq!(stats.writes_failed + stats.writes_dropped, 200, "{stats:?}");
    }
}
