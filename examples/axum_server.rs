//! A server on axum-server that stops without cutting anybody off: no new connections, responses
//! are finished, and what is left at a deadline is ended and counted.
//!
//! `cargo run --release --features axum-server --example axum_server`, then Ctrl-C, or with
//! `-- --demo` to see it stop amid three clients: one is idle, one gets the second half of its
//! response, one would wait for ever.

mod support;

use std::{error::Error, future::pending, time::Duration};

use axum::{Router, body::Body, routing::get};
use axum_server::{Handle, accept::NoDelayAcceptor};
use clap::Parser;
use http_body_util::channel::Channel;
use hyper::body::Bytes;
use support::server::{self, Args};
use tokio::time::sleep;
use tokio_tls_shutdown::{CloseTracker, GracefulAcceptor, integrations::axum_server::Acceptor};

const DEADLINE: Duration = Duration::from_secs(2);

/// A body of which the second half comes after some time.
fn slow(wait: impl Future<Output = ()> + Send + 'static) -> Body {
    let (mut sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(async move {
        sender.send_data("the first half, ".into()).await?;
        wait.await;
        sender.send_data("and the second".into()).await
    });
    Body::new(body)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let tcp = args.listen().await?;
    let address = tcp.local_addr()?;
    let (client, config) = server::configs(&["h2", "http/1.1"])?;

    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(config).with_tracker(&tracker);
    let app = Router::new()
        .route("/", get(async || "hello and goodbye"))
        .route(
            "/slow",
            get(async || slow(sleep(Duration::from_millis(300)))),
        )
        .route("/for-ever", get(async || slow(pending())));
    let handle = Handle::new();
    let server = axum_server::from_tcp(tcp.into_std()?)?
        .acceptor(Acceptor::new(acceptor).over(NoDelayAcceptor::new()))
        .handle(handle.clone());
    let served = tokio::spawn(server.serve(app.into_make_service()));

    let demo = async {
        let mut config = (*client).clone();
        config.alpn_protocols.clear();
        let config = config.into();
        let idle = server::get(&config, address, "/", "goodbye").await?;
        let slow = server::get(&config, address, "/slow", "first half").await?;
        let stuck = server::get(&config, address, "/for-ever", "first half").await?;
        Ok([idle, slow, stuck].map(|tls| tokio::spawn(server::rest(tls))))
    };
    let clients = args.until_stopped(demo).await?;

    // Stop accepting, finish what was begun, and end the rest at the deadline.
    handle.graceful_shutdown(None);
    let report = tracker.drain(DEADLINE).await;
    served.await??;
    server::print(&report);

    if let Some([_, slow, _]) = clients {
        let whole = slow.await??.contains("and the second\r\n0\r\n\r\n");
        println!(
            "the slow response is {}",
            if whole { "whole" } else { "cut off" }
        );
    }
    Ok(())
}
