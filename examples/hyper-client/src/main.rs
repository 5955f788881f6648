//! A client on hyper-util whose pool closes its connections cleanly.
//!
//! Run it with `cargo run -p example-hyper-client -- https://www.rust-lang.org/`, or without a URL
//! against a server of its own.

use std::{convert::Infallible, error::Error, process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use http_body_util::{BodyExt, Empty};
use hyper::{
    Request, Response, Uri,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{client::legacy::Client, rt::TokioExecutor, server::conn::auto};
use tokio::net::{TcpListener, TcpStream};
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor, GracefulConnector,
    integrations::hyper::{HttpsConnector, io},
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore, ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer,
    },
};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Fetches a URL three times over one connection.
#[derive(Parser)]
struct Args {
    url: Option<Uri>,
}

async fn run(args: Args) -> Result<()> {
    let (url, roots) = match args.url {
        Some(url) => (url, system_roots()),
        None => own_server().await?,
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

    let tracker = CloseTracker::new();
    let tls = GracefulConnector::new(Arc::new(config)).with_tracker(&tracker);
    let client: Client<_, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build(HttpsConnector::new(tls));
    for _ in 0..3 {
        let response = client.get(url.clone()).await?;
        let (version, status) = (response.version(), response.status());
        let body = response.into_body().collect().await?.to_bytes();
        println!("{version:?} {status}, {} bytes", body.len());
    }

    // The pool closes in tasks of its own; a program that exits at once would stop them.
    let drain = tracker.begin_drain();
    drop(client);
    println!("{}", drain.finish(Duration::from_secs(2)).await);
    Ok(())
}

fn system_roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Starts a server on a free port. Returns its URL and whom its clients trust.
async fn own_server() -> Result<(Uri, RootCertStore)> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.into())?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}/", listener.local_addr()?.port());
    let acceptor = GracefulAcceptor::new(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tokio::spawn(serve(tcp, acceptor.clone()));
        }
    });
    Ok((url.parse()?, roots))
}

async fn serve(tcp: TcpStream, acceptor: GracefulAcceptor) -> Result<()> {
    let io = io(acceptor.accept(tcp).await?);
    let http = auto::Builder::new(TokioExecutor::new());
    http.serve_connection(io, service_fn(hello)).await
}

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello and goodbye".to_owned()))
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
