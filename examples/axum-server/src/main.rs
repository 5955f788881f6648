//! A server on axum-server that stops gracefully: it accepts no new connections, finishes the
//! responses in progress, and aborts and counts what is left at a deadline.
//!
//! Run it with `cargo run -p example-axum-server`, stop it with Ctrl-C. With `-- --demo` three clients
//! are connected when it stops: one is idle, one gets the second half of its response, one would
//! wait for ever.

use std::{
    error::Error, future::pending, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc,
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    routing::get,
};
use axum_server::{Handle, accept::NoDelayAcceptor};
use clap::Parser;
use http_body_util::channel::Channel;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::sleep,
};
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor, GracefulConnector, GracefulStream,
    integrations::axum_server::Acceptor,
    tokio_rustls::{
        client::TlsStream,
        rustls::{
            ClientConfig, RootCertStore, ServerConfig,
            crypto::ring,
            pki_types::{
                CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject,
            },
        },
    },
};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const DEADLINE: Duration = Duration::from_secs(2);

/// Serves until Ctrl-C.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// The certificate chain, a PEM file. Without one, a certificate for `localhost` is made.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// The private key, a PEM file.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// Run clients against the server, on a free port, then stop.
    #[arg(long, conflicts_with = "cert")]
    demo: bool,
}

type Chain = Vec<CertificateDer<'static>>;

/// Loads the certificate, or makes one.
fn certificate(args: &Args) -> Result<(Chain, PrivateKeyDer<'static>)> {
    if let (Some(cert), Some(key)) = (&args.cert, &args.key) {
        let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
        return Ok((chain, PrivateKeyDer::from_pem_file(key)?));
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.into()], key.into()))
}

fn server_config(chain: Chain, key: PrivateKeyDer<'static>) -> Result<Arc<ServerConfig>> {
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Prints where the server is.
async fn listen(args: &Args) -> Result<TcpListener> {
    let mut address = args.listen;
    if args.demo {
        address.set_port(0);
    }
    let tcp = TcpListener::bind(address)
        .await
        .map_err(|e| format!("failed to listen on {address}: {e}"))?;
    println!("https://localhost:{}/", tcp.local_addr()?.port());
    Ok(tcp)
}

/// A response whose second half is sent after `wait`.
fn halves(wait: impl Future<Output = ()> + Send + 'static) -> Body {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        sender.send_data("the first half, ".into()).await?;
        wait.await;
        sender.send_data("and the second".into()).await
    });
    Body::new(body)
}

fn app() -> Router {
    Router::new()
        .route("/", get(async || "hello and goodbye"))
        .route(
            "/slow",
            get(async || halves(sleep(Duration::from_millis(300)))),
        )
        .route("/endless", get(async || halves(pending())))
}

async fn run(args: Args) -> Result<()> {
    let (chain, key) = certificate(&args)?;
    let config = server_config(chain.clone(), key)?;
    let tcp = listen(&args).await?;
    let address = tcp.local_addr()?;

    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(config).with_tracker(&tracker);
    let handle = Handle::new();
    let server = axum_server::from_tcp(tcp.into_std()?)?
        .acceptor(Acceptor::new(acceptor).acceptor(NoDelayAcceptor::new()))
        .handle(handle.clone());
    let served = tokio::spawn(server.serve(app().into_make_service()));

    let clients = match args.demo {
        true => Some(demo(address, chain).await?),
        false => {
            tokio::signal::ctrl_c().await?;
            None
        }
    };

    // The drain begins before the server stops, so that its report counts every connection.
    let drain = tracker.begin_drain();
    handle.graceful_shutdown(None);
    let report = drain.finish(DEADLINE).await;
    served.await??;
    println!("{report}");

    if let Some([_, slow, _]) = clients {
        let whole = slow.await??.contains("and the second\r\n0\r\n\r\n");
        let how = if whole { "whole" } else { "cut off" };
        println!("the slow response is {how}");
    }
    Ok(())
}

/// A client that trusts the server's certificate.
fn connector(chain: Chain) -> Result<GracefulConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain);
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(GracefulConnector::new(Arc::new(config)))
}

type Tls = GracefulStream<TlsStream<TcpStream>>;

/// Sends a request, and reads until `part` of the response is there.
async fn request(
    tls: &GracefulConnector,
    address: SocketAddr,
    path: &str,
    part: &str,
) -> Result<Tls> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let mut tls = tls.connect(ServerName::try_from("localhost")?, tcp).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    tls.write_all(request.as_bytes()).await?;
    let mut seen = Vec::new();
    while !seen.windows(part.len()).any(|end| end == part.as_bytes()) {
        if tls.read_buf(&mut seen).await? == 0 {
            return Err("the response is incomplete".into());
        }
    }
    Ok(tls)
}

/// Reads until the server's `close_notify` and answers it. Returns what was read.
async fn rest(mut tls: Tls) -> Result<String> {
    let mut rest = String::new();
    tls.read_to_string(&mut rest).await?;
    tls.shutdown().await?;
    Ok(rest)
}

/// Starts three clients: one is idle, one waits for the second half of its response, one would wait
/// for ever.
async fn demo(address: SocketAddr, chain: Chain) -> Result<[JoinHandle<Result<String>>; 3]> {
    let tls = connector(chain)?;
    let idle = request(&tls, address, "/", "goodbye").await?;
    let slow = request(&tls, address, "/slow", "first half").await?;
    let stuck = request(&tls, address, "/endless", "first half").await?;
    Ok([idle, slow, stuck].map(|tls| tokio::spawn(rest(tls))))
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
