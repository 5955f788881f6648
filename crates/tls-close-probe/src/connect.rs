//! Connects: the address, the certificates to trust, and the handshake.

use std::{io, net::Ipv6Addr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, anyhow, bail};
use bstr::ByteSlice;
use rustls::{
    ClientConfig, ConfigBuilder, HandshakeKind, RootCertStore,
    client::WantsClientCert,
    crypto::ring,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use serde::Serialize;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout},
};
use tokio_tls_shutdown::tokio_rustls::{TlsConnector, client::TlsStream, rustls};
use tokio_tls_shutdown::{GracefulStream, RecordAligned};

use crate::{args::Args, insecure::AcceptAny, report::milliseconds};

/// Aligned to records, so that what follows the server's close_notify is not lost.
pub(crate) type Stream = GracefulStream<TlsStream<RecordAligned<TcpStream>>>;

/// What a connection is, as of its handshake.
#[derive(Serialize)]
pub(crate) struct Facts {
    /// The address that was connected to.
    pub(crate) address: String,
    pub(crate) server_name: String,
    /// `TLSv1_2` or `TLSv1_3`.
    pub(crate) tls_version: String,
    pub(crate) cipher_suite: String,
    /// From the first SYN to the end of the handshake.
    pub(crate) handshake_ms: f64,
    #[serde(skip)]
    pub(crate) resumed: bool,
}

pub(crate) struct Connected {
    pub(crate) stream: Stream,
    pub(crate) facts: Facts,
}

pub(crate) struct Server {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
    limit: Duration,
}

impl Server {
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let (host, port) = host_and_port(&args.server)
            .with_context(|| format!("`{}` is no HOST:PORT, HOST or [IPV6]:PORT", args.server))?;
        let name = args.server_name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(name.to_owned())
            .with_context(|| format!("`{name}` is no server name"))?;
        Ok(Self {
            host: host.into(),
            port,
            name,
            connector: TlsConnector::from(Arc::new(config(args)?)),
            limit: args.timeout,
        })
    }

    /// Connects and shakes hands within the time limit.
    pub(crate) async fn connect(&self) -> anyhow::Result<Connected> {
        let begun = Instant::now();
        let Self {
            host, port, limit, ..
        } = self;
        let tcp = timeout(*limit, TcpStream::connect((host.as_str(), *port)))
            .await
            .map_err(|_| anyhow!("no answer within {limit:?}"))
            .and_then(|result| Ok(result?))
            .with_context(|| format!("{host} port {port} cannot be connected to"))?;
        // Without it, waiting for the server behind a small write takes 41 ms.
        tcp.set_nodelay(true)?;
        let address = tcp.peer_addr()?.to_string();
        let handshake = self
            .connector
            .connect(self.name.clone(), RecordAligned::new(tcp))
            .into_fallible();
        let left = limit.saturating_sub(begun.elapsed());
        let tls = timeout(left, handshake)
            .await
            .map_err(|_| anyhow!("the TLS handshake did not end within {limit:?}"))?
            .map_err(|(error, transport)| explain(error, transport))?;

        let session = tls.get_ref().1;
        let facts = Facts {
            address,
            server_name: self.name.to_str().into_owned(),
            tls_version: format!("{:?}", session.protocol_version().context("no version")?),
            cipher_suite: format!(
                "{:?}",
                session
                    .negotiated_cipher_suite()
                    .context("no cipher suite")?
                    .suite()
            ),
            handshake_ms: milliseconds(begun.elapsed()),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
        };
        let stream = GracefulStream::new(tls);
        Ok(Connected { stream, facts })
    }
}

fn host_and_port(server: &str) -> Option<(&str, u16)> {
    const HTTPS: u16 = 443;
    if server.parse::<Ipv6Addr>().is_ok() {
        return Some((server, HTTPS));
    }
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port)
        }
        None => server.split_at(server.find(':').unwrap_or(server.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None if port.is_empty() => HTTPS,
        None => return None,
    };
    (!host.is_empty()).then_some((host, port))
}

fn config(args: &Args) -> anyhow::Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let versions = match args.tls12 {
        true => &[&rustls::version::TLS12][..],
        false => rustls::ALL_VERSIONS,
    };
    let builder =
        ClientConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions)?;
    let builder: ConfigBuilder<_, WantsClientCert> = match args.insecure {
        true => builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AcceptAny(provider))),
        false => builder.with_root_certificates(match &args.ca {
            Some(path) => roots_of(path)
                .with_context(|| format!("{} cannot be used as --ca", path.display()))?,
            None => system_roots()?,
        }),
    };
    Ok(builder.with_no_client_auth())
}

fn roots_of(path: &Path) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    match roots.is_empty() {
        true => bail!("it holds no PEM certificate"),
        false => Ok(roots),
    }
}

fn system_roots() -> anyhow::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    match (roots.is_empty(), found.errors.into_iter().next()) {
        (false, _) => Ok(roots),
        (true, None) => bail!("the system has no root certificates: see --ca and --insecure"),
        (true, Some(e)) => Err(e).context("the system's root certificates cannot be read"),
    }
}

/// Says in plain words why a handshake failed.
fn explain(error: io::Error, transport: RecordAligned<TcpStream>) -> anyhow::Error {
    let (_, unread) = transport.into_parts();
    let cause = error.get_ref().and_then(|e| e.downcast_ref());
    match cause {
        Some(rustls::Error::InvalidCertificate(_)) => {
            anyhow!("{error}: see --ca, --server-name and --insecure")
        }
        // RecordAligned has kept it from rustls.
        None if error.kind() == io::ErrorKind::InvalidData => {
            let line = unread.lines().next().unwrap_or_default();
            let line = line[..line.len().min(60)].escape_ascii();
            anyhow!("this is no TLS server: it says `{line}`")
        }
        _ => anyhow::Error::new(error).context("the TLS handshake failed"),
    }
}
