//! `ServerSessions`: the sessions that a server lets its clients resume.

use std::sync::Arc;

use rustls::server::StoresServerSessions;

use super::{Retention, context};

/// The sessions that the clients of a server can resume: TLS 1.2 session ids and TLS 1.3 stateful
/// tickets.
///
/// Cheap to clone; clones share the store. Pass it to
/// [`GracefulAcceptor::with_sessions`](crate::GracefulAcceptor::with_sessions). When a connection
/// ends in a way that its [`Retention`] does not accept, the sessions that it created or resumed
/// are evicted. [Stateless tickets](super#what-cannot-be-evicted) cannot be evicted.
///
/// A session resumes only in the [context](super#contexts) that it was made in: each
/// configuration has its own, unless you [name one](Self::with_context).
///
/// ```
/// use std::sync::Arc;
/// use tokio_tls_shutdown::{GracefulAcceptor, resumption::ServerSessions};
/// use tokio_tls_shutdown::tokio_rustls::rustls::{ServerConfig, server::ServerSessionMemoryCache};
///
/// fn acceptor(config: Arc<ServerConfig>) -> GracefulAcceptor {
///     let sessions = ServerSessions::new(ServerSessionMemoryCache::new(1024));
///     GracefulAcceptor::new(config).with_sessions(sessions)
/// }
/// ```
#[derive(Clone, Debug)]
pub struct ServerSessions {
    pub(super) store: Arc<dyn StoresServerSessions>,
    pub(super) retention: Retention,
    /// The context that the user has named.
    pub(super) context: Option<Arc<[u8]>>,
}

impl ServerSessions {
    /// Creates a new value that keeps the sessions in `store`.
    ///
    /// The store is called from within handshakes, closes and drops, and must not block for long.
    /// If it panics, the connection continues without it. Its keys are those of rustls with the
    /// context appended. A ticket whose handshake fails is taken and then put again; a store whose
    /// entries expire must not let that extend their life beyond what you accept.
    #[must_use]
    pub fn new(store: Arc<dyn StoresServerSessions>) -> Self {
        Self {
            store,
            retention: Retention::default(),
            context: None,
        }
    }

    /// Sets which sessions are kept when their connection ends. Defaults to
    /// [`Retention::CleanClose`].
    #[must_use]
    pub fn with_retention(mut self, retention: Retention) -> Self {
        self.retention = retention;
        self
    }

    /// Names the context of the sessions, as `SSL_CTX_set_session_id_context(3)` does. Defaults to
    /// a context for each configuration.
    ///
    /// All configurations that use one store, or one ticketer, and name the same context resume
    /// each other's sessions: those of several acceptors or machines, and those that an acceptor
    /// gets [one after another](crate::GracefulAcceptor::from_source). With that you state that
    /// they trust the same client certificates; rustls does not verify a certificate again when it
    /// resumes.
    ///
    /// Name the context if the store outlives the process, too: the contexts of configurations are
    /// new in each process. The name need not be secret.
    ///
    /// Even so, a session of a client without a certificate never resumes where one is required:
    /// see [Contexts](super#contexts).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use tokio::sync::watch;
    /// use tokio_tls_shutdown::{GracefulAcceptor, resumption::ServerSessions};
    /// use tokio_tls_shutdown::tokio_rustls::rustls::{ServerConfig, server::ServerSessionMemoryCache};
    ///
    /// /// Clients resume their sessions also after the certificate was renewed.
    /// fn acceptor(configs: watch::Receiver<Arc<ServerConfig>>) -> GracefulAcceptor {
    ///     let sessions = ServerSessions::new(ServerSessionMemoryCache::new(1024));
    ///     GracefulAcceptor::from(configs).with_sessions(sessions.with_context("www"))
    /// }
    /// ```
    #[must_use]
    pub fn with_context(mut self, name: impl AsRef<[u8]>) -> Self {
        self.context = Some(context::named(name.as_ref()));
        self
    }
}
