//! `RecordAligned`: a transport that never reads past a TLS record.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::framing::{HEADER, body_len, is_content_type};
use crate::error::NotTls;

/// As much as rustls reads at a time; long records take more.
const CAPACITY: usize = 4096;

/// A transport that never hands out bytes past the end of the current TLS record.
///
/// rustls reads as much as it gets and discards what follows the peer's `close_notify`. Put this
/// under the TLS stream where the transport outlives TLS: it reads ahead into a buffer of its
/// own (4 KiB, or the longest record that came), gives rustls one record at a time, and keeps the
/// rest for
/// [`GracefulStream::into_transport`](crate::GracefulStream::into_transport).
///
/// As the transport that comes out of there, or after [`into_plaintext`](Self::into_plaintext), it is
/// readable and writable as any other: first what it has read ahead, then the underlying transport.
///
/// If the peer sends something else than TLS, reads fail with
/// [`InvalidData`](io::ErrorKind::InvalidData), rustls sees nothing of it, and
/// [`into_parts`](Self::into_parts) has the raw bytes.
///
/// # When not to use it
///
/// Where the connection ends with TLS, as HTTPS does: it would only copy.
///
/// ```
/// use std::sync::Arc;
/// use tokio::net::TcpStream;
/// use tokio_tls_shutdown::{GracefulStream, RecordAligned};
/// use tokio_tls_shutdown::tokio_rustls::{TlsAcceptor, server::TlsStream};
///
/// async fn start_tls(
///     socket: TcpStream,
///     read_ahead: Vec<u8>,
///     acceptor: TlsAcceptor,
/// ) -> std::io::Result<GracefulStream<TlsStream<RecordAligned<TcpStream>>>> {
///     let aligned = RecordAligned::with_prefix(socket, read_ahead);
///     Ok(GracefulStream::new(acceptor.accept(aligned).await?))
/// }
/// ```
pub struct RecordAligned<IO> {
    io: IO,
    /// What has been read ahead is `buf[start..end]`.
    buf: Vec<u8>,
    start: usize,
    end: usize,
    mode: Mode,
}

#[derive(Clone, Copy, Debug)]
enum Mode {
    /// This much of the current record is not handed out.
    Record(usize),
    Plain,
}

/// Without the bytes: there may be many, and secrets among them.
impl<IO: fmt::Debug> fmt::Debug for RecordAligned<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecordAligned")
            .field("io", &self.io)
            .field("ahead", &self.ahead().len())
            .field("mode", &self.mode)
            .finish()
    }
}

impl<IO> RecordAligned<IO> {
    /// Wraps a transport on which TLS is about to start.
    #[must_use]
    pub fn new(io: IO) -> Self {
        Self::with_prefix(io, Vec::new())
    }

    /// Wraps a transport on which TLS is about to start, and of which `prefix` was already read.
    #[must_use]
    pub fn with_prefix(io: IO, prefix: Vec<u8>) -> Self {
        Self {
            io,
            start: 0,
            end: prefix.len(),
            buf: prefix,
            mode: Mode::Record(0),
        }
    }

    /// Returns a reference to the underlying transport.
    #[must_use]
    pub const fn get_ref(&self) -> &IO {
        &self.io
    }

    /// Returns a mutable reference to the underlying transport.
    ///
    /// Reading from it directly loses the record boundaries.
    pub const fn get_mut(&mut self) -> &mut IO {
        &mut self.io
    }

    /// Consumes the wrapper and returns the underlying transport, and what was read ahead of it.
    #[must_use]
    pub fn into_parts(self) -> (IO, Vec<u8>) {
        let ahead = self.ahead().to_vec();
        (self.io, ahead)
    }

    /// Stops looking for records: what follows is not TLS.
    #[must_use]
    pub fn into_plaintext(mut self) -> Self {
        self.mode = Mode::Plain;
        self
    }

    fn ahead(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Returns how long the record is that begins here, once its header has been read.
    fn current_len(&self) -> io::Result<Option<usize>> {
        let ahead = self.ahead();
        let len = match ahead.first_chunk() {
            Some(&header) => body_len(header),
            // Plaintext may be shorter than a header.
            None if ahead.first().is_none_or(|&byte| is_content_type(byte)) => return Ok(None),
            None => None,
        };
        let len = len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, NotTls))?;
        Ok(Some(HEADER + usize::from(len)))
    }

    /// Hands out what was read ahead, `most` bytes of it.
    fn hand_out(&mut self, buf: &mut ReadBuf<'_>, most: usize) -> usize {
        let ahead = self.ahead();
        let n = ahead.len().min(buf.remaining()).min(most);
        buf.put_slice(&ahead[..n]);
        self.start += n;
        n
    }
}

impl<IO: AsyncRead + Unpin> RecordAligned<IO> {
    /// Reads ahead, as far as the header behind a record of which `left` is not handed out: one
    /// read for each long record. Returns `false` at the end of the transport.
    fn poll_fill(&mut self, cx: &mut Context<'_>, left: usize) -> Poll<io::Result<bool>> {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let capacity = CAPACITY.max(left + HEADER);
        if self.buf.len() < capacity {
            self.buf.resize(capacity, 0);
        }
        let mut buf = ReadBuf::new(&mut self.buf[self.end..]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        let n = buf.filled().len();
        self.end += n;
        Poll::Ready(Ok(n > 0))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for RecordAligned<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.mode {
                Mode::Plain if this.ahead().is_empty() => {
                    return Pin::new(&mut this.io).poll_read(cx, buf);
                }
                Mode::Plain => {
                    this.hand_out(buf, usize::MAX);
                    return Poll::Ready(Ok(()));
                }
                Mode::Record(0) => match this.current_len()? {
                    Some(len) => this.mode = Mode::Record(len),
                    None if ready!(this.poll_fill(cx, 0))? => {}
                    // The transport has ended. What there is of a header stays to be had.
                    None => return Poll::Ready(Ok(())),
                },
                Mode::Record(left) => {
                    let wanted = left.min(buf.remaining());
                    if this.ahead().len() < wanted {
                        match this.poll_fill(cx, left) {
                            Poll::Ready(Ok(true)) => continue,
                            // Return the error now; a socket reports it only once.
                            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                            // What there is of the record all the same.
                            _ if !this.ahead().is_empty() => {}
                            Poll::Ready(Ok(false)) => return Poll::Ready(Ok(())),
                            Poll::Pending => return Poll::Pending,
                        }
                    }
                    let n = this.hand_out(buf, left);
                    this.mode = Mode::Record(left - n);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for RecordAligned<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
