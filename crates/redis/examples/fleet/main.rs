//! Two server processes, one Redis, and a client that goes from one to the other.
//!
//! ```sh
//! apt-get install redis-server   # or: brew install redis
//! cargo run --release -p tokio-tls-shutdown-redis --example fleet
//! ```
//!
//! It starts a `redis-server` of its own from the PATH, or uses the one of `--redis URL`, and prints
//! which connections have resumed a session of the other server.

mod server;
mod server_process;

use std::{
    env,
    io::ErrorKind,
    net::TcpListener as StdListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use server_process::{Secrets, ServerProcess};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};
use tokio_tls_shutdown::{
    GracefulConnector, ShutdownExt,
    resumption::ClientSessions,
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        pki_types::ServerName,
        version::{TLS12, TLS13},
    },
};

#[tokio::main]
async fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(|arg| &arg[..]).collect::<Vec<_>>()[..] {
        ["server", url] => server::serve(url).await,
        ["--redis", url] => demo(url).await,
        [] => {
            let redis = OwnRedis::start()?;
            demo(&redis.url).await
        }
        _ => bail!("usage: fleet [--redis URL]"),
    }
}

async fn demo(url: &str) -> Result<()> {
    let secrets = Secrets::generate()?;
    let start = || {
        ServerProcess::start(
            Command::new(env::current_exe()?).args(["server", url]),
            &secrets,
        )
    };
    let servers = [("a", start()?), ("b", start()?)];
    let mut roots = RootCertStore::empty();
    roots.add(secrets.certificate.clone())?;
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
    for (name, server) in servers {
        print!("server {name}: {}", server.stop()?);
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
async fn visit(
    client: &GracefulConnector,
    (name, server): &(&str, ServerProcess),
    what: u8,
) -> Result<String> {
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
    Ok(format!("server {name}: {how}"))
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
