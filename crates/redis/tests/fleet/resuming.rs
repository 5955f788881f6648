//! What resumes at the other server.

use std::sync::Arc;

use tokio_tls_shutdown::{
    GracefulConnector,
    resumption::{
        ClientSessions, Retention,
        fleet::{FleetKeys, FleetSessions},
    },
};
use tokio_tls_shutdown_redis::{RedisStore, redis};

use crate::{
    redis_server::RedisServer,
    servers::{KINDS, Server, client},
    site::{Kind, fail_after_bad_record_from_client, meet},
};

/// A client that keeps its sessions however a connection ends.
fn trusting(kind: Kind) -> GracefulConnector {
    let sessions = ClientSessions::in_memory(8).with_retention(Retention::Always);
    GracefulConnector::new(kind.client()).with_sessions(sessions)
}

#[tokio::test]
async fn e12_a_session_resumes_at_the_other_server_over_tcp_and_over_a_unix_socket() {
    let redis = RedisServer::start();
    for url in [redis.url(), redis.unix_url()] {
        for kind in KINDS {
            let [a, b] = Server::pair(kind, &url).await;
            let client = client(kind);
            assert!(!a.resumes(&client).await);
            for server in [&b, &a, &b, &b] {
                assert!(server.resumes(&client).await, "{kind:?} {url}");
            }
            let stats = b.sessions.stats();
            assert_eq!((stats.hits, stats.lookups()), (3, 3));
        }
    }
    let ttl = redis.command("EVAL 'return redis.call(\"TTL\", redis.call(\"RANDOMKEY\"))' 0");
    let ttl: u32 = ttl.trim_start_matches(':').parse().unwrap();
    assert!((86_000..=86_400).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn e12_nothing_is_published_after_a_drop_or_a_bad_record() {
    let redis = RedisServer::start();
    for kind in KINDS {
        for bad_record in [false, true] {
            let [a, b] = Server::pair(kind, &redis.url()).await;
            let client = trusting(kind);
            let (mut ours, mut theirs) = meet(&client, &a.acceptor).await;
            if bad_record {
                fail_after_bad_record_from_client(&mut ours, &mut theirs).await;
            }
            drop((ours, theirs));
            a.sessions.flush().await;
            assert_eq!(redis.len(), 0, "{kind:?}");
            assert!(!b.resumes(&client).await, "{kind:?}");
            redis.command("FLUSHALL");
        }
    }
}

#[tokio::test]
async fn e12_a_resumed_connection_that_fails_takes_its_session_along() {
    let redis = RedisServer::start();
    let [a, b] = Server::pair(Kind::Tls12Id, &redis.url()).await;
    let client = trusting(Kind::Tls12Id);
    assert!(!a.resumes(&client).await);
    assert_eq!(redis.len(), 1);
    let (mut ours, mut theirs) = meet(&client, &b.acceptor).await;
    assert!(theirs.is_resumed());
    fail_after_bad_record_from_client(&mut ours, &mut theirs).await;
    drop((ours, theirs));
    b.sessions.flush().await;
    assert_eq!(redis.len(), 0);
    assert!(!a.resumes(&client).await);
}

#[tokio::test]
async fn e12_another_context_or_key_costs_a_full_handshake() {
    let redis = RedisServer::start();
    for kind in KINDS {
        for (key, context, resumes) in [(1, "www", true), (1, "api", false), (2, "www", false)] {
            let [a, _] = Server::pair(kind, &redis.url()).await;
            let other = Server::start(kind, &redis.url(), key, context).await;
            let client = client(kind);
            assert!(!a.resumes(&client).await);
            assert_eq!(
                other.resumes(&client).await,
                resumes,
                "{kind:?} {key} {context}"
            );
        }
    }
}

#[tokio::test]
async fn e12_a_changed_value_costs_a_full_handshake() {
    let redis = RedisServer::start();
    let spoils = [
        "SETRANGE' , k, 40, 'x'",
        "SETRANGE' , k, 0, 'x'",
        "APPEND' , k, 'x'",
        "SET' , k, ''",
        "SET' , k, redis.call('GETRANGE', k, 0, -2)",
    ];
    for kind in KINDS {
        for spoil in spoils {
            let [a, b] = Server::pair(kind, &redis.url()).await;
            let client = client(kind);
            redis.command("FLUSHALL");
            assert!(!a.resumes(&client).await);
            let script =
                format!("for _, k in ipairs(redis.call('KEYS', '*')) do redis.call('{spoil}) end");
            redis.command(&format!("EVAL \"{script}\" 0"));
            assert!(redis.len() > 0);
            assert!(!b.resumes(&client).await, "{kind:?} {spoil}");
            assert_eq!(b.sessions.stats().rejected, 1, "{kind:?} {spoil}");
            assert!(b.resumes(&client).await);
        }
    }
}

#[tokio::test]
async fn e12_names_begin_with_the_prefix_and_others_do_not_see_them() {
    let redis = RedisServer::start();
    for kind in KINDS {
        redis.command("FLUSHALL");
        let start = async |prefix: Option<&str>| {
            let store = RedisStore::lazy(redis::Client::open(redis.url()).unwrap());
            let store = match prefix {
                Some(prefix) => store.with_prefix(prefix),
                None => store,
            };
            let sessions = FleetSessions::new(Arc::new(store), FleetKeys::new([1; 32]), "www");
            Server::start_with(kind, sessions).await
        };
        for (prefix, pattern) in [(None, "tls:*"), (Some("a:"), "a:*")] {
            let (server, other) = (start(prefix).await, start(Some("b:")).await);
            let client = client(kind);
            assert!(!server.resumes(&client).await);
            let all = format!("*{}", redis.len());
            assert_eq!(redis.command(&format!("KEYS {pattern}")), all, "{kind:?}");
            assert!(!other.resumes(&client).await, "{kind:?} {pattern}");
            redis.command("FLUSHALL");
        }
    }
}
