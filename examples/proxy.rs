//! A proxy that terminates TLS and speaks plaintext to its upstream, with half-close in both
//! directions.
//!
//! ```sh
//! cargo run --example proxy
//! ```
//!
//! Without arguments it starts an upstream of its own, sends one request through itself, and prints
//! what arrived. With `proxy LISTEN UPSTREAM`, such as `proxy 127.0.0.1:8443 127.0.0.1:8080`, it
//! serves until Ctrl-C.
//!
//! A client that has sent its request closes its direction with `close_notify`; the proxy passes that
//! on as FIN and still passes the answer back. That takes `ClosePolicy::Notify`: a stream that lingers
//! would discard what arrives behind its own close.

use std::{error::Error, io, process::ExitCode, sync::Arc, time::Duration};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor, GracefulConnector, ShutdownExt,
    tokio_rustls::rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::ring,
        pki_types::{PrivateKeyDer, ServerName},
    },
};

/// Passes one connection on.
async fn proxy(tcp: TcpStream, acceptor: GracefulAcceptor, upstream: String) -> io::Result<()> {
    tcp.set_nodelay(true)?;
    let mut tls = acceptor.accept(tcp).await?;
    let mut plain = TcpStream::connect(upstream).await?;
    plain.set_nodelay(true)?;
    // It shuts down each direction as soon as the other side has closed it.
    match copy_bidirectional(&mut tls, &mut plain).await {
        Ok((sent, received)) => {
            println!("{sent} bytes to the upstream, {received} bytes from it");
            Ok(())
        }
        Err(e) => {
            // A FIN would tell the upstream that what it has is complete: send RST instead.
            plain.set_zero_linger()?;
            Err(e)
        }
    }
}

async fn serve(listener: TcpListener, acceptor: GracefulAcceptor, upstream: String) {
    loop {
        match listener.accept().await {
            Ok((tcp, _)) => {
                let (acceptor, upstream) = (acceptor.clone(), upstream.clone());
                tokio::spawn(async move {
                    if let Err(e) = proxy(tcp, acceptor, upstream).await {
                        eprintln!("connection failed: {e}");
                    }
                });
            }
            Err(e) => eprintln!("failed to accept: {e}"),
        }
    }
}

/// Reads a request to its end, and answers only then.
async fn upstream(listener: TcpListener) -> io::Result<()> {
    let (mut tcp, _) = listener.accept().await?;
    let mut request = String::new();
    tcp.read_to_string(&mut request).await?;
    let answer = format!("{} bytes, all of them\n", request.len());
    tcp.write_all(answer.as_bytes()).await?;
    tcp.shutdown().await
}

async fn run() -> Result<(), Box<dyn Error>> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(Arc::new(server)).with_tracker(&tracker);

    let mut args = std::env::args().skip(1);
    if let Some(listen) = args.next() {
        let to = args.next().ok_or("usage: proxy [LISTEN UPSTREAM]")?;
        let bind = TcpListener::bind(&listen).await;
        let listener = bind.map_err(|e| format!("failed to listen on {listen}: {e}"))?;
        tokio::select! {
            () = serve(listener, acceptor, to) => {}
            stop = tokio::signal::ctrl_c() => stop?,
        }
        println!("{}", tracker.drain(Duration::from_secs(10)).await);
        return Ok(());
    }

    let behind = TcpListener::bind("127.0.0.1:0").await?;
    let to = behind.local_addr()?.to_string();
    tokio::spawn(upstream(behind));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let proxy = tokio::spawn(serve(listener, acceptor, to));

    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone())?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let connector = GracefulConnector::new(Arc::new(client));
    let mut tls = connector
        .connect(ServerName::try_from("localhost")?, tcp)
        .await?;
    tls.write_all(&[b'x'; 100_000]).await?;
    tls.close_notify().await?;
    let mut answer = String::new();
    tls.read_to_string(&mut answer).await?;
    print!("answer: {answer}");
    println!("authenticated end: {}", tls.received_close_notify());
    drop(tls);
    proxy.abort();
    println!("{}", tracker.drain(Duration::from_secs(10)).await);
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
