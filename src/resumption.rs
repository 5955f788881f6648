//! Session resumption that depends on how a connection ended.
//!
//! rustls stores every session when it is received and keeps it: a session of a connection that
//! fails later is offered again. [RFC 5246, section 7.2.2] and OpenSSL require otherwise: a session
//! is evicted when its connection fails, and OpenSSL also evicts it when the connection is freed
//! without a close. [`ClientSessions`] and [`ServerSessions`] add that rule to rustls, with
//! [`GracefulConnector`](crate::GracefulConnector) and
//! [`GracefulAcceptor`](crate::GracefulAcceptor).
//!
//! # What a clean close is
//!
//! Our `close_notify` was sent, or [quiet
//! shutdown](crate::GracefulStream::set_quiet_shutdown) was chosen: "the session is considered to
//! be closed and good" then, in the words of [SSL_set_shutdown(3)]. What the peer does afterwards,
//! for example EOF without `close_notify`, does not change that; a fatal alert or a bad record
//! does.
//!
//! | the connection | [`CleanClose`] | [`UnlessFailed`] | [`Always`] | OpenSSL | rustls alone |
//! |---|---|---|---|---|---|
//! | was closed by us, one way or both | kept | kept | kept | kept | kept |
//! | was closed with quiet shutdown | kept | kept | kept | kept | kept |
//! | was closed by us, then EOF without `close_notify` | kept | kept | kept | kept | kept |
//! | was dropped without a close | evicted | kept | kept | evicted | kept |
//! | failed: bad record, fatal alert sent or received | evicted | evicted | kept | evicted | kept |
//!
//! A handshake that fails before it is finished evicts no session of others, as nothing proves
//! that its peer knows the secret of the session that was offered.
//!
//! [`CleanClose`]: Retention::CleanClose
//! [`UnlessFailed`]: Retention::UnlessFailed
//! [`Always`]: Retention::Always
//!
//! # Clients that only write
//!
//! TLS 1.3 tickets arrive after the handshake and must be read. A client that writes, calls
//! `close_notify()` or `shutdown()` and drops the stream has read none, so it cannot resume.
//! [`shutdown_bidirectional`](crate::ShutdownExt::shutdown_bidirectional) reads them while it
//! waits for the peer's `close_notify`.
//!
//! # Contexts
//!
//! A server resumes a session without looking at the client's certificate again. So a session must
//! not resume under a configuration that would not have admitted the client. Each session belongs
//! to a context, and resumes only there, in the sense of [SSL_CTX_set_session_id_context(3)]:
//!
//! | the acceptor | a session resumes under |
//! |---|---|
//! | [with sessions](crate::GracefulAcceptor::with_sessions) | the `Arc<ServerConfig>` that it was made with, however many acceptors share it |
//! | with sessions that [name a context](ServerSessions::with_context) | every configuration with the same name and the same store or ticketer |
//! | without sessions | every configuration with the same `session_storage` or `ticketer`, as with rustls alone |
//!
//! In all three cases, and whatever is shared: **a session of a client without a certificate does
//! not resume where a certificate is required.** rustls does not say what a configuration requires,
//! so it is learned: such a session resumes only under an `Arc<ServerConfig>` with which a client
//! without a certificate has finished a full handshake in this process. That costs one full
//! handshake for each configuration. A server that creates a new configuration for each connection
//! resumes no such session at all: keep the configurations.
//!
//! What the crate cannot see is what makes a client certificate valid. Configurations that trust
//! different client certificates must not name the same context, nor share a `session_storage` or
//! `ticketer` without sessions. Nor may a verifier begin to require certificates while it is in
//! use: make a new configuration.
//!
//! To let sessions survive the renewal of a certificate, keep the configuration and renew the
//! certificate in its [`ResolvesServerCert`], or name the context: see
//! [`GracefulAcceptor::from_source`](crate::GracefulAcceptor::from_source).
//!
//! # What cannot be evicted
//!
//! A server whose [`ticketer`](rustls::ServerConfig::ticketer) is enabled gives the whole session
//! to the client and keeps nothing: such a ticket is valid until it expires, however the connection
//! ends. It resumes only in its context, though. A ticket that was already offered cannot be
//! evicted either, nor can what was published to the [store of a
//! client](ClientSessions::with_store). rustls clients offer each TLS 1.3 ticket once ([RFC 8446,
//! appendix C.4]); a server that relies on it keeps its sessions in a store ("stateful"), from
//! which they are taken when they are used.
//!
//! # 0-RTT
//!
//! Early data can be replayed by anyone who has recorded it, and retention does not change that: it
//! is for requests that may arrive twice ([RFC 8446, section 8]). A server that keeps its sessions
//! in a store accepts each ticket once, and with it the early data that it came with; a server with
//! a ticketer accepts none.
//!
//! A ticket goes back into the store if its handshake fails, but not where early data is accepted:
//! there, anyone who has recorded a ClientHello can use up its ticket, though not twice.
//!
//! # A fleet of servers
//!
//! Servers behind one address share the keys of a ticketer and name the same context; see above for
//! what cannot be evicted then. With the feature `fleet`, the module `resumption::fleet` shares
//! sessions through a database instead, without a blocking call: they are evicted as here, a TLS 1.3
//! ticket is used once in the whole fleet, and an outage of the database costs resumption alone.
//!
//! A [`StoresServerSessions`] in front of a database is called from within the handshake, and would
//! block it.
//!
//! [RFC 5246, section 7.2.2]: https://www.rfc-editor.org/rfc/rfc5246#section-7.2.2
//! [RFC 8446, section 8]: https://www.rfc-editor.org/rfc/rfc8446#section-8
//! [RFC 8446, appendix C.4]: https://www.rfc-editor.org/rfc/rfc8446#appendix-C.4
//! [SSL_set_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_set_shutdown/
//! [SSL_CTX_set_session_id_context(3)]: https://docs.openssl.org/master/man3/SSL_CTX_set_session_id_context/
//! [`StoresServerSessions`]: rustls::server::StoresServerSessions
//! [`ResolvesServerCert`]: rustls::server::ResolvesServerCert
//! [`ClientSessionStore`]: rustls::client::ClientSessionStore

mod client;
mod connection_store;
mod context;
mod failed_offers;
#[cfg(feature = "fleet")]
pub mod fleet;
#[cfg(feature = "session-cache")]
mod in_memory;
mod reader;
mod server;
pub(crate) mod server_connection;
mod session_value;
mod staged_store;
mod stats;
mod ticketer;

use crate::{event::SessionOutcome, foreign};

pub use client::ClientSessions;
pub use server::ServerSessions;
pub use stats::SessionStats;

/// How many TLS 1.3 tickets are kept for a server: as many as rustls's own cache keeps.
const MAX_TICKETS: usize = 8;

/// Which sessions are kept when their connection ends.
///
/// Defaults to [`CleanClose`](Self::CleanClose). See the [table](self#what-a-clean-close-is).
///
/// ```
/// use std::sync::Arc;
/// use tokio_tls_shutdown::resumption::{ClientSessions, Retention};
/// use tokio_tls_shutdown::tokio_rustls::rustls::client::ClientSessionStore;
///
/// /// For clients whose tasks are often cancelled.
/// fn sessions(store: Arc<dyn ClientSessionStore>) -> ClientSessions {
///     ClientSessions::with_store(store).with_retention(Retention::UnlessFailed)
/// }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retention {
    /// Keeps the sessions of connections that we have closed and that did not fail: OpenSSL's rule.
    #[default]
    CleanClose,
    /// Keeps the sessions of connections that did not fail, also if they were dropped without a
    /// close.
    UnlessFailed,
    /// Keeps all sessions: rustls's rule.
    Always,
}

impl Retention {
    fn keeps(self, end: SessionOutcome) -> bool {
        match end {
            SessionOutcome::Closed => true,
            SessionOutcome::Dropped => self != Self::CleanClose,
            SessionOutcome::Failed => self == Self::Always,
        }
    }
}

/// Calls the user's store. If it panics, the connection continues without it.
fn catch_store_panic<T: Default>(call: impl FnOnce() -> T) -> T {
    // Only the store is inside, so nothing of ours can be left half done.
    foreign::call(call)
}
