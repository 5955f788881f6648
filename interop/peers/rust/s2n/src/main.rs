//! s2n-tls.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use s2n_tls::{
    callbacks::{SessionTicket, SessionTicketCallback},
    config::{Builder, Config},
    connection::{Connection, ModifiedBuilder},
    security::Policy,
};
use s2n_tls_tokio::{TlsAcceptor, TlsConnector, TlsStream};

use peer_protocol::{Args, Stack, Tcp};

struct S2n {
    config: Config,
    is_server: bool,
    newest: Newest,
}

/// The newest session of a client.
#[derive(Clone, Default)]
struct Newest(Arc<Mutex<Option<Vec<u8>>>>);

impl SessionTicketCallback for Newest {
    fn on_session_ticket(&self, _: &mut Connection, ticket: &SessionTicket) {
        let mut data = vec![0; ticket.len().unwrap_or_default()];
        if ticket.data(&mut data).is_ok() {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(data);
        }
    }
}

impl S2n {
    fn new(args: &Args) -> anyhow::Result<Self> {
        let mut builder = Builder::new();
        // The second of these speaks TLS 1.2 at most. With that without `_gcm`, which prefers CBC suites,
        // OpenSSL's `s_client` did not finish a handshake.
        let policy = match args.is_tls13 {
            true => "default_tls13",
            false => "20190214_gcm",
        };
        builder.set_security_policy(&Policy::from_version(policy)?)?;
        let certificate = std::fs::read(&args.certificate)?;
        let newest = Newest::default();
        if args.is_server {
            builder.load_pem(&certificate, &std::fs::read(&args.key)?)?;
            builder.add_session_ticket_key(b"one", &[1; 32], SystemTime::now())?;
        } else {
            builder.with_system_certs(false)?;
            builder.trust_pem(&certificate)?;
            builder.set_session_ticket_callback(newest.clone())?;
        }
        Ok(Self {
            config: builder.build()?,
            is_server: args.is_server,
            newest,
        })
    }
}

impl Stack for S2n {
    type Stream = TlsStream<Tcp>;

    async fn handshake(&self, tcp: Tcp) -> anyhow::Result<Self::Stream> {
        if self.is_server {
            return Ok(TlsAcceptor::new(self.config.clone()).accept(tcp).await?);
        }
        let newest = self.newest.0.lock();
        let session = newest.unwrap_or_else(PoisonError::into_inner).clone();
        let builder = ModifiedBuilder::new(self.config.clone(), move |connection| match &session {
            Some(session) => connection.set_session_ticket(session),
            None => Ok(connection),
        });
        Ok(TlsConnector::new(builder).connect("localhost", tcp).await?)
    }

    fn tcp(stream: &mut Self::Stream) -> &mut Tcp {
        stream.get_mut()
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    peer_protocol::run("crate s2n-tls 0.3", S2n::new).await
}
