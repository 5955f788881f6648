//! `GracefulAcceptor`: everything that a server's connections have in common.

use std::{fmt, sync::Arc};

use rustls::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{
    TlsAcceptor,
    server::{StartHandshake, TlsStream},
};

use crate::{
    event::{Observer, Role},
    handshake::{Terms, handshake_future, terms},
    resumption::ServerSessions,
};

/// Makes [`GracefulStream`](crate::GracefulStream)s of a server: a configuration, the sessions
/// that clients can resume, what `shutdown()` does, and a deadline for the handshake.
///
/// Cheap to clone; make one, and share it. A function of a transport: accept loops are somebody
/// else's business. On TCP, set `TCP_NODELAY`, or a close that follows a small write waits 41 ms
/// for the peer's acknowledgement.
///
/// With [sessions](Self::with_sessions) the configuration is cloned for each connection, some
/// `Arc`s and the list of ALPN protocols: well below 1 % of what a handshake costs.
///
/// ```
/// use tokio::{io::AsyncWriteExt, net::TcpListener};
/// use tokio_tls_shutdown::{ClosePolicy, GracefulAcceptor};
///
/// async fn serve(listener: TcpListener, acceptor: GracefulAcceptor) -> std::io::Result<()> {
///     let acceptor = acceptor.with_policy(ClosePolicy::linger());
///     loop {
///         let (tcp, _) = listener.accept().await?;
///         tcp.set_nodelay(true)?;
///         let accept = acceptor.accept(tcp);
///         tokio::spawn(async move {
///             let mut tls = accept.await?;
///             tls.write_all(b"hello and goodbye").await?;
///             tls.shutdown().await
///         });
///     }
/// }
/// ```
#[derive(Clone)]
pub struct GracefulAcceptor {
    config: Arc<ServerConfig>,
    sessions: Option<ServerSessions>,
    terms: Terms,
}

impl GracefulAcceptor {
    /// Makes an acceptor whose streams close with
    /// [`ClosePolicy::Notify`](crate::ClosePolicy::Notify), with 10 seconds for the handshake, and
    /// with the sessions of `config`, which know nothing of how a connection ends.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self {
            config,
            sessions: None,
            terms: Terms::NEW,
        }
    }

    /// Keeps these sessions, in place of those of the configuration.
    #[must_use]
    pub fn with_sessions(mut self, sessions: ServerSessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    terms!();

    /// Shakes hands with a client over `io`.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped before it is ready, it drops the connection.
    ///
    /// # Errors
    ///
    /// The future returns a [`HandshakeError`](crate::HandshakeError).
    ///
    /// # Panics
    ///
    /// The future panics on a runtime without a timer if it has to wait and has a deadline.
    pub fn accept<IO>(&self, io: IO) -> Accept<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let (config, ledger) = self.open(&self.config);
        self.shake_hands(TlsAcceptor::from(config).accept(io), ledger)
    }

    /// Goes on with a handshake of which the ClientHello has come, with a configuration that was
    /// chosen by it, in place of the acceptor's own.
    ///
    /// The deadline counts from here; bound the wait for the
    /// [`LazyConfigAcceptor`](tokio_rustls::LazyConfigAcceptor) yourself.
    ///
    /// Everything else is as for [`accept`](Self::accept).
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tokio::net::TcpStream;
    /// use tokio_tls_shutdown::{GracefulAcceptor, GracefulStream};
    /// use tokio_tls_shutdown::tokio_rustls::{LazyConfigAcceptor, rustls, server::TlsStream};
    ///
    /// async fn by_name(
    ///     acceptor: &GracefulAcceptor,
    ///     tcp: TcpStream,
    ///     choose: impl Fn(Option<&str>) -> Arc<rustls::ServerConfig>,
    /// ) -> std::io::Result<GracefulStream<TlsStream<TcpStream>>> {
    ///     let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await?;
    ///     let config = choose(start.client_hello().server_name());
    ///     Ok(acceptor.accept_start(start, &config).await?)
    /// }
    /// ```
    pub fn accept_start<IO>(
        &self,
        start: StartHandshake<IO>,
        config: &Arc<ServerConfig>,
    ) -> Accept<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let (config, ledger) = self.open(config);
        self.shake_hands(start.into_stream(config), ledger)
    }

    fn shake_hands<IO>(
        &self,
        accept: tokio_rustls::Accept<IO>,
        ledger: Option<Arc<dyn Observer>>,
    ) -> Accept<IO> {
        let handshake = self.terms.handshake(Role::Server, accept, ledger);
        Accept { handshake }
    }

    /// For owners that drop a stream right after `shutdown()`.
    #[cfg(any(feature = "axum-server", feature = "tls-listener"))]
    pub(crate) fn linger_unless_set(mut self) -> Self {
        self.terms.linger_unless_set();
        self
    }

    /// Opens a connection: the configuration for it, and the ledger of its sessions.
    fn open(&self, config: &Arc<ServerConfig>) -> (Arc<ServerConfig>, Option<Arc<dyn Observer>>) {
        match &self.sessions {
            None => (Arc::clone(config), None),
            Some(sessions) => {
                let mut own = ServerConfig::clone(config);
                let (storage, ledger) = sessions.open();
                own.session_storage = storage;
                (Arc::new(own), Some(ledger))
            }
        }
    }
}

impl From<Arc<ServerConfig>> for GracefulAcceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(config)
    }
}

impl fmt::Debug for GracefulAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GracefulAcceptor")
            .field("sessions", &self.sessions)
            .field("terms", &self.terms)
            .finish_non_exhaustive()
    }
}

handshake_future! {
    /// Future of [`GracefulAcceptor::accept`] and [`GracefulAcceptor::accept_start`].
    Accept: tokio_rustls::Accept<IO> => TlsStream<IO>
}
