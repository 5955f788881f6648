//! A server on hyper and hyper-util, HTTP/1.1 and HTTP/2 by ALPN, that refuses uploads before it
//! has read them, and whose refusals arrive.
//!
//! `cargo run --release --example hyper_server`, then Ctrl-C, or with `-- --demo` to see what
//! clients get that upload 1 MB over HTTP/1.1.

mod support;

use std::{convert::Infallible, error::Error, time::Duration};

use clap::Parser;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    service::service_fn,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::{
        conn::auto,
        graceful::{GracefulShutdown, Watcher},
    },
};
use support::server::{self, Args};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    net::TcpStream,
};
use tokio_tls_shutdown::{ClosePolicy, CloseTracker, GracefulAcceptor};

const DEADLINE: Duration = Duration::from_secs(10);
const REFUSAL: usize = 1_000_000;

async fn refuse(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(vec![b'x'; REFUSAL].into());
    *response.status_mut() = StatusCode::PAYLOAD_TOO_LARGE;
    Ok(response)
}

async fn serve(
    tcp: TcpStream,
    acceptor: GracefulAcceptor,
    watcher: Watcher,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    tcp.set_nodelay(true)?;
    let tls = acceptor.accept(tcp).await?;
    let http = auto::Builder::new(TokioExecutor::new());
    let connection = http.serve_connection(TokioIo::new(tls), service_fn(refuse));
    watcher.watch(connection.into_owned()).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let listener = args.listen().await?;
    let address = listener.local_addr()?;
    let (client, config) = server::configs(&["h2", "http/1.1"])?;

    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(config)
        // hyper drops the stream right after `shutdown()`.
        .with_policy(ClosePolicy::linger())
        .with_tracker(&tracker);
    let graceful = GracefulShutdown::new();
    let accept = async {
        loop {
            match listener.accept().await {
                Ok((tcp, _)) => {
                    let serve = serve(tcp, acceptor.clone(), graceful.watcher());
                    tokio::spawn(async move {
                        if let Err(e) = serve.await {
                            eprintln!("a connection has failed: {e}");
                        }
                    });
                }
                Err(e) => eprintln!("cannot accept: {e}"),
            }
        }
    };
    let demo = async {
        let mut config = (*client).clone();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let (config, mut whole) = (config.into(), 0);
        for _ in 0..20 {
            let (mut read, mut write) = split(server::connect(&config, address).await?);
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
    };
    tokio::select! {
        never = accept => never,
        stopped = args.until_stopped(demo) => drop(stopped?),
    }

    // Stop accepting, finish what was begun, and end the rest at the deadline.
    drop(listener);
    let (report, ()) = tokio::join!(tracker.drain(DEADLINE), graceful.shutdown());
    server::print(&report);
    println!("since the start: {}", tracker.stats());
    Ok(())
}
