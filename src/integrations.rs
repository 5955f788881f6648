//! What the HTTP crates need to serve and to connect with [`GracefulStream`]s: one file and one
//! cargo feature for each.
//!
//! A layer maps the IO and nothing else. Accept loops, connection pools and the graceful shutdown
//! of HTTP itself stay with the crates that do them well; [`CloseTracker`] counts the streams below
//! all of them.
//!
//! | crate | feature | what there is |
//! |---|---|---|
//! | tls-listener, and `axum::serve` through it | `tls-listener` | [`GracefulAcceptor`] is an `AsyncTls` |
//! | axum-server | `axum-server` | `axum_server::Acceptor` |
//! | hyper, hyper-util | `hyper` | `hyper::HttpsConnector` for clients, `hyper::downcast` after an upgrade |
//! | tonic | `tonic` | a [`GracefulStream`] is `Connected` |
//!
//! # Why
//!
//! hyper calls `shutdown()` when an HTTP connection is over, and drops the stream at once. If bytes
//! of the client are unread then, as when a request is refused before its body was read, the
//! kernel answers with a reset, and the client loses the response. So the streams of all integrations
//! have the policy [`ClosePolicy::Linger`] with its usual bounds, unless the acceptor or the
//! connector [was given another](crate::GracefulAcceptor::with_policy). Whoever calls
//! [`GracefulAcceptor::accept`] himself, to put the stream in a `TokioIo`, sets it himself.
//!
//! Where a body fails half-way, hyper drops the stream without `shutdown()`. Then no close_notify
//! is sent, and the client sees that something is missing.
//!
//! # Stopping a server
//!
//! 1. Stop accepting and let HTTP finish: `with_graceful_shutdown` of `axum::serve`,
//!    `graceful_shutdown` of axum-server's `Handle` and of hyper-util's `GracefulShutdown`,
//!    `serve_with_incoming_shutdown` of tonic. Idle connections are closed, with close_notify.
//! 2. At the same time, [`CloseTracker::drain`]: it waits for the streams, WebSockets and those that
//!    linger among them, and ends what is left at its deadline.
//!
//! [`ClosePolicy::Linger`]: crate::ClosePolicy::Linger
//! [`CloseTracker`]: crate::CloseTracker
//! [`CloseTracker::drain`]: crate::CloseTracker::drain
//! [`GracefulAcceptor`]: crate::GracefulAcceptor
//! [`GracefulAcceptor::accept`]: crate::GracefulAcceptor::accept
//! [`GracefulStream`]: crate::GracefulStream

#[cfg(feature = "axum-server")]
pub mod axum_server;
#[cfg(feature = "hyper")]
pub mod hyper;
#[cfg(feature = "tls-listener")]
mod tls_listener;
#[cfg(feature = "tonic")]
mod tonic;
