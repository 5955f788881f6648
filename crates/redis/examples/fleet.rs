//! Two server processes, one Redis, and a client that goes from one to the other.
//!
//! ```sh
//! apt-get install redis-server   # or: brew install redis
//! cargo run --release -p tokio-tls-shutdown-redis --example fleet
//! ```
//!
//! It starts a `redis-server` of its own from the PATH, or uses the one of `--redis URL`, and prints
//! which connections have resumed a session of the other server.

use std::{
    env,
    io::{BufRead, BufReader, ErrorKind, Read},
    net::{SocketAddr, TcpListener as StdListener},
    process::{Child, ChildStdin, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_tls_shutdown::{
    ClosePolicy, CloseTracker, GracefulAcceptor, GracefulConnector, ShutdownExt,
    resumption::{
        ClientSessions,
        fleet::{FleetKeys, FleetSessions},
    },
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
        version::{TLS12, TLS13},
    },
};
use tokio_tls_shutdown_redis::{RedisStore, redis};

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(|arg| &arg[..]).collect::<Vec<_>>()[..] {
        ["server", url] => serve(url).await,
        ["--redis", url] => demo(url).await,
        [] => {
            let redis = OwnRedis::start()?;
            demo(&redis.url).await
        }
        _ => bail!("usage: fleet [--redis URL]"),
    }
}

/// One server of the fleet. Everything secret comes by standard input, where no other user sees it:
/// the certificate and its key, and the key that sessions are encrypted with.
async fn serve(url: &str) -> Result<()> {
    let secrets: Vec<_> = std::io::stdin().lines().take(3).collect::<Result<_, _>>()?;
    let [certificate, key, session_key] = &secrets[..] else {
        bail!("the parent is gone");
    };
    let (certificate, key, session_key) = (unhex(certificate)?, unhex(key)?, unhex(session_key)?);
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivatePkcs8KeyDer::from(key).into(),
        )?;
    // Clients use one or two.
    config.send_tls13_tickets = 1;

    let session_key = <[u8; 32]>::try_from(&session_key[..]).context("a key of 32 bytes")?;
    let store = RedisStore::lazy(redis::Client::open(url)?);
    let sessions = FleetSessions::new(Arc::new(store), FleetKeys::new(session_key), "example");
    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(Arc::new(config))
        .with_fleet_sessions(sessions.clone())
        .with_policy(ClosePolicy::linger())
        .with_tracker(&tracker);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let stop = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    let accept = async {
        loop {
            let (tcp, _) = listener.accept().await?;
            tcp.set_nodelay(true)?;
            let accept = acceptor.accept(tcp);
            tokio::spawn(async move {
                let mut tls = accept.await?;
                // "q": close as one should. Anything else: leave without a close.
                if tls.read_u8().await? == b'q' {
                    tls.write_all(b"bye").await?;
                    tls.shutdown().await?;
                }
                std::io::Result::Ok(())
            });
        }
    };
    tokio::select! {
        _ = stop => {}
        failed = accept => return failed,
    }
    let report = tracker.drain(Duration::from_secs(5)).await;
    // What the last connections have brought.
    let _ = timeout(Duration::from_secs(1), sessions.flush()).await;
    let stats = sessions.stats();
    println!(
        "{report}; {} round trips to Redis before handshakes, {} sessions found; {} writes after \
         the end, in {} round trips",
        stats.lookups(),
        stats.hits,
        stats.written,
        stats.batches
    );
    Ok(())
}

async fn demo(url: &str) -> Result<()> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    // From a secret manager, in earnest.
    let session_key = ring::rand::generate::<[u8; 32]>(&ring::rand::SystemRandom::new());
    let session_key = session_key
        .map(|key| key.expose())
        .map_err(|_| anyhow::anyhow!("no randomness"))?;
    let secrets = [
        hex(made.cert.der()),
        hex(&made.signing_key.serialize_der()),
        hex(&session_key),
    ]
    .join("\n");
    let servers = [
        ServerProcess::start("a", url, &secrets)?,
        ServerProcess::start("b", url, &secrets)?,
    ];
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone())?;
    for (version, tls) in [("1.3", &TLS13), ("1.2", &TLS12)] {
        let client = client(&roots, tls);
        // The first handshake of a server with clients that have no certificate is a full one.
        for server in &servers {
            visit(&self::client(&roots, tls), server, b'q').await?;
        }
        println!("TLS {version}, closed cleanly:");
        for round in 0..6 {
            let server = &servers[round % 2];
            println!("    {}", visit(&client, server, b'q').await?);
        }
        println!("TLS {version}, after a connection that the server has dropped:");
        let fresh = self::client(&roots, tls);
        for (server, what) in [(&servers[0], b'!'), (&servers[1], b'q')] {
            println!("    {}", visit(&fresh, server, what).await?);
        }
    }
    for server in servers {
        server.stop()?;
    }
    Ok(())
}

fn client(roots: &RootCertStore, tls: &'static SupportedProtocolVersion) -> GracefulConnector {
    let config = ClientConfig::builder_with_protocol_versions(&[tls])
        .with_root_certificates(roots.clone())
        .with_no_client_auth();
    GracefulConnector::new(Arc::new(config)).with_sessions(ClientSessions::in_memory(8))
}

/// Connects once. Returns what to print.
async fn visit(client: &GracefulConnector, server: &ServerProcess, what: u8) -> Result<String> {
    let tcp = TcpStream::connect(server.address).await?;
    tcp.set_nodelay(true)?;
    let mut tls = client
        .connect(ServerName::try_from("localhost")?, tcp)
        .await?;
    let how = match tls.is_resumed() {
        true => "resumed",
        false => "full handshake",
    };
    tls.write_u8(what).await?;
    let _ = tls.read_to_end(&mut Vec::new()).await;
    // How a server that has dropped the connection closed it does not matter here.
    let _ = tls.shutdown_bidirectional().await?;
    drop(tls);
    // The server publishes its sessions when the connection has ended.
    sleep(Duration::from_millis(20)).await;
    Ok(format!("server {}: {how}", server.name))
}

struct ServerProcess {
    name: &'static str,
    address: SocketAddr,
    child: Child,
    stdin: ChildStdin,
}

impl ServerProcess {
    fn start(name: &'static str, url: &str, secrets: &str) -> Result<Self> {
        let mut child = Command::new(env::current_exe()?)
            .args(["server", url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        std::io::Write::write_all(&mut stdin, format!("{secrets}\n").as_bytes())?;
        let mut line = String::new();
        let stdout = child.stdout.as_mut().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("the server has not started")?;
        Ok(Self {
            name,
            address,
            child,
            stdin,
        })
    }

    fn stop(self) -> Result<()> {
        drop(self.stdin);
        let output = self.child.wait_with_output()?;
        print!(
            "server {}: {}",
            self.name,
            String::from_utf8_lossy(&output.stdout)
        );
        Ok(())
    }
}

/// A `redis-server` that ends with the example, and keeps nothing.
struct OwnRedis {
    child: Child,
    url: String,
}

impl OwnRedis {
    fn start() -> Result<Self> {
        let port = StdListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let port = port.to_string();
        let settings = "--bind 127.0.0.1 --save --appendonly no --maxmemory 64mb --maxmemory-policy allkeys-lru --port";
        let mut args: Vec<&str> = settings.split(' ').collect();
        args.insert(3, "");
        args.push(&port);
        let spawned = Command::new("redis-server")
            .args(args)
            .stdout(Stdio::null())
            .spawn();
        let child = match spawned {
            Err(e) if e.kind() == ErrorKind::NotFound => {
                bail!("no redis-server: `apt-get install redis-server`, or name one: --redis URL")
            }
            spawned => spawned.context("failed to start redis-server")?,
        };
        let url = format!("redis://127.0.0.1:{port}/");
        let this = Self { child, url };
        for _ in 0..1000 {
            if std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_ok() {
                return Ok(this);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        bail!("redis-server does not start")
    }
}

impl Drop for OwnRedis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits = |at| text.get(at..at + 2).context("an odd number of digits");
    (0..text.len())
        .step_by(2)
        .map(|at| Ok(u8::from_str_radix(digits(at)?, 16)?))
        .collect()
}
