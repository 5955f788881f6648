//! A TLS tunnel that passes half-closes on: plain client, TLS, plain backend.
//!
//! `cargo run --release --example tunnel`
//!
//! ```text
//! client --TCP-- entry --TLS-- exit --TCP-- backend
//! ```
//!
//! The client sends its request and a FIN. `copy_bidirectional` turns that into `shutdown()` on the
//! TLS stream, whose policy `Notify` sends `close_notify` and FIN and continues to read; at the exit it turns
//! into a FIN for the backend. The backend answers only then: nothing of the answer may get lost.

mod support;

use std::{error::Error, io, net::SocketAddr, process::ExitCode, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_tls_shutdown::{ClosePolicy, GracefulStream, ShutdownState, tokio_rustls};

const CLIENTS: usize = 20;
const REQUEST: usize = 1_000_000;
const ANSWER: usize = 4_000_000;

/// What either end of the tunnel does: joins TLS and a plain connection. Returns whether TLS ended
/// with a close_notify in each direction.
async fn join(tls: TlsStream<TcpStream>, mut plain: TcpStream) -> io::Result<bool> {
    let mut tls = GracefulStream::new(tls);
    // The default, spelled out: `Linger` would throw away what the other direction still brings.
    tls.set_policy(ClosePolicy::Notify);
    copy_bidirectional(&mut tls, &mut plain).await?;
    Ok(tls.state() == ShutdownState::COMPLETE)
}

async fn entry(plain: TcpStream, exit: SocketAddr, connector: TlsConnector) -> io::Result<bool> {
    let tcp = connect(exit).await?;
    let tls = connector.connect(support::localhost(), tcp).await?;
    join(tls.into(), plain).await
}

async fn exit(tcp: TcpStream, backend: SocketAddr, acceptor: TlsAcceptor) -> io::Result<bool> {
    let tls = acceptor.accept(tcp).await?;
    join(tls.into(), connect(backend).await?).await
}

/// Reads a request to its end, which is a FIN, and answers.
async fn backend(mut tcp: TcpStream) -> io::Result<bool> {
    let mut request = Vec::new();
    tcp.read_to_end(&mut request).await?;
    tcp.write_all(&answer()).await?;
    tcp.shutdown().await?;
    Ok(request == self::request())
}

async fn client(mut tcp: TcpStream) -> io::Result<bool> {
    tcp.write_all(&request()).await?;
    tcp.shutdown().await?;
    let mut answer = Vec::new();
    tcp.read_to_end(&mut answer).await?;
    Ok(answer == self::answer())
}

fn request() -> Vec<u8> {
    (0..REQUEST).map(|i| (i % 251) as u8).collect()
}

fn answer() -> Vec<u8> {
    (0..ANSWER).map(|i| (i % 241) as u8).collect()
}

async fn connect(to: SocketAddr) -> io::Result<TcpStream> {
    let tcp = TcpStream::connect(to).await?;
    tcp.set_nodelay(true)?;
    Ok(tcp)
}

/// Accepts `CLIENTS` connections, and counts those of which `serve` says that all was well.
async fn serve_all<F>(listener: TcpListener, serve: impl Fn(TcpStream) -> F) -> io::Result<usize>
where
    F: Future<Output = io::Result<bool>> + Send + 'static,
{
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        tasks.spawn(serve(tcp));
    }
    count(tasks).await
}

async fn count(tasks: JoinSet<io::Result<bool>>) -> io::Result<usize> {
    let mut well = 0;
    for done in tasks.join_all().await {
        well += usize::from(done?);
    }
    Ok(well)
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let (client_config, server_config) = support::configs()?;
    let connector = TlsConnector::from(Arc::new(client_config));
    let acceptor = TlsAcceptor::from(Arc::new(server_config));
    let bind = || TcpListener::bind("127.0.0.1:0");
    let (at_entry, at_exit, at_backend) = tokio::try_join!(bind(), bind(), bind())?;
    let addresses = [&at_entry, &at_exit, &at_backend].map(TcpListener::local_addr);
    let [to_entry, to_exit, to_backend] = addresses;
    let (to_entry, to_exit, to_backend) = (to_entry?, to_exit?, to_backend?);

    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(async move { client(connect(to_entry).await?).await });
    }
    let (requests, exits, entries, answers) = tokio::try_join!(
        serve_all(at_backend, backend),
        serve_all(at_exit, |tcp| exit(tcp, to_backend, acceptor.clone())),
        serve_all(at_entry, |tcp| entry(tcp, to_exit, connector.clone())),
        count(clients),
    )?;

    println!("{CLIENTS} clients half-close and then read, through a TLS tunnel over loopback:");
    for (what, well) in [
        ("requests of 1 MB that came whole", requests),
        ("answers of 4 MB that came whole", answers),
        ("tunnels with close_notify both ways, at the entry", entries),
        ("tunnels with close_notify both ways, at the exit", exits),
    ] {
        println!("{well:4} of {CLIENTS}  {what}");
    }
    Ok(match [requests, answers, entries, exits] {
        [CLIENTS, CLIENTS, CLIENTS, CLIENTS] => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}
