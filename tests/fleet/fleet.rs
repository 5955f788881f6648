//! Two servers with one store, and clients that go from one to the other.

use std::sync::Arc;

use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector,
    resumption::{
        ClientSessions,
        fleet::{FleetKeys, FleetSessions, FleetStore},
    },
};

use crate::{
    double::Double,
    site::{ClientStream, Kind, ServerStream, close, meet, resumes},
};

/// How a fleet's servers keep their sessions.
pub(crate) const KINDS: [Kind; 2] = [Kind::Tls12Id, Kind::Tls13Stateful];

pub(crate) const KEY: [u8; 32] = [1; 32];

pub(crate) fn sessions(store: &Arc<Double>) -> FleetSessions {
    let store: Arc<dyn FleetStore> = Arc::<Double>::clone(store);
    FleetSessions::new(store, FleetKeys::new(KEY), "www")
}

pub(crate) fn client(kind: Kind) -> GracefulConnector {
    GracefulConnector::new(kind.client()).with_sessions(ClientSessions::in_memory(8))
}

/// One server of the fleet.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) acceptor: GracefulAcceptor,
    pub(crate) sessions: FleetSessions,
}

impl Server {
    /// A server that has admitted a client without a certificate, and so will again.
    pub(crate) async fn start(kind: Kind, sessions: FleetSessions) -> Self {
        let acceptor = GracefulAcceptor::new(kind.server()).with_fleet_sessions(sessions.clone());
        let server = Self { acceptor, sessions };
        let (client, accepted) = meet(&client(kind), &server.acceptor).await;
        drop((client, accepted));
        server.sessions.flush().await;
        server
    }

    /// Connects, closes both ways, and returns whether a session was resumed, once what the
    /// connection has brought is in the store.
    pub(crate) async fn resumes(&self, client: &GracefulConnector) -> bool {
        let resumed = resumes(client, &self.acceptor).await;
        self.sessions.flush().await;
        resumed
    }

    pub(crate) async fn meet(&self, client: &GracefulConnector) -> (ClientStream, ServerStream) {
        meet(client, &self.acceptor).await
    }

    pub(crate) async fn close(&self, mut client: ClientStream, mut server: ServerStream) {
        close(&mut client, &mut server).await;
        drop((client, server));
        self.sessions.flush().await;
    }
}

/// Two servers that have nothing in common but the store.
pub(crate) async fn pair(kind: Kind) -> (Arc<Double>, [Server; 2]) {
    let store = Arc::new(Double::new());
    let servers = [
        Server::start(kind, sessions(&store)).await,
        Server::start(kind, sessions(&store)).await,
    ];
    assert_eq!((store.len(), store.lookups()), (0, 0));
    (store, servers)
}
