//! A gRPC server on tonic, with the standard health service, that ends calls which would go on for
//! ever when it stops.
//!
//! `cargo run --release --features hyper,tls-listener,tonic --example tonic_server`, then Ctrl-C,
//! or with `-- --demo` to see it stop while a client watches.

mod support;

use std::{error::Error, time::Duration};

use clap::Parser;
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use support::server::{self, Args};
use tls_listener::TlsListener;
use tokio::sync::oneshot;
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor, GracefulConnector, integrations::hyper::HttpsConnector,
};
use tonic::transport::Server;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

const DEADLINE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let tcp = args.listen().await?;
    let url = format!("https://localhost:{}", tcp.local_addr()?.port());
    let (client, config) = server::configs(&["h2"])?;

    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(config).with_tracker(&tracker);
    let incoming = TlsListener::new(acceptor, tcp).connections();
    let (_reporter, health) = tonic_health::server::health_reporter();
    let (stop, stopped) = oneshot::channel::<()>();
    let server = Server::builder().add_service(health);
    let served = tokio::spawn(server.serve_with_incoming_shutdown(incoming, async {
        let _ = stopped.await;
    }));

    let demo = async {
        let https = HttpsConnector::new(GracefulConnector::new(client));
        let http = Client::builder(TokioExecutor::new())
            .http2_only(true)
            .build(https);
        let mut client = HealthClient::with_origin(http, url.parse()?);
        let mut watch = client
            .watch(HealthCheckRequest::default())
            .await?
            .into_inner();
        let status = watch.message().await?.map(|first| first.status());
        println!("the server is {status:?}");
        Ok(watch)
    };
    let watch = args.until_stopped(demo).await?;

    // Stop accepting, finish what was begun, and end the rest at the deadline.
    let _ = stop.send(());
    let report = tracker.drain(DEADLINE).await;
    served.await??;
    server::print(&report);

    if let Some(mut watch) = watch {
        let cut = watch.message().await.is_err();
        println!("the watch was {}", if cut { "cut" } else { "finished" });
    }
    Ok(())
}
