//! `ShutdownExt`: the calls and their poll twins.

use std::task::{Context, Poll};

use crate::{
    backend::rustls::Session,
    close::close_notify::CloseNotify,
    close::machine::Goal,
    close::progress::CloseProgress,
    close::shutdown_bidirectional::ShutdownBidirectional,
    error::ShutdownError,
    outcome::{Closed, ShutdownState},
};

/// Closes TLS streams as [SSL_shutdown(3)] does, on tokio-rustls's
/// [`client::TlsStream`](tokio_rustls::client::TlsStream),
/// [`server::TlsStream`](tokio_rustls::server::TlsStream) and
/// [`TlsStream`](tokio_rustls::TlsStream).
///
/// Both calls keep to these rules:
///
/// - There is one close_notify for each connection, and no byte of TLS goes out behind it. With one
///   exception: a plain stream cannot remember from one call to the next where its alert ends. If
///   a call is left while its alert is blocked, and rustls queues another one in between (a refusal
///   to renegotiate, TLS 1.2 clients; the alert for a bad record), then calling again, or
///   tokio-rustls's own `shutdown()`, sends it too. [`GracefulStream`](crate::GracefulStream)
///   remembers.
/// - They never close the transport, in either direction.
/// - They are cancel safe: dropped at any point and called again, they go on where they were.
///   An alert that is half written is finished, and no second one is made.
/// - A bad record, a fatal alert or a lost transport is an error, never a panic.
///
/// # The poll twins
///
/// Each call has a `poll_` twin for those who write a future or a stream of their own. A twin
/// takes a [`CloseProgress`] that its caller keeps beside the stream, and answers the same when
/// it is polled again after `Ready`. It knows no time: bound it with a timer of your own. It may
/// be left at any point, and polled again later or not at all.
///
/// # Panics
///
/// The futures panic on a runtime without a timer if they have to wait and have a deadline: use
/// `no_deadline()` there. The twins never do.
///
/// [SSL_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_shutdown/
pub trait ShutdownExt: Session + Sized {
    /// Sends our close_notify and flushes it.
    ///
    /// One direction: the peer may go on sending, and we may go on reading, until its own
    /// close_notify. This is `SSL_shutdown(3)` called once ([RFC 8446, section 6.1]). Nothing is
    /// read and nothing is thrown away.
    ///
    /// Returns [`ShutdownState::COMPLETE`] if the peer's close_notify was processed before, else
    /// [`ShutdownState::SENT`]. [`ShutdownState::RECEIVED`] means that the peer had closed and
    /// left, so that ours could not be delivered.
    ///
    /// The deadline is 5 seconds unless [set](CloseNotify::deadline).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call again to go on.
    ///
    /// # Errors
    ///
    /// - [`ShutdownError::Handshaking`] before the end of the handshake. A client that has sent
    ///   early data finishes it first instead.
    /// - [`ShutdownError::Send`] if the transport fails and the peer had not closed.
    /// - [`ShutdownError::SendTimedOut`] if the deadline passes while the transport is blocked. It
    ///   may be blocked because the peer waits for us to read: `shutdown_bidirectional` does.
    /// - [`ShutdownError::Tls`] if a fatal alert was sent or received: nothing is written then.
    ///
    /// ```
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio_tls_shutdown::{ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// async fn ask(mut tls: TlsStream<tokio::net::TcpStream>) -> std::io::Result<Vec<u8>> {
    ///     tls.write_all(b"all that I have to say").await?;
    ///     tls.close_notify().await?;
    ///     let mut answer = Vec::new();
    ///     tls.read_to_end(&mut answer).await?;
    ///     Ok(answer)
    /// }
    /// ```
    ///
    /// [RFC 8446, section 6.1]: https://www.rfc-editor.org/rfc/rfc8446#section-6.1
    fn close_notify(&mut self) -> CloseNotify<'_, Self> {
        CloseNotify::new(self, &[])
    }

    /// Sends `data` and our close_notify behind it, in one write of the transport where it takes
    /// them.
    ///
    /// tokio-rustls writes to the transport within each write, so `write_all` and then a close are
    /// two small writes. Where somebody waits for an answer after them, a TCP socket without
    /// `TCP_NODELAY` takes 41 ms for that (Nagle's algorithm and delayed acknowledgements); here
    /// it takes one round trip, unless something that was written before is not acknowledged yet.
    /// [`shutdown_bidirectional`](Self::shutdown_bidirectional) may follow.
    ///
    /// `data` is encrypted as a whole by the first poll, so keep it to what fits into memory
    /// twice.
    ///
    /// Everything else is as for [`close_notify`](Self::close_notify).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: the first poll queues all of `data`, or, as long as a handshake with early data
    /// is going on or 64 KiB wait to be written, nothing. Call again, with the same data or none,
    /// to go on: `data` that comes after our close_notify was queued is not sent.
    ///
    /// # Errors
    ///
    /// As for [`close_notify`](Self::close_notify), and [`ShutdownError::Tls`] if a
    /// [buffer limit](rustls::ConnectionCommon::set_buffer_limit) that you have set is shorter than
    /// what waits to be written: `data` is not sent then.
    ///
    /// ```
    /// # use tokio_tls_shutdown::{ShutdownError, ShutdownExt, tokio_rustls::client::TlsStream};
    /// # async fn f(mut tls: TlsStream<tokio::net::TcpStream>) -> Result<(), ShutdownError> {
    /// tls.close_notify_with(b"QUIT\r\n").await?;
    /// tls.shutdown_bidirectional().await?.require_clean()?;
    /// # Ok(()) }
    /// ```
    fn close_notify_with<'a>(&'a mut self, data: &'a [u8]) -> CloseNotify<'a, Self> {
        CloseNotify::new(self, data)
    }

    /// Sends our close_notify and waits for the peer's.
    ///
    /// This is `SSL_shutdown(3)` called until it returns 1. When it says that the close is
    /// [clean](Closed::is_clean), the peer has had its last word and has seen all of ours: it is
    /// then that the transport may be closed without a loss, or used for something else.
    ///
    /// Application data that has come or still comes is thrown away and
    /// [counted](Closed::discarded): call it when you have read all that you want. TLS 1.3
    /// tickets are taken in, so that a client which never reads can resume its session.
    /// While our own bytes are blocked it reads, so that two peers with full buffers both finish.
    ///
    /// Behind a small write on a TCP socket without `TCP_NODELAY` the wait takes 41 ms: set it, or
    /// use [`close_notify_with`](Self::close_notify_with).
    ///
    /// The deadline is 5 seconds and the discard limit 16 MiB unless
    /// [set](ShutdownBidirectional::deadline).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: call again to go on. [`Closed`] then counts from the last call.
    ///
    /// # Errors
    ///
    /// As for [`close_notify`](Self::close_notify), and [`ShutdownError::Receive`] if reading the
    /// transport fails otherwise than with its end or reset. A peer that ends without close_notify,
    /// is silent or goes on sending is no error: see [`Closed`].
    ///
    /// ```
    /// use tokio::io::AsyncWriteExt;
    /// use tokio_tls_shutdown::{ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// async fn upload(mut tls: TlsStream<tokio::net::TcpStream>, file: &[u8]) -> std::io::Result<()> {
    ///     tls.write_all(file).await?;
    ///     tls.shutdown_bidirectional().await?.require_clean()?;
    ///     Ok(())
    /// }
    /// ```
    fn shutdown_bidirectional(&mut self) -> ShutdownBidirectional<'_, Self> {
        ShutdownBidirectional::new(self)
    }

    /// Polls for [`close_notify`](Self::close_notify), without a deadline.
    ///
    /// # Errors
    ///
    /// As for [`close_notify`](Self::close_notify).
    fn poll_close_notify(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>> {
        self.poll_close_notify_with(cx, &[], progress)
    }

    /// Polls for [`close_notify_with`](Self::close_notify_with), without a deadline. `data` must
    /// be the same until it returns `Ready`.
    ///
    /// # Errors
    ///
    /// As for [`close_notify`](Self::close_notify).
    fn poll_close_notify_with(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>> {
        let poll = progress.poll(cx, self, Goal::Notify, data);
        poll.map_ok(|()| progress.state())
    }

    /// Polls for [`shutdown_bidirectional`](Self::shutdown_bidirectional), without a deadline.
    ///
    /// # Errors
    ///
    /// As for [`shutdown_bidirectional`](Self::shutdown_bidirectional).
    fn poll_shutdown_bidirectional(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<Closed, ShutdownError>> {
        let poll = progress.poll(cx, self, Goal::Bidirectional, &[]);
        poll.map_ok(|()| progress.closed(self))
    }

    /// Tells whether the peer's close_notify has been received, authenticated and processed.
    ///
    /// Reads nothing, and is exclusive only because rustls is. What the peer had sent before may
    /// still be there to be read. `SSL_get_shutdown(3)` has it as `SSL_RECEIVED_SHUTDOWN`.
    ///
    /// ```
    /// use tokio_tls_shutdown::{ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// /// A pooled connection is of no use once the server has closed it.
    /// fn is_reusable(tls: &mut TlsStream<tokio::net::TcpStream>) -> bool {
    ///     !tls.received_close_notify()
    /// }
    /// ```
    fn received_close_notify(&mut self) -> bool {
        self.status().is_ok_and(|status| status.peer_closed)
    }
}

impl<S: Session> ShutdownExt for S {}
