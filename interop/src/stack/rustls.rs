//! rustls.

use std::sync::Arc;

use anyhow::Context;
use tokio::net::TcpStream;
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector, RecordAligned,
    resumption::{ClientSessions, ServerSessions},
    tokio_rustls::{
        self,
        rustls::{
            ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion,
            crypto::ring,
            pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
            server::ServerSessionMemoryCache,
            version,
        },
    },
};

use super::{Io, Stack, Tls};
use crate::{identity::Identity, peer::Version};

const SESSIONS: usize = 32;

pub(crate) struct Rustls {
    connector: GracefulConnector,
    acceptor: GracefulAcceptor,
}

impl Stack for Rustls {
    type Stream<IO: Io> = tokio_rustls::TlsStream<IO>;

    type Client = GracefulConnector;

    fn new(identity: &Identity, version: Version) -> anyhow::Result<Self> {
        let storage = ServerSessionMemoryCache::new(SESSIONS);
        let acceptor = GracefulAcceptor::new(server_config(identity, version)?);
        Ok(Self {
            connector: GracefulConnector::new(client_config(identity, version)?),
            acceptor: acceptor.with_sessions(ServerSessions::new(storage)),
        })
    }

    fn client(&self) -> anyhow::Result<GracefulConnector> {
        let sessions = ClientSessions::in_memory(SESSIONS);
        Ok(self.connector.clone().with_sessions(sessions))
    }

    async fn connect<IO: Io>(client: &GracefulConnector, io: IO) -> anyhow::Result<Tls<Self, IO>> {
        let name = ServerName::try_from("localhost")?;
        Ok(client.connect(name, io).await?.into())
    }

    async fn accept<IO: Io>(&self, io: IO) -> anyhow::Result<Tls<Self, IO>> {
        Ok(self.acceptor.accept(io).await?.into())
    }

    fn into_transport(
        tls: Tls<Self, RecordAligned<TcpStream>>,
    ) -> anyhow::Result<RecordAligned<TcpStream>> {
        Ok(tls.into_transport()?)
    }
}

fn client_config(identity: &Identity, version: Version) -> anyhow::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(identity.root_file())?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[protocol(version)])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn server_config(identity: &Identity, version: Version) -> anyhow::Result<Arc<ServerConfig>> {
    let certificate = CertificateDer::from_pem_file(identity.certificate_file())?;
    let key = PrivateKeyDer::from_pem_file(identity.key_file())?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[protocol(version)])?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .context("our own certificate")?;
    Ok(Arc::new(config))
}

fn protocol(version: Version) -> &'static SupportedProtocolVersion {
    match version {
        Version::Tls12 => &version::TLS12,
        Version::Tls13 => &version::TLS13,
    }
}
