//! `GracefulConnector`: performs the TLS handshakes of a client.

use std::{fmt, sync::Arc};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::{
    event::Role,
    handshake::{Options, handshake_future, option_setters},
    resumption::ClientSessions,
};

/// Connects to TLS servers with [`GracefulStream`](crate::GracefulStream)s.
///
/// Holds what the connections of a client have in common: the configuration, the
/// [sessions](crate::resumption) to resume, what `shutdown()` does, a deadline for the handshake,
/// and a tracker. Cheap to clone.
///
/// The connector only performs the handshake; it does not connect the transport. On TCP, set
/// `TCP_NODELAY`, or a close that follows a small write waits 41 ms for the peer's acknowledgement.
///
/// With [sessions](Self::with_sessions) the configuration is cloned for each connection, some
/// `Arc`s and the list of ALPN protocols: well below 1 % of the cost of a handshake.
///
/// ```
/// use std::sync::Arc;
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
/// use tokio_tls_shutdown::{GracefulConnector, ShutdownExt};
/// use tokio_tls_shutdown::tokio_rustls::rustls::{ClientConfig, pki_types::ServerName};
///
/// async fn upload(connector: &GracefulConnector, file: &[u8]) -> std::io::Result<()> {
///     let tcp = TcpStream::connect("upload.example:443").await?;
///     tcp.set_nodelay(true)?;
///     let name = ServerName::try_from("upload.example").map_err(std::io::Error::other)?;
///     let mut tls = connector.connect(name, tcp).await?;
///     tls.write_all(file).await?;
///     // No acknowledgement of the data: see `Closed`.
///     tls.shutdown_bidirectional().await?.require_clean()?;
///     Ok(())
/// }
/// ```
#[derive(Clone)]
pub struct GracefulConnector {
    config: Arc<ClientConfig>,
    sessions: Option<ClientSessions>,
    options: Options,
    #[cfg(feature = "early-data")]
    early_data: bool,
}

impl GracefulConnector {
    /// Creates a new connector.
    ///
    /// Its streams close with [`ClosePolicy::Notify`](crate::ClosePolicy::Notify), a handshake may
    /// take 10 seconds, and the sessions are those of `config`, which are kept however a connection
    /// ends.
    #[must_use]
    pub fn new(config: Arc<ClientConfig>) -> Self {
        Self {
            config,
            sessions: None,
            options: Options::NEW,
            #[cfg(feature = "early-data")]
            early_data: false,
        }
    }

    /// Sets the sessions to resume. Defaults to those of the configuration.
    #[must_use]
    pub fn with_sessions(mut self, sessions: ClientSessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    option_setters!();

    /// Sets whether the first data written are sent as early data (0-RTT) where a session allows
    /// that, as [`TlsConnector::early_data`] does. Defaults to `false`.
    ///
    /// The configuration must [enable](ClientConfig::enable_early_data) it too.
    ///
    /// Early data can be replayed: see [`resumption`](crate::resumption#0-rtt). Connections that
    /// use it are not counted as resumed in
    /// [`SessionStats`](crate::resumption::SessionStats::resumed).
    #[cfg(feature = "early-data")]
    #[must_use]
    pub fn with_early_data(mut self, early_data: bool) -> Self {
        self.early_data = early_data;
        self
    }

    /// Performs the TLS handshake with the server `name` over `io`.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropping the future drops the connection.
    ///
    /// # Errors
    ///
    /// The future returns a [`HandshakeError`](crate::HandshakeError).
    ///
    /// # Panics
    ///
    /// The future panics on a runtime without a timer if it has to wait and has a deadline.
    pub fn connect<IO>(&self, name: ServerName<'static>, io: IO) -> Connect<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut config = Arc::clone(&self.config);
        let mut observer = None;
        if let Some(sessions) = &self.sessions {
            let mut own = ClientConfig::clone(&config);
            let opened = sessions.open();
            (own.resumption, observer) = (opened.0, Some(opened.1));
            config = Arc::new(own);
        }
        let connector = TlsConnector::from(config);
        #[cfg(feature = "early-data")]
        let connector = connector.early_data(self.early_data);
        let connect = connector.connect(name, io);
        let handshake = self.options.handshake(Role::Client, connect, observer);
        Connect { handshake }
    }

    /// Lets the streams linger unless a policy was set, for frameworks that drop a stream right
    /// after `shutdown()`.
    #[cfg(feature = "hyper")]
    pub(crate) fn linger_unless_set(mut self) -> Self {
        self.options.linger_unless_set();
        self
    }
}

impl From<Arc<ClientConfig>> for GracefulConnector {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self::new(config)
    }
}

impl fmt::Debug for GracefulConnector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GracefulConnector")
            .field("sessions", &self.sessions)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

handshake_future! {
    /// Future of [`GracefulConnector::connect`].
    Connect: tokio_rustls::Connect<IO> => TlsStream<IO>
}
