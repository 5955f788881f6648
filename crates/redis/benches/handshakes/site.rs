//! Two servers, their clients, and where the sessions are kept.

use std::{
    collections::HashSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Notify,
};
use tokio_tls_shutdown::{
    ClosePolicy, GracefulAcceptor, GracefulConnector, ShutdownExt,
    resumption::{
        ClientSessions, ServerSessions,
        fleet::{FleetKeys, FleetSessions},
    },
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::ring::Ticketer, pki_types::PrivatePkcs8KeyDer, server::ServerSessionMemoryCache,
    },
};
use tokio_tls_shutdown_redis::{RedisStore, redis};

use crate::redis_server::{RedisServer, slow_link::slow};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Nowhere,
    InMemory,
    TicketKeys,
    Fleet,
    FleetSlow,
}

impl Kept {
    pub(crate) const ALL: [Self; 5] = [
        Self::Nowhere,
        Self::InMemory,
        Self::TicketKeys,
        Self::Fleet,
        Self::FleetSlow,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "none: full handshakes",
            Self::InMemory => "memory",
            Self::TicketKeys => "ticket keys",
            Self::Fleet => "fleet",
            Self::FleetSlow => "fleet, Redis 1 ms away each way",
        }
    }
}

/// Ports of clients whose connection the server has dropped.
#[derive(Default)]
struct Ended {
    ports: Mutex<HashSet<u16>>,
    changed: Notify,
}

impl Ended {
    fn add(&self, port: u16) {
        self.ports.lock().unwrap().insert(port);
        self.changed.notify_waiters();
    }

    async fn wait(&self, port: u16) {
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            changed.as_mut().enable();
            if self.ports.lock().unwrap().remove(&port) {
                return;
            }
            changed.await;
        }
    }
}

pub(crate) struct Site {
    pub(crate) kept: Kept,
    addresses: Vec<SocketAddr>,
    pub(crate) fleet: Vec<FleetSessions>,
    roots: RootCertStore,
    tls: &'static SupportedProtocolVersion,
    ended: Arc<Ended>,
}

/// What one connection tells.
pub(crate) struct Visit {
    /// From the connected socket to the first answer of the server.
    pub(crate) took: Duration,
    pub(crate) resumed: bool,
}

impl Site {
    pub(crate) async fn start(
        kept: Kept,
        tls: &'static SupportedProtocolVersion,
        redis: &RedisServer,
    ) -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_protocol_versions(&[tls])
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key.into())
            .unwrap();
        config.send_tls13_tickets = 1;
        if kept == Kept::TicketKeys {
            config.ticketer = Ticketer::new().unwrap();
        }
        let memory =
            ServerSessions::new(ServerSessionMemoryCache::new(100_000)).with_context("www");
        let url = match kept {
            Kept::FleetSlow => slow(redis.port(), Duration::from_millis(1)).await,
            _ => redis.url(),
        };
        let mut site = Self {
            kept,
            addresses: Vec::new(),
            fleet: Vec::new(),
            roots,
            tls,
            ended: Arc::default(),
        };
        for _ in 0..2 {
            let acceptor = GracefulAcceptor::new(Arc::new(config.clone()));
            let acceptor = match kept {
                Kept::Fleet | Kept::FleetSlow => {
                    let store = RedisStore::lazy(redis::Client::open(&url[..]).unwrap());
                    let keys = FleetKeys::new([1; 32]);
                    let sessions = FleetSessions::new(Arc::new(store), keys, "www")
                        // Others may use the machine: what is measured is a resumption.
                        .with_timeout(Duration::from_secs(1));
                    site.fleet.push(sessions.clone());
                    acceptor.with_fleet_sessions(sessions)
                }
                _ => acceptor.with_sessions(memory.clone()),
            };
            let acceptor = acceptor.with_policy(ClosePolicy::linger());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            site.addresses.push(listener.local_addr().unwrap());
            let ended = Arc::clone(&site.ended);
            tokio::spawn(async move {
                while let Ok((tcp, client)) = listener.accept().await {
                    tcp.set_nodelay(true).unwrap();
                    let accept = acceptor.accept(tcp);
                    let ended = Arc::clone(&ended);
                    tokio::spawn(async move {
                        let mut tls = accept.await.unwrap();
                        tls.read_u8().await.unwrap();
                        tls.write_all(b"!").await.unwrap();
                        tls.shutdown().await.unwrap();
                        drop(tls);
                        ended.add(client.port());
                    });
                }
            });
        }
        site
    }

    pub(crate) fn client(&self) -> GracefulConnector {
        let config = ClientConfig::builder_with_protocol_versions(&[self.tls])
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let capacity = usize::from(self.kept != Kept::Nowhere);
        let sessions = ClientSessions::in_memory(capacity);
        GracefulConnector::new(Arc::new(config)).with_sessions(sessions)
    }

    /// Connects to one of the servers, and closes. Returns when what the connection has brought is
    /// where the next one finds it.
    pub(crate) async fn visit(&self, client: &GracefulConnector, n: usize) -> Visit {
        let tcp = TcpStream::connect(self.addresses[n % 2]).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let port = tcp.local_addr().unwrap().port();
        let start = Instant::now();
        let name = "localhost".try_into().unwrap();
        let mut tls = client.connect(name, tcp).await.unwrap();
        tls.write_all(b"?").await.unwrap();
        tls.read_u8().await.unwrap();
        let took = start.elapsed();
        let resumed = tls.is_resumed();
        let _ = tls.shutdown_bidirectional().await.unwrap();
        drop(tls);
        self.ended.wait(port).await;
        for sessions in &self.fleet {
            sessions.flush().await;
        }
        Visit { took, resumed }
    }
}
