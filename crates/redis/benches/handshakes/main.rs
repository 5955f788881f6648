//! What a fleet's sessions cost, beside sessions in memory and ticket keys.
//!
//! `cargo bench -p tokio-tls-shutdown-redis`. Two servers and their clients are in one process, on
//! loopback, with a `redis-server` of its own; so a number says little, and the ratio to the line
//! above it more.

#[path = "../tests/redis_server/mod.rs"]
mod redis_server;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use redis_server::{RedisServer, slow_link::slow};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_tls_shutdown::{
    ClosePolicy, GracefulAcceptor, GracefulConnector, ShutdownExt,
    resumption::{
        ClientSessions, Retention, ServerSessions,
        fleet::{FleetKeys, FleetSessions},
    },
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        crypto::ring::Ticketer,
        pki_types::PrivatePkcs8KeyDer,
        server::ServerSessionMemoryCache,
        version::{TLS12, TLS13},
    },
};
use tokio_tls_shutdown_redis::{RedisStore, redis};

const CLIENTS: usize = 16;
const VISITS: usize = 4000;
const ONE_BY_ONE: usize = 1500;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Nowhere,
    InMemory,
    TicketKeys,
    Fleet,
    FleetSlow,
}

const KEPT: [Kept; 5] = [
    Kept::Nowhere,
    Kept::InMemory,
    Kept::TicketKeys,
    Kept::Fleet,
    Kept::FleetSlow,
];

impl Kept {
    fn name(self) -> &'static str {
        match self {
            Self::Nowhere => "none: full handshakes",
            Self::InMemory => "memory, one process",
            Self::TicketKeys => "ticket keys",
            Self::Fleet => "fleet",
            Self::FleetSlow => "fleet, Redis 1 ms away each way",
        }
    }
}

struct Site {
    addresses: Vec<std::net::SocketAddr>,
    fleet: Vec<FleetSessions>,
    roots: RootCertStore,
    tls: &'static SupportedProtocolVersion,
}

impl Site {
    async fn start(
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
            addresses: Vec::new(),
            fleet: Vec::new(),
            roots,
            tls,
        };
        for _ in 0..2 {
            let acceptor = GracefulAcceptor::new(Arc::new(config.clone()));
            let acceptor = match kept {
                Kept::Fleet | Kept::FleetSlow => {
                    let store = RedisStore::lazy(redis::Client::open(&url[..]).unwrap());
                    let keys = FleetKeys::new([1; 32]);
                    let sessions = FleetSessions::new(Arc::new(store), keys, "www");
                    site.fleet.push(sessions.clone());
                    acceptor.with_fleet_sessions(sessions)
                }
                _ => acceptor.with_sessions(memory.clone()),
            };
            let acceptor = acceptor.with_policy(ClosePolicy::linger());
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            site.addresses.push(listener.local_addr().unwrap());
            tokio::spawn(async move {
                while let Ok((tcp, _)) = listener.accept().await {
                    tcp.set_nodelay(true).unwrap();
                    let accept = acceptor.accept(tcp);
                    tokio::spawn(async move {
                        let mut tls = accept.await.unwrap();
                        tls.read_u8().await.unwrap();
                        tls.write_all(b"!").await.unwrap();
                        tls.shutdown().await.unwrap();
                    });
                }
            });
        }
        site
    }

    fn client(&self, kept: Kept) -> GracefulConnector {
        let config = ClientConfig::builder_with_protocol_versions(&[self.tls])
            .with_root_certificates(self.roots.clone())
            .with_no_client_auth();
        let capacity = usize::from(kept != Kept::Nowhere);
        let sessions = ClientSessions::in_memory(capacity).with_retention(Retention::CleanClose);
        GracefulConnector::new(Arc::new(config)).with_sessions(sessions)
    }

    /// Connects to one of the servers. Returns how long the handshake took and whether it resumed.
    async fn visit(&self, client: &GracefulConnector, n: usize) -> (Duration, bool) {
        let tcp = TcpStream::connect(self.addresses[n % 2]).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let start = Instant::now();
        let name = "localhost".try_into().unwrap();
        let mut tls = client.connect(name, tcp).await.unwrap();
        tls.write_all(b"?").await.unwrap();
        tls.read_u8().await.unwrap();
        let took = start.elapsed();
        let resumed = tls.is_resumed();
        let _ = tls.shutdown_bidirectional().await.unwrap();
        drop(tls);
        tokio::task::yield_now().await;
        (took, resumed)
    }

    /// Round trips: those that handshakes wait for, and those that nobody waits for.
    fn round_trips(&self) -> (u64, u64) {
        let stats = self.fleet.iter().map(FleetSessions::stats);
        stats.fold((0, 0), |(lookups, batches), stats| {
            (lookups + stats.lookups(), batches + stats.batches)
        })
    }
}

async fn measure(kept: Kept, tls: &'static SupportedProtocolVersion, redis: &RedisServer) {
    let site = Arc::new(Site::start(kept, tls, redis).await);
    for n in 0..4 {
        site.visit(&site.client(kept), n).await;
    }
    let before = site.round_trips();
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        let (site, client) = (Arc::clone(&site), site.client(kept));
        clients.spawn(async move {
            let mut resumed = 0;
            for n in 0..VISITS / CLIENTS {
                resumed += usize::from(site.visit(&client, n).await.1);
                // What the visit has brought is to be there at the next, as it is if that is later.
                for sessions in &site.fleet {
                    sessions.flush().await;
                }
            }
            resumed
        });
    }
    let resumed: usize = clients.join_all().await.into_iter().sum();
    let rate = VISITS as f64 / start.elapsed().as_secs_f64();
    let after = site.round_trips();
    let each = |n: u64| n as f64 / VISITS as f64;
    let client = site.client(kept);
    let mut times = Vec::new();
    for n in 0..ONE_BY_ONE {
        times.push(site.visit(&client, n).await.0);
        for sessions in &site.fleet {
            sessions.flush().await;
        }
    }
    times.sort();
    println!(
        "| {} | {} | {rate:.0} | {:.1} % | {:.2} | {:.2} | {:.2} ms | {:.2} ms |",
        if tls.version == TLS13.version {
            "1.3"
        } else {
            "1.2"
        },
        kept.name(),
        100.0 * resumed as f64 / VISITS as f64,
        each(after.0 - before.0),
        each(after.1 - before.1),
        times[times.len() / 2].as_secs_f64() * 1e3,
        times[times.len() * 99 / 100].as_secs_f64() * 1e3,
    );
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let redis = RedisServer::start();
    println!(
        "| TLS | sessions | visits/s, {CLIENTS} clients | resumed | round trips before the handshake | after the end | median until the first answer, one by one | 99th percentile |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for tls in [&TLS13, &TLS12] {
        for kept in KEPT {
            measure(kept, tls, &redis).await;
        }
    }
}
