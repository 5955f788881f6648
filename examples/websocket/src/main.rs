//! WebSockets on axum and tls-listener that are drained too: `axum::serve` forgets a connection
//! once it is upgraded, the tracker does not.
//!
//! Run it with `cargo run -p example-websocket`, stop it with Ctrl-C. With `-- --demo` two clients are
//! connected when it stops: one leaves when it is told to, the other does not.

use std::{
    error::Error, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration,
};

use axum::{
    Router,
    extract::{WebSocketUpgrade, ws},
    response::Response,
    routing::any,
    serve::ListenerExt,
};
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use tls_listener::TlsListener;
use tokio::net::{TcpListener, TcpStream};
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor, GracefulConnector, GracefulStream,
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
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

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
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
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

/// Echoes messages, and says goodbye when the server stops.
async fn echo(mut socket: ws::WebSocket, stop: impl Future<Output = ()>) {
    let mut stop = std::pin::pin!(stop);
    loop {
        let message = tokio::select! {
            message = socket.recv() => message,
            () = &mut stop => break,
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
    // Until the client has answered that, or the drain aborts the connection.
    while let Some(Ok(_)) = socket.recv().await {}
}

async fn run(args: Args) -> Result<()> {
    let (chain, key) = certificate(&args)?;
    let config = server_config(chain.clone(), key)?;
    let tcp = listen(&args).await?;
    let address = tcp.local_addr()?;

    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(config).with_tracker(&tracker);
    // Without TCP_NODELAY a close may be late, no more.
    let listener =
        TlsListener::new(acceptor, tcp).tap_io(|tls| drop(tls.transport().set_nodelay(true)));
    let draining = tracker.draining();
    let upgrade = async move |upgrade: WebSocketUpgrade| -> Response {
        upgrade.on_upgrade(|socket| echo(socket, draining))
    };
    let app = Router::new().route("/", any(upgrade));
    // The drain begins before the server stops, so that its report counts every connection.
    let server = axum::serve(listener, app).with_graceful_shutdown(tracker.draining());
    let served = tokio::spawn(server.into_future());

    let clients = match args.demo {
        true => Some(demo(address, chain).await?),
        false => {
            tokio::signal::ctrl_c().await?;
            None
        }
    };

    let report = tracker.drain(DEADLINE).await;
    served.await??;
    println!("{report}");
    drop(clients);
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

type Socket = WebSocketStream<GracefulStream<TlsStream<TcpStream>>>;

/// Connects a client, and waits for an echo.
async fn connect(tls: &GracefulConnector, address: SocketAddr) -> Result<Socket> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let tls = tls.connect(ServerName::try_from("localhost")?, tcp).await?;
    let (mut socket, _) = client_async("wss://localhost/", tls).await?;
    socket.send(Message::text("hello")).await?;
    if let Some(echo) = socket.next().await {
        println!("an echo: {}", echo?);
    }
    Ok(socket)
}

/// Connects two clients. Returns the one that does not answer the server's goodbye.
async fn demo(address: SocketAddr, chain: Chain) -> Result<Socket> {
    let tls = connector(chain)?;
    let mut leaves = connect(&tls, address).await?;
    // Reading answers the goodbye.
    tokio::spawn(async move { while let Some(Ok(_)) = leaves.next().await {} });
    connect(&tls, address).await
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
