//! Graceful TLS shutdown for Tokio: an async equivalent of OpenSSL's [SSL_shutdown(3)] for the
//! streams of tokio-rustls, tokio-openssl, tokio-native-tls and s2n-tls-tokio.
//!
//! [`ShutdownExt`] adds three calls to [`client::TlsStream`](tokio_rustls::client::TlsStream),
//! [`server::TlsStream`](tokio_rustls::server::TlsStream) and
//! [`TlsStream`](tokio_rustls::TlsStream) of tokio-rustls, and over a [`Gate`] to
//! `tokio_openssl::SslStream`, `tokio_native_tls::TlsStream` and `s2n_tls_tokio::TlsStream` (see
//! [below](#tls-libraries)):
//!
//! - [`close_notify()`](ShutdownExt::close_notify) sends our `close_notify` alert and flushes it; the
//!   read half stays open.
//! - [`shutdown_bidirectional()`](ShutdownExt::shutdown_bidirectional) sends our
//!   `close_notify` and waits for the peer's.
//! - [`peer_closed()`](ShutdownExt::peer_closed) waits until the peer has closed, and sends nothing.
//!
//! ```
//! use tokio::{io::AsyncWriteExt, net::TcpStream};
//! use tokio_tls_shutdown::{ShutdownExt, tokio_rustls::client::TlsStream};
//!
//! async fn upload(mut tls: TlsStream<TcpStream>, file: &[u8]) -> std::io::Result<()> {
//!     tls.write_all(file).await?;
//!     // No acknowledgement of the file: see `Closed`.
//!     tls.shutdown_bidirectional().await?.require_clean()?;
//!     Ok(())
//! }
//! ```
//!
//! # Why
//!
//! A TLS 1.3 client that writes, calls `shutdown()` and drops the stream loses its upload in most
//! runs over loopback, and `shutdown()` returns `Ok`: the session tickets that it has not read make
//! the kernel send RST when the socket is closed. A server that answers before it has read the whole
//! request loses its answer in the same way. Two peers that close with full buffers wait for each
//! other forever. The README has the figures, and the example `graceful_close` measures them.
//!
//! # What to use
//!
//! | you want to | use |
//! |---|---|
//! | half-close: signal the end of data and keep reading | [`close_notify`](ShutdownExt::close_notify) |
//! | close, and know that nothing of what the peer sent is missing | [`shutdown_bidirectional`](ShutdownExt::shutdown_bidirectional) |
//! | notice that the peer has closed an idle connection | [`peer_closed`](ShutdownExt::peer_closed) |
//! | send the final data and `close_notify` in one write | [`GracefulStream::close_notify_with`] |
//! | pass the stream to code that only knows [`AsyncWrite`](tokio::io::AsyncWrite) | [`GracefulStream`] with a [`ClosePolicy`] |
//! | continue in plaintext on the same transport | [`RecordAligned`], [`GracefulStream::into_transport`] |
//! | evict cached sessions whose connection failed or was not closed | [`GracefulConnector`], [`GracefulAcceptor`], [`resumption`] |
//! | count open connections, wait for them, abort the stragglers | [`CloseTracker`] |
//! | serve with hyper, axum or tonic, or be a client with hyper-util | [`integrations`] |
//! | send `close_notify` on drop (best effort; can hide truncation) | [`CloseOnDrop`] |
//! | tell a missing `close_notify` from other errors | [`is_missing_close_notify`] |
//!
//! # Guide
//!
//! The [guide](_guide) has [how TLS connections end](_guide::endings), with diagrams; [how to read a
//! `CloseReport`](_guide::close_reports); [recipes](_guide::recipes) for an HTTP server, an upload
//! client, a pool, FTP `CCC`, STARTTLS, a proxy, WebSockets and syslog; [what differs between the TLS
//! libraries](_guide::libraries); and how to [migrate](_guide::migration) from `shutdown()`.
//!
//! # How it maps to SSL_shutdown(3)
//!
//! | SSL_shutdown(3) | here |
//! |---|---|
//! | first call, returns 0 | [`close_notify`](ShutdownExt::close_notify) returns [`ShutdownState::SENT`] |
//! | the peer has closed before, returns 1 | the same returns [`ShutdownState::COMPLETE`] |
//! | second call, returns 1 | [`shutdown_bidirectional`](ShutdownExt::shutdown_bidirectional) returns [`Closed`] |
//! | -1, `SSL_ERROR_WANT_READ` or `SSL_ERROR_WANT_WRITE` | `Poll::Pending` |
//! | -1, fatal | [`ShutdownError`] |
//! | `SSL_get_shutdown`, `SSL_set_shutdown` | [`GracefulStream::state`], [`set_state`](GracefulStream::set_state) |
//! | `SSL_set_quiet_shutdown` | [`GracefulStream::set_quiet_shutdown`] |
//! | `SSL_CTX_set_session_id_context` | [`ServerSessions::with_context`](resumption::ServerSessions::with_context) |
//!
//! # When not to use it
//!
//! If your protocol is self-delimiting, no data is in flight when you close, and you do not need
//! session resumption, `shutdown()` of tokio-rustls is enough. If you cannot wait at the end of a
//! connection, no call can tell you whether the peer has received everything.
//!
//! # What it does not do
//!
//! Only [`GracefulStream`]'s `shutdown()` closes the transport. Nothing is sent on drop unless you opt
//! in with [`CloseOnDrop`], or use the HTTP [`integrations`] and have written nothing. No crypto
//! provider is chosen.
//!
#![doc = include_str!("doc/libraries.md")]
//!
//! # Systems
//!
//! All tests run on Linux, x86-64. A part of them also runs on Windows's interface as Wine has it, on
//! big-endian s390x and on 32-bit i686. Wine's TCP is that of Linux: how Windows itself answers unread
//! bytes is not shown by it. For macOS, aarch64 and MSVC it is checked that the crate compiles.
//!
//! # Cargo features
//!
//! `rustls` is on by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `rustls`, `openssl`, `native-tls`, `s2n` | the streams of that [library](#tls-libraries) |
//! | `ring`, `aws-lc-rs`, `tls12`, `early-data` | the feature of the same name of tokio-rustls; `early-data` also adds `GracefulConnector::with_early_data` |
//! | `session-cache` | `ClientSessions::in_memory` |
//! | `fleet` | [`resumption::fleet`](resumption): sessions that several servers share through a database |
//! | `hyper`, `axum-server`, `tls-listener`, `tonic` | the [integration](integrations) with that crate |
//! | `tracing`, `metrics` | an event and a count for each close, see below |
//!
//! # Tracing and metrics
//!
//! With the feature `tracing`, each connection that ends emits one event at level debug with the
//! target `tokio_tls_shutdown` and the message "TLS connection closed"; nothing that a peer does
//! emits more or a higher level. With the feature `fleet`, an outage of the session store and its end
//! are one more each, a warning and an info. The event is emitted inside the span that was current when the
//! stream was made, so a span around the handshake that has the peer's address puts it on the event.
//!
//! | field | meaning |
//! |---|---|
//! | `role` | `client` or `server` |
//! | `outcome` | [`CloseOutcome::as_str`], the name of a field of [`CloseStats`] |
//! | `discarded` | bytes of application data that were discarded while closing |
//! | `took` | how long the close took, if there was one |
//! | `error` | the first error, if there was one |
//!
//! With the feature `metrics`, the counter `tls_closes_total` and the histogram
//! `tls_close_seconds` have `role` and `outcome` as labels. With `fleet`, too, the counters
//! `tls_fleet_lookups_total` and `tls_fleet_writes_total` have `result`.
//!
//! A [`GracefulStream`] emits one event when it is dropped; a failed handshake emits one too. A
//! plain `TlsStream` keeps no close state, so each shutdown call emits an event, in the span that
//! is current when it ends. For a callback without any feature, see
//! [`CloseTracker::with_on_close`].
//!
//! [SSL_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_shutdown/

#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
// Some states and events only rustls has, and its handshakes.
#![cfg_attr(not(feature = "rustls"), allow(dead_code))]

#[cfg(feature = "rustls")]
pub use tokio_rustls;

#[cfg(any(doc, doctest))]
pub mod _guide;
mod backend;
mod close;
mod closed;
mod error;
mod event;
mod foreign;
#[cfg(feature = "rustls")]
mod handshake;
pub mod integrations;
mod missing_close_notify;
mod policy;
#[cfg(feature = "rustls")]
pub mod resumption;
mod shutdown_ext;
mod state;
mod stream;
mod sync;
mod tracker;
mod wakers;

pub use backend::PlainStream;
#[cfg(any(boring, feature = "native-tls", feature = "openssl", feature = "s2n"))]
pub use backend::buffered::gate::Gate;
#[cfg(rustls_next)]
pub use backend::rustls_next::TlsStream;
pub use closed::Closed;
pub use error::{ShutdownError, TlsError};
pub use event::Role;
#[cfg(feature = "fleet")]
pub use handshake::client_hello_recorder::ClientHelloRecorder;
#[cfg(feature = "rustls")]
pub use handshake::{
    HandshakeError,
    acceptor::{Accept, GracefulAcceptor},
    connector::{Connect, GracefulConnector},
};
pub use missing_close_notify::is_missing_close_notify;
pub use policy::ClosePolicy;
pub use shutdown_ext::{
    ShutdownExt, close_notify::CloseNotify, close_progress::CloseProgress,
    peer_closed::WaitPeerClosed, shutdown_bidirectional::ShutdownBidirectional,
};
pub use state::{PeerClose, PeerStatus, ShutdownState};
pub use stream::{
    GracefulStream, close_notify_with::CloseNotifyWith, close_on_drop::CloseOnDrop,
    into_transport::IntoTransportError, record_aligned::RecordAligned,
};
pub use tracker::{
    CloseOutcome, CloseReport, CloseStats, CloseTracker, Drain, DrainReport, Draining,
};
