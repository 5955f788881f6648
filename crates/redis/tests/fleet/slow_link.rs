//! Redis behind a link with a delay.

use std::time::Duration;

use crate::{
    redis_server::{RedisServer, slow_link::slow},
    servers::{KINDS, Server, client},
};

#[tokio::test]
async fn e12_a_link_within_the_bound_resumes_and_one_beyond_it_does_not() {
    let redis = RedisServer::start();
    for kind in KINDS {
        let near = slow(redis.port(), Duration::from_millis(5)).await;
        let [a, b] = Server::pair(kind, &near).await;
        let client = client(kind);
        a.resumes(&client).await;
        b.resumes(&client).await;
        // They are connected now, which takes some round trips.
        assert!(a.resumes(&client).await, "{kind:?}");

        let far = slow(redis.port(), Duration::from_millis(200)).await;
        let [a, b] = Server::pair(kind, &far).await;
        assert!(!a.resumes(&client).await);
        for server in [&a, &b, &a, &b] {
            assert!(!server.resumes(&client).await, "{kind:?}");
        }
        let stats = b.sessions.stats();
        assert_eq!((stats.hits, stats.timed_out), (0, 2), "{kind:?}");
    }
}
