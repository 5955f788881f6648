//! An echo server that reloads its certificate on SIGHUP, without a restart: open connections
//! continue, new ones get the new certificate, and clients still resume their sessions.
//!
//! `cargo run --release --example reload -- --cert cert.pem --key key.pem`, then
//! `kill -HUP <pid>` when the files have changed, and Ctrl-C to stop. Without paths each reload
//! makes a new certificate. `-- --demo` also runs a client against the server.

use std::{
    error::Error, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration,
};

use clap::Parser;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject},
    server::ServerSessionMemoryCache,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Notify, watch},
};
use tokio_tls_shutdown::{
    ClosePolicy, CloseTracker, GracefulAcceptor, GracefulConnector, ShutdownExt,
    resumption::ServerSessions, tokio_rustls::rustls,
};

type Result<T, E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

/// Echoes over TLS, and reloads its certificate on SIGHUP.
#[derive(Parser)]
struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// The certificate chain, a PEM file.
    #[arg(long, requires = "key")]
    cert: Option<PathBuf>,
    /// The private key, a PEM file.
    #[arg(long, requires = "cert")]
    key: Option<PathBuf>,
    /// Run a client against the server, on a free port, then stop.
    #[arg(long, conflicts_with = "cert")]
    demo: bool,
}

/// Where certificates come from.
enum Certificates {
    Files { cert: PathBuf, key: PathBuf },
    Made(Box<Issuer<'static, KeyPair>>),
}

impl Certificates {
    fn load(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)> {
        match self {
            Self::Files { cert, key } => {
                let chain: Vec<_> =
                    CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
                if chain.is_empty() {
                    return Err(format!("no certificate in {}", cert.display()).into());
                }
                Ok((chain, PrivateKeyDer::from_pem_file(key)?))
            }
            Self::Made(issuer) => {
                let key = KeyPair::generate()?;
                let params = CertificateParams::new(["localhost".to_owned()])?;
                let cert = params.signed_by(&key, &**issuer)?;
                let key = PrivatePkcs8KeyDer::from(key.serialize_der());
                Ok((vec![cert.into()], key.into()))
            }
        }
    }

    fn server_config(&self) -> Result<Arc<ServerConfig>> {
        let (chain, key) = self.load()?;
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        Ok(Arc::new(config))
    }
}

async fn echo(acceptor: GracefulAcceptor, tcp: TcpStream) -> Result<()> {
    tcp.set_nodelay(true)?;
    let mut tls = acceptor.accept(tcp).await?;
    let mut buf = vec![0; 16_384];
    loop {
        match tls.read(&mut buf).await? {
            0 => break,
            len => tls.write_all(&buf[..len]).await?,
        }
        tls.flush().await?;
    }
    Ok(tls.shutdown().await?)
}

/// Calls `reload` for each SIGHUP.
#[cfg(unix)]
async fn on_hangup(reload: impl Fn()) -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut hangup = signal(SignalKind::hangup())?;
    while hangup.recv().await.is_some() {
        reload();
    }
    Ok(())
}

#[cfg(not(unix))]
async fn on_hangup(_: impl Fn()) -> Result<()> {
    std::future::pending().await
}

async fn serve(args: Args) -> Result<()> {
    let ca = Ca::new()?;
    let certificates = match (args.cert, args.key) {
        (Some(cert), Some(key)) => Certificates::Files { cert, key },
        _ => Certificates::Made(Box::new(ca.issuer)),
    };
    let (configs, current) = watch::channel(certificates.server_config()?);

    let sessions = ServerSessions::new(ServerSessionMemoryCache::new(1024))
        // All configurations trust the same clients, so sessions may outlive a reload.
        .with_context("reload");
    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::from(current.clone())
        .with_sessions(sessions)
        .with_policy(ClosePolicy::linger())
        .with_tracker(&tracker);

    let mut address = args.listen;
    if args.demo {
        address.set_port(0);
    }
    let listener = TcpListener::bind(address)
        .await
        .map_err(|e| format!("failed to listen on {address}: {e}"))?;
    let address = listener.local_addr()?;
    println!("listening on {address}, process {}", std::process::id());

    let accept = async {
        loop {
            match listener.accept().await {
                Ok((tcp, peer)) => {
                    let echo = echo(acceptor.clone(), tcp);
                    tokio::spawn(async move {
                        if let Err(e) = echo.await {
                            eprintln!("{peer}: {e}");
                        }
                    });
                }
                Err(e) => {
                    eprintln!("failed to accept: {e}");
                    // For example, too many open files: let some be closed.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        }
    };
    let reload = || match certificates.server_config() {
        Ok(config) => {
            println!("certificate reloaded");
            configs.send_replace(config);
        }
        // The server continues with the certificate that it has.
        Err(e) => eprintln!("failed to reload the certificate: {e}"),
    };
    let asked = Notify::new();
    let on_request = async {
        loop {
            asked.notified().await;
            reload();
        }
    };
    let stop = async {
        match args.demo {
            true => demo(address, ca.certificate, &asked, current).await,
            false => Ok(tokio::signal::ctrl_c().await?),
        }
    };
    let result = tokio::select! {
        never = accept => never,
        never = on_request => never,
        failed = on_hangup(reload) => failed,
        result = stop => result,
    };

    // Stop accepting, let open connections finish, and abort the rest at the deadline.
    drop(listener);
    println!("{}", tracker.drain(Duration::from_secs(10)).await);
    result
}

/// Signs the certificates that this example makes.
struct Ca {
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Ca {
    fn new() -> Result<Self> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.into();
        let issuer = Issuer::new(params, key);
        Ok(Self {
            certificate,
            issuer,
        })
    }
}

fn client_config(ca: CertificateDer<'static>) -> Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(ca)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Connects before and after three reloads.
async fn demo(
    address: SocketAddr,
    ca: CertificateDer<'static>,
    reload: &Notify,
    mut configs: watch::Receiver<Arc<ServerConfig>>,
) -> Result<()> {
    let name = || ServerName::try_from("localhost");
    let regular = GracefulConnector::new(client_config(ca.clone())?);
    let mut old = regular
        .connect(name()?, TcpStream::connect(address).await?)
        .await?;
    for round in 0..4 {
        if round > 0 {
            configs.mark_unchanged();
            reload.notify_one();
            configs.changed().await?;
        }
        // A new client has nothing to resume, so it gets the certificate.
        let stranger = GracefulConnector::new(client_config(ca.clone())?);
        let tcp = TcpStream::connect(address).await?;
        let mut tls = stranger.connect(name()?, tcp).await?;
        let chain = tls.get_ref().get_ref().1.peer_certificates();
        let der = chain
            .and_then(|chain| chain.first())
            .ok_or("no certificate")?;
        let end: String = der[der.len() - 4..]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        tls.shutdown_bidirectional().await?.require_clean()?;

        let mut resumed = 0;
        for _ in 0..10 {
            let tcp = TcpStream::connect(address).await?;
            let mut tls = regular.connect(name()?, tcp).await?;
            tls.write_all(b"hello").await?;
            tls.read_exact(&mut [0; 5]).await?;
            resumed += usize::from(tls.is_resumed());
            tls.shutdown_bidirectional().await?.require_clean()?;
        }
        old.write_all(b"hello").await?;
        old.read_exact(&mut [0; 5]).await?;
        println!(
            "after {round} reloads: the certificate ends with {end}, {resumed} of 10 connections \
             of a regular client resume, the first connection still works"
        );
    }
    old.shutdown_bidirectional().await?.require_clean()?;
    Ok(())
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("error: {e}");
            ExitCode::FAILURE
        }
    }
}
