//! A gRPC server on tonic, with the standard health service, that stops gracefully although a call
//! would go on for ever: it is aborted at a deadline.
//!
//! Run it with `cargo run -p example-tonic-server`, stop it with Ctrl-C. With `-- --demo` a client
//! watches the health of the server when it stops.

use std::{
    error::Error, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration,
};

use clap::Parser;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tls_listener::TlsListener;
use tokio::net::TcpListener;
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor, GracefulConnector,
    integrations::hyper::HttpsConnector,
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject},
    },
};
use tonic::{Streaming, transport::Server};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_client::HealthClient};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

const DEADLINE: Duration = Duration::from_secs(1);

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
    config.alpn_protocols = vec![b"h2".to_vec()];
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

async fn run(args: Args) -> Result<()> {
    let (chain, key) = certificate(&args)?;
    let config = server_config(chain.clone(), key)?;
    let tcp = listen(&args).await?;
    let address = tcp.local_addr()?;

    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(config).with_tracker(&tracker);
    let incoming = TlsListener::new(acceptor, tcp).connections();
    let (_reporter, health) = tonic_health::server::health_reporter();
    // The drain begins before the server stops, so that its report counts every connection.
    let served = tokio::spawn(
        Server::builder()
            .add_service(health)
            .serve_with_incoming_shutdown(incoming, tracker.draining()),
    );

    let watch = match args.demo {
        true => Some(demo(address, chain).await?),
        false => {
            tokio::signal::ctrl_c().await?;
            None
        }
    };

    let report = tracker.drain(DEADLINE).await;
    served.await??;
    println!("{report}");

    if let Some(mut watch) = watch {
        let cut = watch.message().await.is_err();
        println!("the watch was {}", if cut { "cut" } else { "finished" });
    }
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
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(GracefulConnector::new(Arc::new(config)))
}

/// Watches the health of the server.
async fn demo(address: SocketAddr, chain: Chain) -> Result<Streaming<HealthCheckResponse>> {
    let http = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build(HttpsConnector::new(connector(chain)?));
    let url = format!("https://localhost:{}", address.port());
    let mut client = HealthClient::with_origin(http, url.parse()?);
    let request = HealthCheckRequest::default();
    let mut watch = client.watch(request).await?.into_inner();
    let status = watch.message().await?.map(|first| first.status());
    println!("the server is {status:?}");
    Ok(watch)
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
