//! A client on hyper-util whose pool closes its connections cleanly.
//!
//! `cargo run --release --features hyper --example hyper_client -- https://www.rust-lang.org/`, or
//! without a URL against a server of its own.

mod support;

use std::{error::Error, sync::Arc, time::Duration};

use axum::{Router, routing::get};
use clap::Parser;
use http_body_util::{BodyExt, Empty};
use hyper::{Uri, body::Bytes};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
    service::TowerToHyperService,
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use support::server;
use tokio::net::TcpListener;
use tokio_tls_shutdown::{
    ClosePolicy, CloseTracker, GracefulAcceptor, GracefulConnector,
    integrations::hyper::HttpsConnector, tokio_rustls::rustls,
};

/// Fetches a URL three times over one connection.
#[derive(Parser)]
struct Args {
    url: Option<Uri>,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (url, config) = match Args::parse().url {
        Some(url) => (url, system_roots()?),
        None => own_server().await?,
    };
    let tracker = CloseTracker::new();
    let tls = GracefulConnector::new(config).with_tracker(&tracker);
    let client: Client<_, Empty<Bytes>> =
        Client::builder(TokioExecutor::new()).build(HttpsConnector::new(tls));
    for _ in 0..3 {
        let response = client.get(url.clone()).await?;
        let (version, status) = (response.version(), response.status());
        let body = response.into_body().collect().await?.to_bytes();
        println!("{version:?} {status}, {} bytes", body.len());
    }

    // The pool closes in tasks of its own; a program that exits at once would stop them.
    drop(client);
    println!("{}", tracker.drain(Duration::from_secs(2)).await);
    Ok(())
}

fn system_roots() -> Result<Arc<ClientConfig>, Box<dyn Error>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let mut config = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

async fn own_server() -> Result<(Uri, Arc<ClientConfig>), Box<dyn Error>> {
    let (client, config) = server::configs(&["h2", "http/1.1"])?;
    let acceptor = GracefulAcceptor::new(config).with_policy(ClosePolicy::linger());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("https://localhost:{}/", listener.local_addr()?.port());
    tokio::spawn(async move {
        let app = Router::new().route("/", get(async || "hello and goodbye"));
        while let Ok((tcp, _)) = listener.accept().await {
            let (accept, service) = (acceptor.accept(tcp), TowerToHyperService::new(app.clone()));
            tokio::spawn(async move {
                let http = auto::Builder::new(TokioExecutor::new());
                let io = TokioIo::new(accept.await?);
                http.serve_connection(io, service).await
            });
        }
    });
    Ok((url.parse()?, client))
}
