//! A server with an accept loop of its own on hyper and hyper-util, HTTP/1.1 and HTTP/2 by ALPN. It
//! refuses uploads before it has read them, and its refusals arrive whole.
//!
//! Run it with `cargo run -p example-hyper-server`, stop it with Ctrl-C. With `-- --demo` it prints what
//! clients get that upload 1 MB over HTTP/1.1.

use std::{
    convert::Infallible, error::Error, net::SocketAddr, path::PathBuf, process::ExitCode,
    sync::Arc, time::Duration,
};

use clap::Parser;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
    time::sleep,
};
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor, GracefulConnector,
    integrations::hyper::{FirstRequest, io, serve_until},
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{
            CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject,
        },
    },
};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const DEADLINE: Duration = Duration::from_secs(10);
/// How long a client that has just connected has for its first request once the server stops.
const GRACE: Duration = Duration::from_secs(1);
const REFUSAL: usize = 1_000_000;

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

async fn refuse(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(vec![b'x'; REFUSAL].into());
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    Ok(response)
}

/// Serves one connection, until it ends or some time after `stop`.
async fn serve(
    tcp: TcpStream,
    acceptor: GracefulAcceptor,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    tcp.set_nodelay(true)?;
    let tls = acceptor.accept(tcp).await?;
    let service = FirstRequest::new(service_fn(refuse));
    let arrived = service.arrived();
    let http = auto::Builder::new(TokioExecutor::new());
    // `io` lets the stream linger: hyper drops it right after `shutdown()`.
    let connection = http.serve_connection_with_upgrades(io(tls), service);
    serve_until(connection, arrived, stop, GRACE).await
}

async fn run(args: Args) -> Result<()> {
    let (chain, key) = certificate(&args)?;
    let config = server_config(chain.clone(), key)?;
    let listener = listen(&args).await?;
    let address = listener.local_addr()?;

    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(config).with_tracker(&tracker);
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((tcp, peer)) => {
                    let serve = serve(tcp, acceptor.clone(), tracker.draining());
                    tokio::spawn(async move {
                        if let Err(e) = serve.await {
                            eprintln!("{peer}: {e}");
                        }
                    });
                }
                Err(e) => {
                    eprintln!("failed to accept: {e}");
                    // For example, too many open files: let some be closed.
                    sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    let stop = async {
        match args.demo {
            true => demo(address, chain).await,
            false => Ok(tokio::signal::ctrl_c().await?),
        }
    };
    tokio::select! {
        never = accept => never,
        stopped = stop => stopped?,
    }

    // Stop accepting, finish the responses in progress, and abort the rest at the deadline.
    let drain = tracker.begin_drain();
    drop(listener);
    println!("{}", drain.finish(DEADLINE).await);
    println!("since the start: {}", tracker.stats());
    Ok(())
}

/// A client that trusts the server's certificate.
fn connector(chain: Chain) -> Result<GracefulConnector> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(chain);
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(GracefulConnector::new(Arc::new(config)))
}

/// Uploads 20 times, and counts the responses that arrive whole.
async fn demo(address: SocketAddr, chain: Chain) -> Result<()> {
    let (tls, mut whole) = (connector(chain)?, 0);
    for _ in 0..20 {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let tls = tls.connect(ServerName::try_from("localhost")?, tcp).await?;
        let (mut read, mut write) = split(tls);
        let head = "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n";
        let upload = async {
            write.write_all(head.as_bytes()).await?;
            write.write_all(&vec![b'x'; 1_000_000]).await
        };
        let mut response = Vec::new();
        // The server may well end the upload.
        let _ = tokio::join!(upload, read.read_to_end(&mut response));
        whole += usize::from(response.len() > REFUSAL);
        read.unsplit(write).shutdown().await?;
    }
    println!("{whole} of 20 refusals have arrived whole");
    Ok(())
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
