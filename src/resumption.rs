//! Sessions that live and die with their connection.
//!
//! rustls stores every session the moment it arrives, and never looks back: one that came over a
//! connection which later fails is offered again. [RFC 5246, section 7.2.2] and OpenSSL say
//! otherwise: a session is thrown away when its connection has failed, and OpenSSL also throws it
//! away when the connection was freed without a close. [`ClientSessions`] and [`ServerSessions`]
//! bring that rule to rustls; [`GracefulConnector`](crate::GracefulConnector) and
//! [`GracefulAcceptor`](crate::GracefulAcceptor) apply it.
//!
//! # What a clean close is
//!
//! Our close_notify was sent, or [quiet shutdown](crate::GracefulStream::set_quiet_shutdown) was
//! chosen: "the session is considered to be closed and good" then, as [SSL_set_shutdown(3)] has
//! it. What the peer does afterwards, EOF without close_notify among it, does not undo that; a
//! fatal alert or a bad record does.
//!
//! | the connection | [`CleanClose`] | [`UnlessFailed`] | [`Always`] | OpenSSL | rustls alone |
//! |---|---|---|---|---|---|
//! | was closed by us, one way or both | kept | kept | kept | kept | kept |
//! | was closed with quiet shutdown | kept | kept | kept | kept | kept |
//! | was closed by us, then EOF without close_notify | kept | kept | kept | kept | kept |
//! | was dropped without a close | evicted | kept | kept | evicted | kept |
//! | failed: bad record, fatal alert sent or received | evicted | evicted | kept | evicted | kept |
//!
//! [`CleanClose`]: Retention::CleanClose
//! [`UnlessFailed`]: Retention::UnlessFailed
//! [`Always`]: Retention::Always
//!
//! # A client that only writes
//!
//! TLS 1.3 tickets arrive after the handshake, as something to be read. A client that writes,
//! calls `close_notify()` or `shutdown()` and drops the stream has read none, and has nothing to
//! resume with. [`shutdown_bidirectional`](crate::ShutdownExt::shutdown_bidirectional) reads them
//! while it waits for the peer's close_notify.
//!
//! # What cannot be taken back
//!
//! A server whose [`ticketer`](rustls::ServerConfig::ticketer) is enabled gives the whole session
//! to the client and keeps nothing: such a ticket is good until it expires, whatever becomes of
//! the connection. The same holds for a ticket that was already offered, and for what a
//! [staged](ClientSessions::with_store) store has already published. rustls clients offer each TLS 1.3
//! ticket once ([RFC 8446, appendix C.4]); a server that must be sure of it keeps its sessions in
//! a store of its own ("stateful"), from which they are taken when they are used.
//!
//! # 0-RTT
//!
//! Early data can be replayed by whoever has recorded it, and retention does not change that: it
//! is for requests that may arrive twice ([RFC 8446, section 8]). A server that keeps its sessions
//! in a store accepts each ticket once, and with it the early data that came along; one with a
//! ticketer does not.
//!
//! # A fleet of servers
//!
//! Servers behind one address share their sessions through one [`StoresServerSessions`] in front of
//! a database: wrap it in [`ServerSessions::new`] on each of them. It is called from within the
//! handshake and must not block for long; `take` must really delete. Keep the sessions encrypted
//! there, and let them expire. Where that is too much, share the keys of a ticketer, and see above
//! for what it costs. On the client's side, [`ClientSessions::with_store`] does the same with any
//! [`ClientSessionStore`].
//!
//! [RFC 5246, section 7.2.2]: https://www.rfc-editor.org/rfc/rfc5246#section-7.2.2
//! [RFC 8446, section 8]: https://www.rfc-editor.org/rfc/rfc8446#section-8
//! [RFC 8446, appendix C.4]: https://www.rfc-editor.org/rfc/rfc8446#appendix-C.4
//! [SSL_set_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_set_shutdown/
//! [`StoresServerSessions`]: rustls::server::StoresServerSessions
//! [`ClientSessionStore`]: rustls::client::ClientSessionStore

mod client;
mod failed_offers;
#[cfg(feature = "session-cache")]
mod in_memory;
mod server;
mod staged_store;
mod stats;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::event::SessionOutcome;

pub use client::ClientSessions;
pub use server::ServerSessions;
pub use stats::SessionStats;

/// How many TLS 1.3 tickets are kept for a server: as many as rustls's own cache keeps.
const MAX_TICKETS: usize = 8;

/// Which sessions stay usable when their connection has ended: see the
/// [table](self#what-a-clean-close-is).
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
    /// Those of connections that we have closed, and that did not fail: OpenSSL's rule.
    #[default]
    CleanClose,
    /// Those of connections that did not fail, also if they were dropped without a close.
    UnlessFailed,
    /// All: rustls's rule.
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

/// Calls a store that is not ours. If it panics, the connection goes on without it.
fn catch_store_panic<T: Default>(call: impl FnOnce() -> T) -> T {
    // Nothing of ours is left half done: only the store is inside.
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_default()
}
