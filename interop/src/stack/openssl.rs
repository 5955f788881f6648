//! OpenSSL, over a `Gate`.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use openssl::ssl::{
    Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslSession, SslSessionCacheMode,
    SslVerifyMode, SslVersion,
};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;
use tokio_tls_shutdown::{Gate, GracefulStream, RecordAligned};

use super::{Io, Stack, Tls};
use crate::{identity::Identity, peer::Version};

pub(crate) struct Openssl {
    server: SslContext,
    root: String,
    version: Version,
}

pub(crate) struct Client {
    context: SslContext,
    /// The newest.
    session: Arc<Mutex<Option<SslSession>>>,
}

impl Client {
    fn ssl(&self) -> anyhow::Result<Ssl> {
        let mut ssl = Ssl::new(&self.context)?;
        ssl.set_hostname("localhost")?;
        ssl.param_mut().set_host("localhost")?;
        let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = &*session {
            #[expect(unsafe_code, reason = "the crate `openssl` has no other way to resume")]
            // SAFETY: it comes from a connection with the same context.
            unsafe {
                ssl.set_session(session)?;
            }
        }
        Ok(ssl)
    }
}

impl Stack for Openssl {
    type Stream<IO: Io> = SslStream<Gate<IO>>;

    type Client = Client;

    fn new(identity: &Identity, version: Version) -> anyhow::Result<Self> {
        let mut server = context(SslMethod::tls_server(), version)?;
        server.set_certificate_chain_file(identity.certificate_file())?;
        server.set_private_key_file(identity.key_file(), SslFiletype::PEM)?;
        Ok(Self {
            server: server.build(),
            root: identity.root_file(),
            version,
        })
    }

    fn client(&self) -> anyhow::Result<Client> {
        let session = Arc::new(Mutex::new(None));
        let newest = Arc::clone(&session);
        let mut context = context(SslMethod::tls_client(), self.version)?;
        context.set_ca_file(&self.root)?;
        context.set_verify(SslVerifyMode::PEER);
        context.set_session_cache_mode(SslSessionCacheMode::CLIENT);
        context.set_new_session_callback(move |_, session| {
            *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
        });
        Ok(Client {
            context: context.build(),
            session,
        })
    }

    async fn connect<IO: Io>(client: &Client, io: IO) -> anyhow::Result<Tls<Self, IO>> {
        let mut tls = SslStream::new(client.ssl()?, Gate::new(io))?;
        Pin::new(&mut tls).connect().await?;
        Ok(GracefulStream::new(tls))
    }

    async fn accept<IO: Io>(&self, io: IO) -> anyhow::Result<Tls<Self, IO>> {
        let mut tls = SslStream::new(Ssl::new(&self.server)?, Gate::new(io))?;
        Pin::new(&mut tls).accept().await?;
        Ok(GracefulStream::new(tls))
    }

    fn into_transport(
        tls: Tls<Self, RecordAligned<TcpStream>>,
    ) -> anyhow::Result<RecordAligned<TcpStream>> {
        // Not by `?`: the error has the stream in it, which is not `Sync`.
        tls.into_transport().map_err(|e| anyhow::anyhow!("{e}"))
    }
}

fn context(method: SslMethod, version: Version) -> anyhow::Result<SslContextBuilder> {
    let mut context = SslContext::builder(method)?;
    let version = match version {
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    };
    context.set_min_proto_version(Some(version))?;
    context.set_max_proto_version(Some(version))?;
    Ok(context)
}
