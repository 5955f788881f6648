//! Integrations with HTTP crates, each behind a Cargo feature.
//!
//! An integration maps the I/O and nothing else. Accept loops, connection pools and the graceful
//! shutdown of HTTP itself stay with the crates that do them well; [`CloseTracker`] counts the streams
//! below all of them.
//!
//! | crate | feature | what it adds |
//! |---|---|---|
//! | tls-listener, and `axum::serve` through it | `tls-listener` | [`GracefulAcceptor`] is an `AsyncTls` |
//! | axum-server | `axum-server` | `axum_server::Acceptor` |
//! | hyper, hyper-util | `hyper` | `hyper::io` and `hyper::serve_until` for servers, `hyper::HttpsConnector` for clients, `hyper::downcast` after an upgrade |
//! | tonic | `tonic` | a [`GracefulStream`] is `Connected` |
//!
//! A whole program for each is in a package of its own under `examples/` in the repository:
//! `axum-serve`, `axum-server`, `hyper-server`, `hyper-openssl`, `hyper-client`, `tonic-server` and
//! `websocket`.
//!
//! # Why
//!
//! hyper calls `shutdown()` when an HTTP connection ends, and drops the stream at once. If bytes of the
//! client are unread then, as when a request is refused before its body was read, the kernel answers
//! with a reset, and the client loses the response. The streams of all integrations therefore have
//! the policy [`ClosePolicy::Linger`] with its usual bounds, unless the acceptor or the connector
//! [was given another](crate::GracefulAcceptor::with_policy). If you call [`GracefulAcceptor::accept`]
//! directly, pass the stream to `hyper::io`, or set the policy with `with_policy`.
//!
//! If a body fails half-way, hyper drops the stream without `shutdown()`. No `close_notify` is sent
//! then, and the client sees that something is missing. A stream that is dropped before anything was
//! written does send it: a client whose connection is stopped before its request was read knows that
//! it may send the request again.
//!
//! # Stopping a server
//!
//! 1. [`CloseTracker::begin_drain`]: from here on every connection that ends is in the report.
//! 2. Stop accepting and let HTTP finish: `with_graceful_shutdown` of `axum::serve` (which takes
//!    [`CloseTracker::draining`]), `graceful_shutdown` of axum-server's `Handle`, `serve_until` for your
//!    own accept loop on hyper, `serve_with_incoming_shutdown` of tonic. Idle connections are closed
//!    with `close_notify`.
//! 3. At the same time, `finish` of the drain: it waits for the streams, including WebSockets and those
//!    that linger, and aborts what is left at its deadline. [`CloseTracker::drain`] is both in one.
//!
//! # Requests that a stop can lose
//!
//! - **The first request of a connection**, if the server has not read it when it stops.
//!   `serve_until` waits for it. `axum::serve` and axum-server drop the connection, with
//!   `close_notify`; tonic, which speaks only HTTP/2, answers it.
//! - **A request that follows the handshake**, if the server has not finished that. In your own accept
//!   loop, let the handshakes finish. axum-server drops them when it stops, and so does a
//!   `TlsListener`; tokio-rustls cannot send `close_notify` then. With TLS 1.3 the client may already
//!   have sent its request.
//! - **A request on an idle HTTP/1.1 connection** that crosses its `close_notify`, with every server.
//!   `serve_until` at least reads what has arrived before.
//!
//! In the first and the last case the client sees `close_notify` and no part of a response, and can
//! send the request again.
//!
//! [`ClosePolicy::Linger`]: crate::ClosePolicy::Linger
//! [`CloseTracker`]: crate::CloseTracker
//! [`CloseTracker::begin_drain`]: crate::CloseTracker::begin_drain
//! [`CloseTracker::drain`]: crate::CloseTracker::drain
//! [`CloseTracker::draining`]: crate::CloseTracker::draining
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
