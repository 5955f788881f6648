//! `CloseOnDrop`: sends `close_notify` from its destructor.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker},
    thread,
};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::shutdown_ext::{ShutdownExt, close_progress::CloseProgress};

/// Wraps a TLS stream and sends `close_notify` when it is dropped.
///
/// One attempt that does not block: what the transport takes at once is sent, the rest is not. No
/// task is spawned, no runtime is needed, and nothing is read. The transport is dropped right after
/// it, so what [`ClosePolicy::Linger`](crate::ClosePolicy::Linger) says about unread bytes and RST
/// holds: if the last bytes matter, close and await.
///
/// Nothing is sent if the stream was closed before, during a panic, or after
/// [`disarm`](Self::disarm).
///
/// # Why it is not the default
///
/// To a peer, `close_notify` means that the data are complete. A task that is cancelled in the middle
/// of an answer has not sent all of it, and where the end of the connection is the end of the message
/// (HTTP/1.0, FTP data), the answer would look complete. Use it only for protocols that are
/// self-delimiting.
///
/// ```
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
/// use tokio_tls_shutdown::{CloseOnDrop, tokio_rustls::client::TlsStream};
///
/// async fn one_request(tls: TlsStream<TcpStream>) -> std::io::Result<()> {
///     let mut tls = CloseOnDrop::new(tls);
///     tls.write_all(b"PING\r\n").await?;
///     Ok(()) // `close_notify` is sent here, and where `?` returns
/// }
/// ```
#[derive(Debug)]
pub struct CloseOnDrop<S: ShutdownExt> {
    stream: S,
    armed: bool,
}

impl<S: ShutdownExt> CloseOnDrop<S> {
    /// Creates a new wrapper of a TLS stream.
    #[must_use]
    pub const fn new(stream: S) -> Self {
        Self {
            stream,
            armed: true,
        }
    }

    /// Returns a reference to the wrapped stream.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns a mutable reference to the wrapped stream.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Turns this off: the stream is dropped without `close_notify`.
    pub const fn disarm(&mut self) {
        self.armed = false;
    }
}

impl<S: ShutdownExt> Drop for CloseOnDrop<S> {
    fn drop(&mut self) {
        if self.armed && !thread::panicking() {
            let mut cx = Context::from_waker(Waker::noop());
            // There is no one to report a failure to.
            let _ = self
                .stream
                .poll_close_notify(&mut cx, &mut CloseProgress::new());
        }
    }
}

impl<S: ShutdownExt + AsyncRead + Unpin> AsyncRead for CloseOnDrop<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        AsyncRead::poll_read(Pin::new(&mut self.get_mut().stream), cx, buf)
    }
}

impl<S: ShutdownExt + AsyncBufRead + Unpin> AsyncBufRead for CloseOnDrop<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        Pin::new(&mut self.get_mut().stream).poll_fill_buf(cx)
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        AsyncBufRead::consume(Pin::new(&mut self.get_mut().stream), amount);
    }
}

impl<S: ShutdownExt + AsyncWrite + Unpin> AsyncWrite for CloseOnDrop<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        AsyncWrite::poll_write(Pin::new(&mut self.get_mut().stream), cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_flush(Pin::new(&mut self.get_mut().stream), cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        AsyncWrite::poll_shutdown(Pin::new(&mut self.get_mut().stream), cx)
    }
}
