//! A Redis Cluster in place of one Redis.

use std::{sync::Arc, time::Duration};

use tokio_tls_shutdown::{
    GracefulConnector,
    resumption::fleet::{FleetKeys, FleetSessions, FleetStore, Lookup, Write},
};
use tokio_tls_shutdown_redis::{RedisStore, redis::cluster::ClusterClient};

use crate::{
    redis_server::cluster::RedisCluster,
    servers::{KINDS, Server, client},
    site::Kind,
};

fn cluster_client(cluster: &RedisCluster) -> ClusterClient {
    ClusterClient::builder(cluster.urls())
        .retries(0)
        .build()
        .unwrap()
}

async fn pair(kind: Kind, cluster: &RedisCluster) -> [Server; 2] {
    let start = async || {
        let store = RedisStore::lazy_cluster(cluster_client(cluster));
        let sessions = FleetSessions::new(Arc::new(store), FleetKeys::new([1; 32]), "www")
            // A cluster on a busy machine may take longer than the default.
            .with_timeout(Duration::from_secs(1));
        let server = Server::start_with(kind, sessions).await;
        // The store is connected now.
        assert!(!server.resumes(&client(kind)).await);
        server
    };
    [start().await, start().await]
}

/// Lets new clients connect once, so that each master has a part of the sessions.
async fn new_clients(kind: Kind, server: &Server) -> Vec<GracefulConnector> {
    let mut clients = Vec::new();
    for _ in 0..30 {
        let client = client(kind);
        assert!(!server.resumes(&client).await);
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn e12_sessions_are_spread_over_a_cluster_and_resume_at_the_other_server() {
    let cluster = RedisCluster::start();
    for kind in KINDS {
        let servers = pair(kind, &cluster).await;
        let clients = new_clients(kind, &servers[0]).await;
        let lens = cluster.len_of_each();
        assert!(lens.iter().all(|&len| len > 0), "{kind:?} {lens:?}");
        for client in &clients {
            for n in [1, 0, 1] {
                let resumed = servers[n].resumes(client).await;
                assert!(resumed, "{kind:?}: {:?}", servers[n].sessions.stats());
            }
        }
        let stats = servers[1].sessions.stats();
        assert_eq!(
            (stats.writes_failed, stats.writes_dropped),
            (0, 0),
            "{stats:?}"
        );
        assert_eq!((stats.hits, stats.lookups()), (60, 60), "{stats:?}");
    }
}

/// Each name is looked up under two keys: two slots in one lookup.
#[tokio::test]
async fn e12_keys_rotate_in_a_cluster() {
    let cluster = RedisCluster::start();
    for kind in KINDS {
        let servers = pair(kind, &cluster).await;
        let clients = new_clients(kind, &servers[0]).await;
        for server in &servers {
            server
                .sessions
                .set_keys(FleetKeys::new([2; 32]).with_previous([1; 32]));
        }
        for client in &clients {
            assert!(servers[1].resumes(client).await, "{kind:?}");
        }
    }
}

fn put(name: u8, value: u8) -> Write {
    Write::Put {
        name: vec![name; 32],
        value: vec![value],
        ttl: Duration::from_secs(60),
    }
}

/// A connection that the user has made, of which the store does not know what it is.
#[tokio::test]
async fn e12_batches_over_many_slots_keep_their_order_on_any_connection() {
    let cluster = RedisCluster::start();
    let connection = cluster_client(&cluster)
        .get_async_connection()
        .await
        .unwrap();
    let stores = [
        RedisStore::new(connection),
        RedisStore::lazy_cluster(cluster_client(&cluster)),
    ];
    for store in stores {
        let mut writes: Vec<_> = (0..100).map(|n| put(n, n)).collect();
        writes.push(put(7, 70));
        writes.push(Write::Remove { name: vec![8; 32] });
        writes.push(Write::Remove { name: vec![9; 32] });
        writes.push(put(9, 90));
        store.write(&writes).await.unwrap();
        let name = |n: u8| vec![n; 32];
        let lookups: Vec<_> = (0..100)
            .rev()
            .map(|n| match n % 2 {
                0 => Lookup::Get(name(n)),
                _ => Lookup::Take(name(n)),
            })
            .collect();
        let expected = |n: u8| match n {
            7 => Some(vec![70]),
            8 => None,
            9 => Some(vec![90]),
            n => Some(vec![n]),
        };
        let found = store.look_up(&lookups).await.unwrap();
        assert_eq!(found, (0..100).rev().map(expected).collect::<Vec<_>>());
        let found = store.look_up(&lookups).await.unwrap();
        let left = |n: u8| expected(n).filter(|_| n % 2 == 0);
        assert_eq!(found, (0..100).rev().map(left).collect::<Vec<_>>());
        assert_eq!(
            store.look_up(&[]).await.unwrap(),
            Vec::<Option<Vec<u8>>>::new()
        );
        store.write(&[]).await.unwrap();
    }
}
