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

/// As much as rustls reads at a time.
const CAPACITY: usize = 4096;

/// A transport that never hands out bytes past the end of the current TLS record.
///
/// rustls reads as much as it gets and discards what follows the peer's `close_notify`. Put this
/// under the TLS stream where the transport outlives TLS: it gives rustls one record at a time, and
/// keeps what it has read ahead of it (at most 4 KiB, beside what it was created with) for
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
    /// Of the current record this header is handed out, together with the end of the record before.
    ///
    /// A read that ends with a record makes rustls shrink its buffer and grow it again; half of what
    /// this transport cost was that. Who reads on has the header. If the record before was the last,
    /// rustls throws it away, and it is still had from here.
    Lent {
        header: [u8; HEADER],
        left: usize,
    },
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
    pub fn into_parts(mut self) -> (IO, Vec<u8>) {
        self.take_back();
        let ahead = self.ahead().to_vec();
        (self.io, ahead)
    }

    /// Stops looking for records: what follows is not TLS.
    #[must_use]
    pub fn into_plaintext(mut self) -> Self {
        self.take_back();
        self.mode = Mode::Plain;
        self
    }

    fn ahead(&self) -> &[u8] {
        &self.buf[self.start..self.end]
    }

    /// Puts a header that was handed out too early back in front of what was read ahead.
    fn take_back(&mut self) {
        if let Mode::Lent { header, .. } = self.mode {
            self.buf = [&header, self.ahead()].concat();
            (self.start, self.end) = (0, self.buf.len());
            self.mode = Mode::Record(0);
        }
    }

    /// Lends the header that `bytes` begin with, if it is whole and that of a record with a body.
    fn lend(bytes: &[u8]) -> Option<Mode> {
        let header = *bytes.first_chunk()?;
        let left = usize::from(body_len(header)?);
        (left > 0).then_some(Mode::Lent { header, left })
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

    /// Hands out what was read ahead of a record of which `left` is not handed out, and the header
    /// behind it.
    fn hand_out_record(&mut self, buf: &mut ReadBuf<'_>, left: usize) {
        let n = self.hand_out(buf, left);
        self.mode = Mode::Record(left - n);
        if n == left && buf.remaining() >= HEADER {
            if let Some(lent) = Self::lend(self.ahead()) {
                self.hand_out(buf, HEADER);
                self.mode = lent;
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> RecordAligned<IO> {
    /// Reads ahead until there is a header. Returns `false` at the end of the transport.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        self.buf.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        if self.buf.len() < CAPACITY {
            self.buf.resize(CAPACITY, 0);
        }
        let mut buf = ReadBuf::new(&mut self.buf[self.end..]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut buf))?;
        let n = buf.filled().len();
        self.end += n;
        Poll::Ready(Ok(n > 0))
    }

    /// Hands out what was read ahead, which is less than the `left` of a record, and reads what is
    /// behind it straight into the caller's buffer.
    fn poll_read_record(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        left: usize,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let ahead = self.ahead().len();
        buf.put_slice(self.ahead());
        // The rest of a long record and the header behind it, or as much as there is of short ones.
        let room = CAPACITY.max(left - ahead + HEADER).min(buf.remaining());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(room));
        let read = Pin::new(&mut self.io).poll_read(cx, &mut part);
        let n = part.filled().len();
        match read {
            Poll::Ready(Ok(())) if ahead + n > 0 => {}
            // What there is of the record all the same.
            Poll::Pending if ahead > 0 => {}
            // An error at once; a socket reports it only once.
            end_or_pending => {
                buf.set_filled(before);
                return end_or_pending;
            }
        }
        buf.advance(n);
        (self.start, self.end) = (0, 0);
        self.mode = Mode::Record(left.saturating_sub(ahead + n));
        if ahead + n > left {
            let mut end = before + left;
            if let Some(lent) = Self::lend(&buf.filled()[end..]) {
                self.mode = lent;
                end += HEADER;
            }
            self.keep(&buf.filled()[end..]);
            buf.set_filled(end);
        }
        Poll::Ready(Ok(()))
    }

    /// Keeps what was read behind a record. Nothing else is kept at the time.
    fn keep(&mut self, behind: &[u8]) {
        if self.buf.len() < behind.len() {
            self.buf.resize(CAPACITY.max(behind.len()), 0);
        }
        self.buf[..behind.len()].copy_from_slice(behind);
        self.end = behind.len();
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
            let left = match this.mode {
                Mode::Plain if this.ahead().is_empty() => {
                    return Pin::new(&mut this.io).poll_read(cx, buf);
                }
                Mode::Plain => {
                    this.hand_out(buf, usize::MAX);
                    return Poll::Ready(Ok(()));
                }
                Mode::Record(0) => match this.current_len()? {
                    Some(len) => len,
                    None if ready!(this.poll_fill(cx))? => continue,
                    // The transport has ended. What there is of a header stays to be had.
                    None => return Poll::Ready(Ok(())),
                },
                Mode::Record(left) | Mode::Lent { left, .. } => left,
            };
            if this.ahead().len() < left.min(buf.remaining()) {
                return this.poll_read_record(cx, buf, left);
            }
            if buf.remaining() > 0 {
                this.hand_out_record(buf, left);
            }
            return Poll::Ready(Ok(()));
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
