//! `GracefulAcceptor`: performs the TLS handshakes of a server.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use tokio_rustls::{
    TlsAcceptor,
    server::{StartHandshake, TlsStream},
};

use crate::{
    event::Role,
    handshake::{Options, handshake_future, option_setters},
    resumption::{
        ServerSessions,
        server_connection::{self, Opened, SessionHandshake, Sessions},
    },
};
#[cfg(feature = "fleet")]
use crate::{
    handshake::{
        client_hello_recorder::ClientHelloRecorder,
        fleet_accept::{FleetAccept, unrecorded},
    },
    resumption::fleet::FleetSessions,
};

/// Accepts TLS connections as [`GracefulStream`](crate::GracefulStream)s.
///
/// Holds what the connections of a server have in common: the configuration, the
/// [sessions](crate::resumption) that clients can resume, what `shutdown()` does, a deadline for
/// the handshake, and a tracker. Cheap to clone.
///
/// The acceptor only performs the handshake; it does not own a listener. On TCP, set
/// `TCP_NODELAY`, or a close that follows a small write waits 41 ms for the peer's acknowledgement.
///
/// The configuration is cloned for each connection, some `Arc`s and the list of ALPN protocols:
/// well below 1 % of the cost of a handshake.
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
    config: Config,
    sessions: Sessions,
    options: Options,
}

#[derive(Clone)]
enum Config {
    Fixed(Arc<ServerConfig>),
    Source(Arc<dyn Fn() -> Arc<ServerConfig> + Send + Sync>),
}

impl Config {
    fn current(&self) -> Arc<ServerConfig> {
        match self {
            Self::Fixed(config) => Arc::clone(config),
            Self::Source(source) => source(),
        }
    }
}

impl GracefulAcceptor {
    /// Creates a new acceptor with one configuration.
    ///
    /// Its streams close with [`ClosePolicy::Notify`](crate::ClosePolicy::Notify), a handshake may
    /// take 10 seconds, and the sessions are those of `config`, which are kept however a connection
    /// ends.
    #[must_use]
    pub fn new(config: Arc<ServerConfig>) -> Self {
        Self::with_config(Config::Fixed(config))
    }

    /// Creates a new acceptor that asks `source` for the configuration of each connection.
    ///
    /// With it certificates are renewed without a restart. `source` is called by
    /// [`accept`](Self::accept) and [`finish_accept`](Self::finish_accept) and must not block;
    /// connections that are being accepted or are open keep the configuration that they have. If it
    /// panics, so do these two, and nothing is counted or held for the connection; a listener that
    /// calls them in its accept loop ends with that. There is a conversion from a [`watch::Receiver`] as well. Everything else is as for
    /// [`new`](Self::new).
    ///
    /// Return clones of one `Arc` until the configuration has really changed: sessions belong to
    /// the `Arc` that they were made with. To let them resume after a change, give the acceptor
    /// sessions that [name a context](ServerSessions::with_context).
    ///
    /// The example `reload` reloads the certificate on SIGHUP. axum-server's `RustlsConfig` is a
    /// source as well: `GracefulAcceptor::from_source(move || rustls_config.get_inner())`.
    ///
    /// Where only the certificate changes, as with an ACME client, no source is needed: rustls asks
    /// a [`ResolvesServerCert`](rustls::server::ResolvesServerCert) for the certificate of each
    /// connection. The configuration stays the same, and sessions resume without a named context.
    ///
    /// ```
    /// use std::sync::{Arc, RwLock};
    /// use tokio_tls_shutdown::{GracefulAcceptor, resumption::ServerSessions};
    /// use tokio_tls_shutdown::tokio_rustls::rustls::{
    ///     self, ServerConfig,
    ///     server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache},
    ///     sign::CertifiedKey,
    /// };
    ///
    /// /// The resolver of an ACME crate takes this place, for example that of rustls-acme.
    /// #[derive(Debug)]
    /// struct Renewed(RwLock<Arc<CertifiedKey>>);
    ///
    /// impl Renewed {
    ///     fn renew(&self, new: CertifiedKey) {
    ///         *self.0.write().unwrap() = Arc::new(new);
    ///     }
    /// }
    ///
    /// impl ResolvesServerCert for Renewed {
    ///     fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
    ///         self.0.read().ok().map(|key| Arc::clone(&key))
    ///     }
    /// }
    ///
    /// fn acceptor(certificates: Arc<Renewed>) -> Result<GracefulAcceptor, rustls::Error> {
    ///     let config = ServerConfig::builder()
    ///         .with_no_client_auth()
    ///         .with_cert_resolver(certificates);
    ///     let sessions = ServerSessions::new(ServerSessionMemoryCache::new(1024));
    ///     Ok(GracefulAcceptor::new(Arc::new(config)).with_sessions(sessions))
    /// }
    /// ```
    #[must_use]
    pub fn from_source(source: impl Fn() -> Arc<ServerConfig> + Send + Sync + 'static) -> Self {
        Self::with_config(Config::Source(Arc::new(source)))
    }

    fn with_config(config: Config) -> Self {
        Self {
            config,
            sessions: Sessions::OfConfig,
            options: Options::NEW,
        }
    }

    /// Sets the sessions that clients can resume. Defaults to those of the configuration.
    #[must_use]
    pub fn with_sessions(mut self, sessions: ServerSessions) -> Self {
        self.sessions = Sessions::Store(sessions);
        self
    }

    /// Sets the sessions that clients can resume on all servers of a [fleet](crate::resumption::fleet),
    /// in place of those that [`with_sessions`](Self::with_sessions) sets.
    ///
    /// Handshakes must run on a tokio runtime with a timer.
    #[cfg(feature = "fleet")]
    #[must_use]
    pub fn with_fleet_sessions(mut self, sessions: FleetSessions) -> Self {
        self.sessions = Sessions::Fleet(sessions);
        self
    }

    option_setters!();

    /// Performs the TLS handshake with a client over `io`.
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
    pub fn accept<IO>(&self, io: IO) -> Accept<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.handshake(|opened| match opened {
            #[cfg(feature = "fleet")]
            Opened {
                fleet: Some(fleet),
                config,
                ..
            } => {
                let accept = FleetAccept::new(io, Arc::clone(config), Arc::clone(fleet));
                Step::Fleet(Box::new(accept))
            }
            Opened { config, .. } => Step::Rustls(TlsAcceptor::from(Arc::clone(config)).accept(io)),
        })
    }

    /// Completes a handshake that was started with a
    /// [`LazyConfigAcceptor`](tokio_rustls::LazyConfigAcceptor), which shows the ClientHello.
    ///
    /// This is how a server chooses by server name or ALPN protocol: with an acceptor for each
    /// configuration, call `finish_accept` on the chosen one. Its sessions, policy, deadline and
    /// tracker apply. Create the acceptors once, not for each connection.
    ///
    /// The deadline starts with this call; bound the time that the `LazyConfigAcceptor` takes
    /// yourself. Everything else is as for [`accept`](Self::accept).
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    ///
    /// ```
    /// use std::{collections::HashMap, io, time::Duration};
    /// use tokio::{net::TcpStream, time::timeout};
    /// use tokio_tls_shutdown::{GracefulAcceptor, GracefulStream};
    /// use tokio_tls_shutdown::tokio_rustls::{LazyConfigAcceptor, rustls, server::TlsStream};
    ///
    /// async fn by_name(
    ///     acceptors: &HashMap<String, GracefulAcceptor>,
    ///     tcp: TcpStream,
    /// ) -> io::Result<GracefulStream<TlsStream<TcpStream>>> {
    ///     let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp);
    ///     let start = timeout(Duration::from_secs(10), start).await??;
    ///     let name = start.client_hello().server_name().unwrap_or_default().to_owned();
    ///     let chosen = acceptors.get(&name).ok_or(io::ErrorKind::NotFound)?;
    ///     Ok(chosen.finish_accept(start).await?)
    /// }
    /// ```
    pub fn finish_accept<IO>(&self, start: StartHandshake<IO>) -> Accept<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.handshake(|opened| Step::Rustls(start.into_stream(Arc::clone(&opened.config))))
    }

    /// Completes a handshake whose ClientHello was recorded, so that it can resume one of the [fleet's
    /// sessions](Self::with_fleet_sessions).
    ///
    /// Everything else is as for [`finish_accept`](Self::finish_accept), which makes a full handshake
    /// where the acceptor has fleet sessions. For an example see [`ClientHelloRecorder`].
    ///
    /// # Errors
    ///
    /// As for [`accept`](Self::accept).
    #[cfg(feature = "fleet")]
    pub fn finish_recorded_accept<IO>(
        &self,
        start: StartHandshake<ClientHelloRecorder<IO>>,
    ) -> Accept<IO>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        self.handshake(|opened| {
            let config = Arc::clone(&opened.config);
            let fleet = opened.fleet.as_ref();
            let lookup = fleet.and_then(|fleet| Some((fleet, fleet.look_up(&start.io.offer())?)));
            match lookup {
                Some((fleet, lookup)) => {
                    let fleet = Arc::clone(fleet);
                    let accept = FleetAccept::of_recorded(start, lookup, config, fleet);
                    Step::Fleet(Box::new(accept))
                }
                None => Step::Rustls(unrecorded(start).into_stream(config)),
            }
        })
    }

    fn handshake<IO>(&self, first_step: impl FnOnce(&Opened) -> Step<IO>) -> Accept<IO> {
        let opened = server_connection::open(&self.sessions, &self.config.current());
        let accept = SessionAccept {
            step: first_step(&opened),
            sessions: opened.handshake,
        };
        let handshake = (self.options).handshake(Role::Server, accept, opened.observer);
        Accept { handshake }
    }

    /// Lets the streams linger unless a policy was set, for frameworks that drop a stream right
    /// after `shutdown()`.
    #[cfg(any(feature = "axum-server", feature = "tls-listener"))]
    pub(crate) fn linger_unless_set(mut self) -> Self {
        self.options.linger_unless_set();
        self
    }
}

impl From<Arc<ServerConfig>> for GracefulAcceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(config)
    }
}

/// As [`GracefulAcceptor::from_source`], with the value that was sent last.
impl From<watch::Receiver<Arc<ServerConfig>>> for GracefulAcceptor {
    fn from(configs: watch::Receiver<Arc<ServerConfig>>) -> Self {
        Self::from_source(move || Arc::clone(&configs.borrow()))
    }
}

impl fmt::Debug for GracefulAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GracefulAcceptor")
            .field("sessions", &self.sessions)
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

handshake_future! {
    /// Future of [`GracefulAcceptor::accept`] and its variants.
    Accept: SessionAccept<IO> => TlsStream<IO>
}

/// The handshake of tokio-rustls, whose sessions are told how it ends before anyone has the stream.
struct SessionAccept<IO> {
    step: Step<IO>,
    sessions: SessionHandshake,
}

#[cfg_attr(
    feature = "fleet",
    allow(
        clippy::large_enum_variant,
        reason = "what most acceptors have is not boxed"
    )
)]
enum Step<IO> {
    /// Before rustls's handshake. Boxed, as few acceptors have it.
    #[cfg(feature = "fleet")]
    Fleet(Box<FleetAccept<IO>>),
    Rustls(tokio_rustls::Accept<IO>),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Step<IO> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TlsStream<IO>>> {
        match self {
            #[cfg(feature = "fleet")]
            Self::Fleet(accept) => {
                *self = Self::Rustls(ready!(Pin::new(accept).poll(cx))?);
                self.poll(cx)
            }
            Self::Rustls(accept) => Pin::new(accept).poll(cx),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for SessionAccept<IO> {
    type Output = io::Result<TlsStream<IO>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let result = ready!(self.step.poll(cx));
        Poll::Ready(match result {
            Ok(stream) => match self.sessions.finish(stream.get_ref().1) {
                Ok(()) => Ok(stream),
                Err(e) => Err(io::Error::new(io::ErrorKind::InvalidData, e)),
            },
            Err(e) => {
                self.sessions.fail(&e);
                Err(e)
            }
        })
    }
}
