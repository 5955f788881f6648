//! Two servers that have nothing in common but Redis.

use std::sync::Arc;

use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector,
    resumption::{
        ClientSessions,
        fleet::{FleetKeys, FleetSessions},
    },
};
use tokio_tls_shutdown_redis::{RedisStore, redis};

use crate::site::{Kind, meet, resumes};

pub(crate) const KINDS: [Kind; 2] = [Kind::Tls12Id, Kind::Tls13Stateful];

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) acceptor: GracefulAcceptor,
    pub(crate) sessions: FleetSessions,
}

impl Server {
    pub(crate) async fn start(kind: Kind, url: &str, key: u8, context: &str) -> Self {
        let store = RedisStore::lazy(redis::Client::open(url).unwrap());
        let sessions = FleetSessions::new(Arc::new(store), FleetKeys::new([key; 32]), context);
        Self::start_with(kind, sessions).await
    }

    pub(crate) async fn start_with(kind: Kind, sessions: FleetSessions) -> Self {
        let acceptor = GracefulAcceptor::new(kind.server()).with_fleet_sessions(sessions.clone());
        // From now on it resumes sessions of clients without a certificate.
        drop(meet(&client(kind), &acceptor).await);
        Self { acceptor, sessions }
    }

    pub(crate) async fn pair(kind: Kind, url: &str) -> [Self; 2] {
        let start = || Self::start(kind, url, 1, "www");
        [start().await, start().await]
    }

    pub(crate) async fn resumes(&self, client: &GracefulConnector) -> bool {
        let resumed = resumes(client, &self.acceptor).await;
        self.sessions.flush().await;
        resumed
    }
}

pub(crate) fn client(kind: Kind) -> GracefulConnector {
    GracefulConnector::new(kind.client()).with_sessions(ClientSessions::in_memory(8))
}
