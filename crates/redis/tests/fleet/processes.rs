//! Two server processes, as in the example, that have nothing in common but Redis.

use std::{process::Command, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};
use tokio_tls_shutdown::{
    GracefulConnector, GracefulStream, ShutdownExt,
    resumption::{ClientSessions, Retention},
    tokio_rustls::{
        client::TlsStream,
        rustls::{ClientConfig, ProtocolVersion, RootCertStore},
    },
};

use crate::{
    redis_server::RedisServer,
    servers::KINDS,
    site::Kind,
    support::{in_time, pair::name},
};

#[path = "../../examples/fleet/server.rs"]
#[allow(
    unreachable_pub,
    unused_imports,
    reason = "it is a file of the example"
)]
mod server;
#[path = "../../examples/fleet/server_process.rs"]
mod server_process;

use server_process::{Secrets, ServerProcess};

/// Where a server process is told the URL of its Redis.
const URL: &str = "FLEET_SERVER_REDIS";

#[tokio::test]
#[ignore = "it is the server process of the other tests"]
async fn server_process() {
    let url = std::env::var(URL).expect("it is started by the other tests");
    server::serve(&url).await.unwrap();
}

/// Two processes, one Redis.
struct Fleet {
    redis: RedisServer,
    secrets: Secrets,
    a: ServerProcess,
    b: ServerProcess,
}

impl Fleet {
    /// Starts servers that resume sessions of clients without a certificate.
    async fn start(kind: Kind) -> Self {
        let redis = RedisServer::start();
        let secrets = Secrets::generate().unwrap();
        let [a, b] = [(); 2].map(|()| start_process(&redis, &secrets));
        let this = Self {
            redis,
            secrets,
            a,
            b,
        };
        for server in [&this.a, &this.b] {
            this.visit(&this.client(kind), server).await;
        }
        this.redis.command("FLUSHALL");
        this
    }

    /// A client that keeps its sessions however a connection ends.
    fn client(&self, kind: Kind) -> GracefulConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.secrets.certificate.clone()).unwrap();
        let config = ClientConfig::builder_with_protocol_versions(&kind.versions())
            .with_root_certificates(roots)
            .with_no_client_auth();
        GracefulConnector::new(config.into())
            .with_sessions(ClientSessions::in_memory(8).with_retention(Retention::Always))
    }

    /// Connects, and returns when the server has answered, so that the client has its ticket.
    async fn open(
        &self,
        client: &GracefulConnector,
        server: &ServerProcess,
    ) -> GracefulStream<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(server.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut tls = client.connect(name(), tcp).await.unwrap();
        tls.write_all(b"?").await.unwrap();
        assert_eq!(tls.read_u8().await.unwrap(), b'!');
        tls
    }

    /// Connects, lets the server close, and returns whether a session was resumed, when the new one
    /// is in Redis.
    async fn visit(&self, client: &GracefulConnector, server: &ServerProcess) -> bool {
        let before = self.redis.calls("set");
        let mut tls = self.open(client, server).await;
        let resumed = tls.is_resumed();
        let version = tls.get_ref().get_ref().1.protocol_version();
        tls.write_u8(b'q').await.unwrap();
        tls.read_to_end(&mut Vec::new()).await.unwrap();
        assert!(tls.shutdown_bidirectional().await.unwrap().is_clean());
        drop(tls);
        if version == Some(ProtocolVersion::TLSv1_3) || !resumed {
            let published = async {
                while self.redis.calls("set") == before {
                    sleep(Duration::from_millis(1)).await;
                }
            };
            in_time("the session in Redis", published).await;
        }
        resumed
    }

    /// Connects, and lets the server drop the connection.
    async fn visit_and_be_dropped(&self, client: &GracefulConnector, server: &ServerProcess) {
        let mut tls = self.open(client, server).await;
        tls.write_u8(b'!').await.unwrap();
        tls.read_u8().await.unwrap_err();
    }
}

/// This program again, as one of the servers.
fn start_process(redis: &RedisServer, secrets: &Secrets) -> ServerProcess {
    let mut program = Command::new(std::env::current_exe().unwrap());
    program
        .args(["--exact", "processes::server_process"])
        .args(["--ignored", "--nocapture"])
        .env(URL, redis.url());
    ServerProcess::start(&mut program, secrets).unwrap()
}

#[tokio::test]
async fn e12_a_session_of_one_process_resumes_in_the_other() {
    for kind in KINDS {
        let fleet = Fleet::start(kind).await;
        let client = fleet.client(kind);
        let mut resumed = Vec::new();
        for server in [&fleet.a, &fleet.b, &fleet.a, &fleet.b, &fleet.b] {
            resumed.push(fleet.visit(&client, server).await);
        }
        assert_eq!(resumed, [false, true, true, true, true], "{kind:?}");
        for (server, lookups) in [(fleet.a, 1), (fleet.b, 3)] {
            let said = server.stop().unwrap();
            let expected =
                format!("; {lookups} round trips to Redis before handshakes, {lookups} sessions");
            assert!(said.contains(&expected), "{kind:?}: {said}");
        }
    }
}

#[tokio::test]
async fn e12_a_session_that_one_process_has_dropped_does_not_resume_in_the_other() {
    for kind in KINDS {
        let fleet = Fleet::start(kind).await;
        let client = fleet.client(kind);
        fleet.visit_and_be_dropped(&client, &fleet.a).await;
        // The sessions of a process are published in the order in which their connections end.
        let later = fleet.client(kind);
        assert!(!fleet.visit(&later, &fleet.a).await);
        assert_eq!(fleet.redis.len(), 1, "{kind:?}");
        assert!(!fleet.visit(&client, &fleet.b).await);
        assert!(fleet.visit(&later, &fleet.b).await);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn e12_a_process_that_is_killed_publishes_nothing_new() {
    for kind in KINDS {
        let fleet = Fleet::start(kind).await;
        let kept = fleet.client(kind);
        assert!(!fleet.visit(&kept, &fleet.a).await);
        let clients = [(); 5].map(|()| fleet.client(kind));
        let mut open = Vec::new();
        for client in &clients {
            open.push(fleet.open(client, &fleet.a).await);
        }
        // The kernel sends what a process has written before it died: it is over when Redis has
        // seen the end of the connection.
        let Fleet {
            redis,
            secrets,
            a,
            b,
        } = fleet;
        drop(a);
        let gone = async {
            // The other process, and this question.
            while redis.info("clients", "connected_clients") != "2" {
                sleep(Duration::from_millis(1)).await;
            }
        };
        in_time("the end of the connection to Redis", gone).await;
        assert_eq!(redis.len(), 1, "{kind:?}");
        for tls in &mut open {
            tls.read_u8().await.unwrap_err();
        }
        drop(open);
        let a = start_process(&redis, &secrets);
        let fleet = Fleet {
            redis,
            secrets,
            a,
            b,
        };
        for client in &clients {
            assert!(!fleet.visit(client, &fleet.b).await);
        }
        // What was published before outlives the process.
        assert!(fleet.visit(&kept, &fleet.b).await);
        // And so does the fleet: the process is replaced, and resumes from its second handshake on.
        fleet.visit(&fleet.client(kind), &fleet.a).await;
        assert!(fleet.visit(&kept, &fleet.a).await);
    }
}
