//! `ShutdownExt`: the calls, their `poll_` variants, and their futures.

pub(crate) mod close_notify;
pub(crate) mod close_progress;
pub(crate) mod peer_closed;
pub(crate) mod shutdown_bidirectional;
pub(crate) mod timed;

use std::task::{Context, Poll};

use self::{
    close_notify::CloseNotify, close_progress::CloseProgress, peer_closed::WaitPeerClosed,
    shutdown_bidirectional::ShutdownBidirectional,
};
use crate::{
    backend::PlainStream,
    close::{
        machine::{Done, Goal},
        progress::Progress,
    },
    closed::Closed,
    error::ShutdownError,
    state::{PeerClose, PeerStatus, ShutdownState},
};

pub(crate) mod sealed {
    /// Has no methods, so that generic code can call none, and none hides a method of tokio's.
    pub trait Sealed {}
}

/// Closes TLS streams as [SSL_shutdown(3)] does.
///
/// Implemented for tokio-rustls's [`client::TlsStream`](tokio_rustls::client::TlsStream),
/// [`server::TlsStream`](tokio_rustls::server::TlsStream) and
/// [`TlsStream`](tokio_rustls::TlsStream) and for the streams of [other libraries](crate#tls-libraries)
/// over a `Gate`, all of which this page calls plain streams, and for
/// [`GracefulStream`](crate::GracefulStream). It cannot be implemented outside this crate.
///
/// All calls keep to these rules:
///
/// - There is one `close_notify` for each connection, and no call sends a byte of TLS after it.
/// - They never close the transport, in either direction.
/// - They are cancel safe: dropped at any point and called again, they continue where they were. An
///   alert that is half written is finished, and no second one is made.
/// - While our own bytes are blocked, `shutdown_bidirectional` reads, so that two peers that close
///   at the same time with full buffers both finish.
/// - A `close_notify` of the peer that has arrived counts, even if our own cannot be sent because
///   the peer has left.
/// - A bad record, a fatal alert or a lost transport is an error, never a panic.
///
#[doc = include_str!("doc/plain_streams.md")]
///
/// # The `poll_` variants
///
/// Each call has a `poll_` variant for use in a future or a stream of your own. It takes a
/// [`CloseProgress`], which the caller keeps beside the stream, and returns the same when it is
/// polled again after `Ready`. It has no deadline; wrap it in your own timer. It can be polled again
/// at any time, or abandoned.
///
/// # Panics
///
/// The futures panic on a runtime without a timer if they have to wait and have a deadline: use
/// `no_deadline()` there. The `poll_` variants never panic.
///
/// [SSL_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_shutdown/
///
/// ```compile_fail
/// // Generic code reaches nothing but this trait.
/// fn meddle<S: tokio_tls_shutdown::ShutdownExt>(stream: &mut S) {
///     let _ = stream.unread();
/// }
/// ```
pub trait ShutdownExt: sealed::Sealed {
    /// Sends our `close_notify` and flushes it (half-close).
    ///
    /// One direction: the peer may continue to send, and we may continue to read, until its own
    /// `close_notify`. This is `SSL_shutdown(3)` called once ([RFC 8446, section 6.1]). No
    /// application data is consumed.
    ///
    /// Returns [`ShutdownState::COMPLETE`] if the peer's `close_notify` was processed before,
    /// otherwise [`ShutdownState::SENT`]. [`ShutdownState::RECEIVED`] means that the peer had closed
    /// and left, so that ours could not be delivered.
    ///
    /// The deadline defaults to [5 seconds](CloseNotify::deadline).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. If the future is dropped, any part of the alert may have been sent; call again to
    /// send the rest.
    ///
    /// # Errors
    ///
    /// - [`ShutdownError::Handshaking`] before the end of the handshake. A client that has sent
    ///   early data finishes it first instead.
    /// - [`ShutdownError::Send`] if the transport fails and the peer had not closed.
    /// - [`ShutdownError::SendTimedOut`] if the deadline passes while the transport is blocked. It
    ///   may be blocked because the peer waits for us to read: `shutdown_bidirectional` does.
    /// - [`ShutdownError::Tls`] if a fatal alert was sent or received: nothing is sent then.
    ///
    /// ```
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio_tls_shutdown::{ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// async fn ask(mut tls: TlsStream<tokio::net::TcpStream>) -> std::io::Result<Vec<u8>> {
    ///     tls.write_all(b"the whole request").await?;
    ///     tls.close_notify().await?;
    ///     let mut answer = Vec::new();
    ///     tls.read_to_end(&mut answer).await?;
    ///     Ok(answer)
    /// }
    /// ```
    ///
    /// [RFC 8446, section 6.1]: https://www.rfc-editor.org/rfc/rfc8446#section-6.1
    fn close_notify(&mut self) -> CloseNotify<'_, Self> {
        CloseNotify::new(self)
    }

    /// Sends our `close_notify` and waits for the peer's.
    ///
    /// This is `SSL_shutdown(3)` called until it returns 1.
    ///
    #[doc = include_str!("doc/what_a_close_proves.md")]
    ///
    /// # What is discarded
    ///
    /// Unread and incoming application data is discarded and [counted](Closed::discarded), so read
    /// everything you need first. TLS 1.3 tickets are received, so that a client which never reads
    /// can resume its session.
    ///
    /// After a small write on a TCP socket without `TCP_NODELAY` the wait takes 41 ms: set it, or
    /// use [`close_notify_with`](crate::GracefulStream::close_notify_with).
    ///
    /// The deadline defaults to [5 seconds](ShutdownBidirectional::deadline), the discard limit to
    /// [16 MiB](ShutdownBidirectional::discard_limit).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. If the future is dropped, our alert may have been sent and application data may
    /// have been discarded; call again to continue. [`Closed`] counts from the last call.
    ///
    /// # Errors
    ///
    /// Those of [`close_notify`](Self::close_notify), and [`ShutdownError::Receive`] if reading the
    /// transport fails with something else than its end or reset. A peer that ends without
    /// `close_notify`, is silent or continues to send is not an error: see [`Closed`].
    ///
    /// ```
    /// use tokio::io::AsyncWriteExt;
    /// use tokio_tls_shutdown::{ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// async fn upload(mut tls: TlsStream<tokio::net::TcpStream>, file: &[u8]) -> std::io::Result<()> {
    ///     tls.write_all(file).await?;
    ///     // No acknowledgement of the data: see `Closed`.
    ///     tls.shutdown_bidirectional().await?.require_clean()?;
    ///     Ok(())
    /// }
    /// ```
    fn shutdown_bidirectional(&mut self) -> ShutdownBidirectional<'_, Self> {
        ShutdownBidirectional::new(self)
    }

    /// Waits until the peer has closed, or until application data can be read.
    ///
    /// Sends nothing and consumes no application data. TLS 1.3 tickets are received meanwhile. For
    /// pools that keep idle connections, and for clients that only write (syslog, metrics): select
    /// between it and the queue of messages.
    ///
    /// There is no deadline.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: nothing is lost if the future is dropped.
    ///
    /// # Errors
    ///
    /// [`ShutdownError::Receive`] if reading the transport fails with something else than its end
    /// or reset, [`ShutdownError::Tls`] if the session has failed.
    ///
    /// ```
    /// use tokio::{io::AsyncWriteExt, net::TcpStream, sync::mpsc::Receiver};
    /// use tokio_tls_shutdown::{PeerStatus, ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// async fn send(mut tls: TlsStream<TcpStream>, mut lines: Receiver<String>) -> std::io::Result<()> {
    ///     loop {
    ///         tokio::select! {
    ///             line = lines.recv() => match line {
    ///                 Some(line) => tls.write_all(line.as_bytes()).await?,
    ///                 None => return Ok(tls.shutdown_bidirectional().await?.require_clean()?),
    ///             },
    ///             status = tls.peer_closed() => match status? {
    ///                 PeerStatus::Closed(how) => return Err(std::io::Error::other(how.to_string())),
    ///                 PeerStatus::Readable => return Err(std::io::Error::other("unexpected answer")),
    ///             },
    ///         }
    ///     }
    /// }
    /// ```
    fn peer_closed(&mut self) -> WaitPeerClosed<'_, Self> {
        WaitPeerClosed::new(self)
    }

    /// Polls for [`close_notify`](Self::close_notify), without a deadline.
    ///
    /// # Errors
    ///
    /// Those of [`close_notify`](Self::close_notify).
    fn poll_close_notify(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>>;

    /// Polls for [`shutdown_bidirectional`](Self::shutdown_bidirectional), without a deadline.
    ///
    /// # Errors
    ///
    /// Those of [`shutdown_bidirectional`](Self::shutdown_bidirectional).
    fn poll_shutdown_bidirectional(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<Closed, ShutdownError>>;

    /// Polls for [`peer_closed`](Self::peer_closed).
    ///
    /// Polled once, with any waker, it answers "is this connection still open?" without waiting:
    /// `Pending` means yes, as far as the runtime has looked at the socket.
    ///
    /// # Errors
    ///
    /// Those of [`peer_closed`](Self::peer_closed).
    ///
    /// ```
    /// use std::task::{Context, Waker};
    /// use tokio_tls_shutdown::{CloseProgress, ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// /// A pooled connection is of no use once the server has closed it.
    /// fn is_reusable(tls: &mut TlsStream<tokio::net::TcpStream>) -> bool {
    ///     let mut cx = Context::from_waker(Waker::noop());
    ///     tls.poll_peer_closed(&mut cx, &mut CloseProgress::new()).is_pending()
    /// }
    /// ```
    fn poll_peer_closed(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<PeerStatus, ShutdownError>>;

    /// Returns `true` if the peer's `close_notify` was received, authenticated and processed.
    ///
    /// Performs no I/O, and therefore cannot see a `close_notify` that is still in the socket: see
    /// [`poll_peer_closed`](Self::poll_peer_closed). What the peer has sent before may still be
    /// unread. Of a plain stream of native-tls it also cannot know what the application's own read has
    /// met: it stays `false` until this crate has sent our `close_notify`. Takes `&mut self` only because
    /// rustls requires it. `SSL_get_shutdown(3)` calls it `SSL_RECEIVED_SHUTDOWN`.
    ///
    /// ```
    /// use tokio::io::AsyncReadExt;
    /// use tokio_tls_shutdown::{ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// /// Whether the end of the data was authenticated.
    /// async fn is_whole(tls: &mut TlsStream<tokio::net::TcpStream>) -> std::io::Result<bool> {
    ///     tls.read_to_end(&mut Vec::new()).await?;
    ///     Ok(tls.received_close_notify())
    /// }
    /// ```
    fn received_close_notify(&mut self) -> bool;
}

/// What [`peer_closed`](ShutdownExt::peer_closed) returns for `done`.
pub(crate) fn peer_status(done: Done, progress: &Progress) -> PeerStatus {
    match done {
        Done::Readable => PeerStatus::Readable,
        // It is reached by nothing else than a peer that has closed.
        _ => PeerStatus::Closed(progress.peer_close().unwrap_or(PeerClose::TimedOut)),
    }
}

impl<B: PlainStream> sealed::Sealed for B {}

impl<B: PlainStream> ShutdownExt for B {
    #[inline]
    fn poll_close_notify(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>> {
        let poll = progress.poll(cx, self, Goal::Notify);
        poll.map_ok(|_| progress.state())
    }

    #[inline]
    fn poll_shutdown_bidirectional(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<Closed, ShutdownError>> {
        let poll = progress.poll(cx, self, Goal::Bidirectional);
        poll.map_ok(|_| progress.inner.closed(self))
    }

    fn poll_peer_closed(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<PeerStatus, ShutdownError>> {
        let poll = progress.poll(cx, self, Goal::PeerClosed);
        poll.map_ok(|done| peer_status(done, &progress.inner))
    }

    fn received_close_notify(&mut self) -> bool {
        self.status(&Default::default())
            .is_ok_and(|status| status.peer_closed)
    }
}
