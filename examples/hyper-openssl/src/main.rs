//! The server of `hyper-server` over OpenSSL, without rustls: an accept loop of its own on hyper and
//! hyper-util, HTTP/1.1 and HTTP/2 by ALPN. It refuses uploads before it has read them, and its
//! refusals arrive whole.
//!
//! Run it with `cargo run -p example-hyper-openssl`, stop it with Ctrl-C. With `-- --demo` it prints
//! what clients get that upload 1 MB over HTTP/1.1.

use std::{
    convert::Infallible, error::Error, net::SocketAddr, path::PathBuf, pin::Pin, process::ExitCode,
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
use openssl::{
    pkey::{PKey, Private},
    ssl::{AlpnError, Ssl, SslAcceptor, SslConnector, SslMethod, select_next_proto},
    x509::X509,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_openssl::SslStream;
use tokio_tls_shutdown::{
    CloseTracker, Gate, GracefulStream,
    integrations::hyper::{FirstRequest, io, serve_until},
};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const DEADLINE: Duration = Duration::from_secs(10);
/// How long a client that has just connected has for its first request once the server stops.
const GRACE: Duration = Duration::from_secs(1);
/// How long a client may take for its handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
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

/// Loads the certificate chain, the server's own first, or makes one.
fn certificate(args: &Args) -> Result<(Vec<X509>, PKey<Private>)> {
    let (chain, key) = match (&args.cert, &args.key) {
        (Some(cert), Some(key)) => (std::fs::read(cert)?, std::fs::read(key)?),
        _ => {
            let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
            let key = made.signing_key.serialize_pem();
            (made.cert.pem().into_bytes(), key.into_bytes())
        }
    };
    let chain = X509::stack_from_pem(&chain)?;
    Ok((chain, PKey::private_key_from_pem(&key)?))
}

fn acceptor(chain: &[X509], key: &PKey<Private>) -> Result<SslAcceptor> {
    let (own, intermediates) = chain.split_first().ok_or("no certificate")?;
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())?;
    acceptor.set_certificate(own)?;
    for certificate in intermediates {
        acceptor.add_extra_chain_cert(certificate.clone())?;
    }
    acceptor.set_private_key(key)?;
    acceptor.set_alpn_select_callback(|_, offered| {
        select_next_proto(b"\x02h2\x08http/1.1", offered).ok_or(AlpnError::NOACK)
    });
    Ok(acceptor.build())
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
    acceptor: Arc<SslAcceptor>,
    tracker: CloseTracker,
    stop: impl Future<Output = ()>,
) -> Result<()> {
    tcp.set_nodelay(true)?;
    // OpenSSL writes into its transport by itself: the gate lets nothing out behind `close_notify`.
    let mut tls = SslStream::new(Ssl::new(acceptor.context())?, Gate::new(tcp))?;
    timeout(HANDSHAKE, Pin::new(&mut tls).accept()).await??;
    let mut tls = GracefulStream::new(tls);
    tls.track(&tracker);
    let service = FirstRequest::new(service_fn(refuse));
    let arrived = service.arrived();
    let http = auto::Builder::new(TokioExecutor::new());
    // `io` lets the stream linger: hyper drops it right after `shutdown()`.
    let connection = http.serve_connection_with_upgrades(io(tls), service);
    serve_until(connection, arrived, stop, GRACE).await
}

async fn run(args: Args) -> Result<()> {
    let (chain, key) = certificate(&args)?;
    let acceptor = Arc::new(acceptor(&chain, &key)?);
    let listener = listen(&args).await?;
    let address = listener.local_addr()?;

    let tracker = CloseTracker::new();
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((tcp, peer)) => {
                    let (acceptor, tracker) = (Arc::clone(&acceptor), tracker.clone());
                    let stop = tracker.draining();
                    let serve = serve(tcp, acceptor, tracker, stop);
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
            true => demo(address, &chain).await,
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
fn connector(chain: &[X509]) -> Result<SslConnector> {
    let mut connector = SslConnector::builder(SslMethod::tls_client())?;
    for certificate in chain {
        connector.cert_store_mut().add_cert(certificate.clone())?;
    }
    connector.set_alpn_protos(b"\x08http/1.1")?;
    Ok(connector.build())
}

/// Uploads 20 times, and counts the responses that arrive whole.
async fn demo(address: SocketAddr, chain: &[X509]) -> Result<()> {
    let (connector, mut whole) = (connector(chain)?, 0);
    for _ in 0..20 {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let ssl = connector.configure()?.into_ssl("localhost")?;
        let mut tls = SslStream::new(ssl, Gate::new(tcp))?;
        Pin::new(&mut tls).connect().await?;
        let tls = GracefulStream::new(tls);
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
