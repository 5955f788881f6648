//! A pool of idle TLS connections that notices when the server has closed one.
//!
//! ```sh
//! cargo run --example pool
//! ```
//!
//! A connection that the server has closed while it was idle still takes a request: the write
//! returns `Ok`, and the request is lost. `poll_peer_closed`, polled once, shows it beforehand. The
//! server of this example closes each connection after its second request, or when it was idle for
//! half a second.

use std::{
    error::Error,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Waker},
    time::Duration,
};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_tls_shutdown::{
    CloseProgress, GracefulAcceptor, GracefulConnector, GracefulStream, ShutdownExt,
    tokio_rustls::{
        client::TlsStream,
        rustls::{
            ClientConfig, RootCertStore, ServerConfig,
            crypto::ring,
            pki_types::{PrivateKeyDer, ServerName},
        },
    },
};

type Connection = BufReader<GracefulStream<TlsStream<TcpStream>>>;

/// Idle connections to one server.
struct Pool {
    address: SocketAddr,
    connector: GracefulConnector,
    idle: Vec<Connection>,
}

impl Pool {
    /// Sends one line and returns the answer, on an idle connection if there is one that is open.
    async fn request(&mut self, line: &str) -> io::Result<String> {
        let mut connection = match self.take_idle() {
            Some(connection) => connection,
            None => self.connect().await?,
        };
        connection.write_all(line.as_bytes()).await?;
        connection.flush().await?;
        let mut answer = String::new();
        if connection.read_line(&mut answer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.idle.push(connection);
        Ok(answer)
    }

    fn take_idle(&mut self) -> Option<Connection> {
        while let Some(mut connection) = self.idle.pop() {
            if is_reusable(&mut connection) {
                return Some(connection);
            }
            println!("  the server has closed an idle connection");
        }
        None
    }

    async fn connect(&self) -> io::Result<Connection> {
        println!("  a new connection");
        let tcp = TcpStream::connect(self.address).await?;
        tcp.set_nodelay(true)?;
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        Ok(BufReader::new(self.connector.connect(name, tcp).await?))
    }

    /// Closes the idle connections, and keeps their sessions.
    async fn close(self) {
        for mut connection in self.idle {
            match connection.get_mut().shutdown_bidirectional().await {
                Ok(closed) => println!("  {}", closed.peer()),
                Err(e) => println!("  failed to close: {e}"),
            }
        }
    }
}

/// Returns `true` if the server has neither closed nor sent anything that was not asked for.
fn is_reusable(connection: &mut Connection) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    let tls = connection.get_mut();
    tls.poll_peer_closed(&mut cx, &mut CloseProgress::new())
        .is_pending()
}

/// Answers each line with itself, and closes after two of them or after half a second.
async fn serve(listener: TcpListener, acceptor: GracefulAcceptor) -> io::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        let accept = acceptor.accept(tcp);
        tokio::spawn(async move {
            let mut tls = BufReader::new(accept.await?);
            for _ in 0..2 {
                let mut line = String::new();
                let read = timeout(Duration::from_millis(500), tls.read_line(&mut line));
                if !matches!(read.await, Ok(Ok(1..))) {
                    break;
                }
                tls.write_all(line.as_bytes()).await?;
                tls.flush().await?;
            }
            let closed = tls.get_mut().shutdown_bidirectional().await?;
            Ok::<_, io::Error>(closed)
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()])?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der())?;
    let provider = Arc::new(ring::default_provider());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)?;
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone())?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(serve(listener, GracefulAcceptor::new(Arc::new(server))));

    let mut pool = Pool {
        address,
        connector: GracefulConnector::new(Arc::new(client)),
        idle: Vec::new(),
    };
    for i in 1..=5 {
        println!("request {i}");
        print!("  answer: {}", pool.request(&format!("line {i}\n")).await?);
        // Time for the server to close what it wants to close. Behind request 3 it is idle for too long.
        let pause = if i == 3 { 1000 } else { 100 };
        sleep(Duration::from_millis(pause)).await;
    }
    println!("the end");
    pool.close().await;
    Ok(())
}
