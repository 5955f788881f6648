//! WebSockets on axum and tls-listener that are drained too: `axum::serve` forgets a connection
//! once it is upgraded, and its tracker does not.
//!
//! `cargo run --release --features tls-listener --example websocket`, then Ctrl-C, or with
//! `-- --demo` to see it stop between a client that leaves when it is told to and one that does
//! not.

mod support;

use std::{error::Error, time::Duration};

use axum::{
    Router,
    extract::{WebSocketUpgrade, ws},
    response::Response,
    routing::any,
    serve::ListenerExt,
};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use support::server::{self, Args};
use tls_listener::TlsListener;
use tokio::sync::watch;
use tokio_tls_shutdown::{CloseTracker, GracefulAcceptor};
use tokio_tungstenite::{client_async, tungstenite::Message};

const DEADLINE: Duration = Duration::from_secs(2);

/// Echoes messages, and says goodbye when the server stops.
async fn echo(mut socket: ws::WebSocket, mut stopping: watch::Receiver<bool>) {
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            _ = stopping.wait_for(|stopping| *stopping) => break,
        };
        match message {
            Some(Ok(message @ (ws::Message::Text(_) | ws::Message::Binary(_)))) => {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
            Some(Ok(ws::Message::Ping(_) | ws::Message::Pong(_))) => {}
            _ => return,
        }
    }
    let goodbye = ws::CloseFrame {
        code: ws::close_code::AWAY,
        reason: "the server stops".into(),
    };
    let _ = socket.send(ws::Message::Close(Some(goodbye))).await;
    // Until the client has answered that, or is ended by the drain.
    while let Some(Ok(_)) = socket.recv().await {}
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let tcp = args.listen().await?;
    let address = tcp.local_addr()?;
    let (client, config) = server::configs(&["http/1.1"])?;

    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(config).with_tracker(&tracker);
    let listener = TlsListener::new(acceptor, tcp).tap_io(|tls| {
        // Without it a close may be late, no more.
        let _ = tls.get_ref().get_ref().0.set_nodelay(true);
    });
    let (stop, stopping) = watch::channel(false);
    let upgrade = {
        let stopping = stopping.clone();
        async move |upgrade: WebSocketUpgrade| -> Response {
            upgrade.on_upgrade(|socket| echo(socket, stopping))
        }
    };
    let mut stopped = stopping.clone();
    let app = Router::new().route("/", any(upgrade));
    let serve = axum::serve(listener, app).with_graceful_shutdown(async move {
        let _ = stopped.wait_for(|stopped| *stopped).await;
    });
    let served = tokio::spawn(serve.into_future());

    let demo = async {
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let tls = server::connect(&client, address).await?;
            let (mut socket, _) = client_async("wss://localhost/", tls).await?;
            socket.send(Message::text("hello")).await?;
            if let Some(echo) = socket.next().await {
                println!("an echo: {}", echo?);
            }
            sockets.push(socket);
        }
        // This one reads, and so answers the goodbye; the other does not.
        let mut leaves = sockets.pop().ok_or("no socket")?;
        tokio::spawn(async move { while let Some(Ok(_)) = leaves.next().await {} });
        Ok(sockets)
    };
    let clients = args.until_stopped(demo).await?;

    // Stop accepting, say goodbye, and end the rest at the deadline.
    stop.send_replace(true);
    let report = tracker.drain(DEADLINE).await;
    served.await??;
    server::print(&report);
    drop(clients);
    Ok(())
}
