//! `Gate`: the transport under a TLS library that writes into its transport by itself.

use std::{
    fmt, io, mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{super::end_of_transport, Received, Session};
use crate::event::Role;

#[cfg(test)]
mod tests;

/// How many bytes may be queued when application data are taken. As in rustls.
const LIMIT: usize = 64 * 1024;
/// How many bytes may be queued when the library writes. What it makes of one write that was let in
/// fits between the two, so that no library stops within a record.
const LIBRARY_LIMIT: usize = 2 * LIMIT;

/// What happens to that which the library writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    /// Written at once. What the transport does not take is queued, within the limit.
    Through,
    /// Queued without a limit: the last data of a close and its `close_notify`.
    Queued,
    /// Discarded: our `close_notify` is queued, and nothing may follow it.
    Discarded,
}

/// The transport to put under a TLS stream of OpenSSL, native-tls or s2n, so that this crate can
/// close it.
///
/// Those libraries write into their transport by themselves. `Gate` stands between: it queues what
/// the transport does not take at once, lets nothing out behind our `close_notify`, does not pass on
/// the FIN of the library's own `shutdown()`, and remembers whether the transport has ended with EOF
/// or with a reset. Everything else goes through it without a copy.
///
/// At most 128 KiB are queued, and [`close_notify_with`](crate::GracefulStream::close_notify_with)
/// adds its data. Dropping a `Gate` drops the transport and what is queued.
///
/// The TLS stream's own `shutdown()` queues `close_notify`, and does not close the transport: use
/// [`GracefulStream`](crate::GracefulStream) or [`ShutdownExt`](crate::ShutdownExt).
///
#[cfg_attr(feature = "openssl", doc = "```")]
#[cfg_attr(not(feature = "openssl"), doc = "```ignore")]
/// use std::pin::Pin;
/// use openssl::ssl::SslAcceptor;
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
/// use tokio_openssl::SslStream;
/// use tokio_tls_shutdown::{ClosePolicy, Gate, GracefulStream};
///
/// async fn serve(tcp: TcpStream, acceptor: &SslAcceptor) -> Result<(), Box<dyn std::error::Error>> {
///     let ssl = openssl::ssl::Ssl::new(acceptor.context())?;
///     let mut tls = SslStream::new(ssl, Gate::new(tcp))?;
///     Pin::new(&mut tls).accept().await?;
///     let mut tls = GracefulStream::new(tls);
///     tls.set_policy(ClosePolicy::linger());
///     tls.write_all(b"bye").await?;
///     tls.shutdown().await?;
///     Ok(())
/// }
/// ```
pub struct Gate<IO> {
    /// `None` only after it was taken out of a stream that was consumed.
    io: Option<IO>,
    queue: Vec<u8>,
    /// How much of `queue` is written.
    written: usize,
    writes: Writes,
    /// Reads do not reach the transport.
    holds_reads: bool,
    /// The last write of the library was blocked: it may hold the rest of a record.
    refused: bool,
    /// Something had to wait since this was reset.
    blocked: bool,
    end: Option<Received>,
    /// Why the transport could not be read, where that is not its end.
    read_error: Option<io::Error>,
    /// Why the transport could not be written, where no caller was told.
    write_error: Option<io::Error>,
    role: Option<Role>,
    /// Of the last read that had to wait.
    reader: Option<Waker>,
    /// Of the last write that had to wait.
    writer: Option<Waker>,
    pub(super) session: Session,
}

impl<IO: fmt::Debug> fmt::Debug for Gate<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only how much is queued and unread: that may be secret.
        f.debug_struct("Gate")
            .field("io", &self.io)
            .field("queued", &self.queued())
            .field("writes", &self.writes)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<IO> Gate<IO> {
    /// Wraps a transport on which TLS is about to start.
    #[must_use]
    pub fn new(io: IO) -> Self {
        Self {
            io: Some(io),
            queue: Vec::new(),
            written: 0,
            writes: Writes::Through,
            holds_reads: false,
            refused: false,
            blocked: false,
            end: None,
            read_error: None,
            write_error: None,
            role: None,
            reader: None,
            writer: None,
            session: Session::default(),
        }
    }

    /// Returns a reference to the transport.
    #[must_use]
    pub fn get_ref(&self) -> &IO {
        match &self.io {
            Some(io) => io,
            None => unreachable!("a transport that was taken out is used"),
        }
    }

    /// Returns a mutable reference to the transport.
    ///
    /// Reading from it or writing to it directly breaks the TLS session.
    pub fn get_mut(&mut self) -> &mut IO {
        match &mut self.io {
            Some(io) => io,
            None => unreachable!("a transport that was taken out is used"),
        }
    }

    /// Consumes the gate and returns the transport. What is queued is lost.
    #[must_use]
    pub fn into_inner(mut self) -> IO {
        self.take()
    }

    /// Takes the transport out of a stream that is about to be dropped.
    pub(crate) fn take(&mut self) -> IO {
        match self.io.take() {
            Some(io) => io,
            None => unreachable!("a transport that was taken out is used"),
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Returns how the transport has ended, as far as reads have seen.
    pub(super) fn end(&self) -> Option<Received> {
        self.end
    }

    pub(super) fn take_read_error(&mut self) -> Option<io::Error> {
        self.read_error.take()
    }

    /// Which side we are: a client writes first.
    pub(super) fn role(&self) -> Role {
        self.role.unwrap_or(Role::Client)
    }

    /// Queues what the library writes from here on, however long.
    pub(super) fn queue_writes(&mut self) {
        self.writes = Writes::Queued;
    }

    /// Discards what the library writes from here on.
    pub(super) fn discard_writes(&mut self) {
        self.writes = Writes::Discarded;
    }

    /// Returns `true` if nothing that the library writes is sent any more.
    pub(super) fn discards_writes(&self) -> bool {
        self.writes == Writes::Discarded
    }

    /// Keeps reads from the transport, so that only what the library holds already can be read.
    pub(super) fn hold_reads(&mut self, hold: bool) {
        self.holds_reads = hold;
    }

    /// Returns `true` if the last write of the library was blocked.
    pub(super) fn has_refused(&self) -> bool {
        self.refused
    }

    /// Returns `true` if a read or a write had to wait since the last call.
    pub(super) fn take_blocked(&mut self) -> bool {
        mem::take(&mut self.blocked)
    }

    /// Names the task whose read has had to wait. A library may have wrapped its waker: s2n does in
    /// debug builds. Then a write of the same task would take it for another, and wake it for ever.
    pub(super) fn set_reader(&mut self, cx: &Context<'_>) {
        self.reader = Some(cx.waker().clone());
    }
}

impl<IO: AsyncWrite + Unpin> Gate<IO> {
    /// Writes until the library can take a record whole.
    pub(super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shorten(cx, LIMIT)
    }

    /// Writes all that is queued, and flushes the transport.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_shorten(cx, 0))?;
        Pin::new(self.get_mut()).poll_flush(cx)
    }

    /// Closes the write side of the transport.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(self.get_mut()).poll_shutdown(cx)) {
            // It is closed already.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }

    /// Writes until at most `most` bytes are queued, for a task that writes.
    fn poll_shorten(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<()>> {
        if let Some(e) = self.write_error.take() {
            return Poll::Ready(Err(e));
        }
        let poll = self.poll_write_queue(cx, most);
        if poll.is_pending() {
            self.blocked = true;
            self.writer = Some(cx.waker().clone());
        }
        self.wake_reader(cx);
        poll
    }

    fn poll_write_queue(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<()>> {
        while self.queued() > most {
            let (Some(io), queue) = (&mut self.io, &self.queue[self.written..]) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            match ready!(Pin::new(io).poll_write(cx, queue))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.written += bytes,
            }
        }
        if self.queued() == 0 {
            // It is there only while the transport blocks.
            self.queue = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Continues to write while TLS only reads: the peer may wait for the rest of our handshake, or of
    /// data whose write has returned.
    fn write_while_reading(&mut self, cx: &mut Context<'_>) {
        let before = self.queued();
        if before == 0 {
            return;
        }
        if let Poll::Ready(Err(e)) = self.poll_write_queue(cx, 0) {
            self.write_error = Some(e);
        }
        if self.queued() < before || self.write_error.is_some() {
            // Its own wait for the transport may have been replaced by ours.
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
    }

    /// Lets a reader that waits write the queue too. A transport remembers one task that waits to
    /// write; it has just become `cx`, which may never come back.
    fn wake_reader(&mut self, cx: &Context<'_>) {
        if self.queued() == 0 {
            return;
        }
        // Compare clones: in release builds the vtable of an `Arc` waker may differ from that of its
        // clones.
        let is_other = |reader: &mut Waker| !reader.will_wake(&cx.waker().clone());
        if let Some(reader) = self.reader.take_if(is_other) {
            reader.wake();
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gate<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.holds_reads {
            return Poll::Pending;
        }
        this.write_while_reading(cx);
        let before = buf.filled().len();
        let Some(io) = &mut this.io else {
            return Poll::Ready(Ok(()));
        };
        let poll = Pin::new(io).poll_read(cx, buf);
        match &poll {
            Poll::Pending => {
                this.blocked = true;
                this.reader = Some(cx.waker().clone());
            }
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                this.role.get_or_insert(Role::Server);
            }
            Poll::Ready(Ok(())) if buf.remaining() > 0 => this.end = Some(Received::Eof),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => {
                this.end = end_of_transport(e);
                if this.end.is_none() {
                    // Not every library passes it on.
                    this.read_error = Some(io::Error::new(e.kind(), e.to_string()));
                }
            }
        }
        poll
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Gate<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.role.get_or_insert(Role::Client);
        match this.writes {
            Writes::Through => {
                this.refused = true;
                ready!(this.poll_shorten(cx, LIBRARY_LIMIT))?;
                this.refused = false;
            }
            Writes::Queued => {
                this.queue.extend_from_slice(buf);
                return Poll::Ready(Ok(buf.len()));
            }
            Writes::Discarded => return Poll::Ready(Ok(buf.len())),
        }
        let mut rest = buf;
        if this.queued() == 0 {
            match Pin::new(this.get_mut()).poll_write(cx, buf) {
                Poll::Ready(Ok(bytes)) => rest = &buf[bytes..],
                // A library would give up in the middle of its record. The next call has it.
                Poll::Ready(Err(e)) => this.write_error = Some(e),
                Poll::Pending => {}
            }
        }
        // Whole, or the library would keep a part.
        this.queue.extend_from_slice(rest);
        if this.write_error.is_none() {
            if let Poll::Ready(Err(e)) = this.poll_write_queue(cx, 0) {
                this.write_error = Some(e);
            }
        }
        this.wake_reader(cx);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.writes {
            // A caller that closes flushes, and needs to know whether that has failed.
            Writes::Queued => Poll::Ready(Ok(())),
            Writes::Through | Writes::Discarded => this.poll_send(cx),
        }
    }

    /// Does nothing: the library's `shutdown()` would close the transport with its alert.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
