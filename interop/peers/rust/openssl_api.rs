//! What OpenSSL's API and BoringSSL's have in common: all of it that is needed here.

use std::sync::{Arc, Mutex, PoisonError};

use peer_protocol::{Args, Stack, Tcp};

use super::{
    SslStream, handshake,
    ssl::{
        Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod, SslSession,
        SslSessionCacheMode, SslVerifyMode, SslVersion,
    },
};

pub(crate) struct Context {
    context: SslContext,
    is_server: bool,
    /// The newest of a client.
    session: Arc<Mutex<Option<SslSession>>>,
}

impl Context {
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        let mut builder = SslContextBuilder::new(SslMethod::tls())?;
        let version = match args.is_tls13 {
            true => SslVersion::TLS1_3,
            false => SslVersion::TLS1_2,
        };
        builder.set_min_proto_version(Some(version))?;
        builder.set_max_proto_version(Some(version))?;
        let session = Arc::new(Mutex::new(None));
        if args.is_server {
            builder.set_certificate_chain_file(&args.certificate)?;
            builder.set_private_key_file(&args.key, SslFiletype::PEM)?;
        } else {
            builder.set_ca_file(&args.certificate)?;
            builder.set_verify(SslVerifyMode::PEER);
            builder.set_session_cache_mode(SslSessionCacheMode::CLIENT);
            let newest = Arc::clone(&session);
            builder.set_new_session_callback(move |_, session| {
                *newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(session);
            });
        }
        Ok(Self {
            context: builder.build(),
            is_server: args.is_server,
            session,
        })
    }
}

impl Stack for Context {
    type Stream = SslStream<Tcp>;

    async fn handshake(&self, tcp: Tcp) -> anyhow::Result<Self::Stream> {
        let mut ssl = Ssl::new(&self.context)?;
        if !self.is_server {
            ssl.set_hostname("localhost")?;
            ssl.param_mut().set_host("localhost")?;
            let session = self.session.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(session) = &*session {
                // SAFETY: it comes from a connection with the same context.
                unsafe { ssl.set_session(session)? };
            }
        }
        handshake(ssl, tcp, self.is_server).await
    }

    fn tcp(stream: &mut Self::Stream) -> &mut Tcp {
        stream.get_mut()
    }
}
