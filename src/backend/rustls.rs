//! The only door to rustls 0.23: every call that its next major version changes is in this file.
//!
//! It does what it is told and decides nothing. rustls does not say whether a close_notify was
//! sent, queues alerts behind it, and accepts writes after it; this file makes up for that.

use std::{
    io::{self, BufRead, IoSlice, Read, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustls::{ClientConnection, HandshakeKind, IoState, ProtocolVersion, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::{TlsStream, client, server};

use crate::{
    close::progress::Memory,
    event::Role,
    stream::framing::{BadRecord, Framing, Rules},
    tracker::record::CloseRecord,
};

macro_rules! on {
    ($tls:expr, $conn:ident => $do:expr) => {
        match $tls {
            Tls::Client($conn) => $do,
            Tls::Server($conn) => $do,
        }
    };
}

/// What a TLS session says of itself.
#[derive(Clone, Copy, Debug)]
pub struct Status {
    /// Bytes of TLS that wait to be written.
    pub(crate) queued: usize,
    /// The peer's close_notify was processed.
    pub(crate) peer_closed: bool,
}

/// All that is queued, where nobody has counted it: counting costs as much as a third of the close.
/// To be counted before anything can be queued behind our close_notify.
pub(crate) const WHOLE_QUEUE: usize = usize::MAX;

/// What was thrown away, and what lies behind it.
#[derive(Clone, Copy, Debug)]
pub struct Discarded {
    pub(crate) bytes: usize,
    /// The end of the transport, without a close_notify.
    pub(crate) at_eof: bool,
}

/// Why a read step failed.
#[derive(Debug)]
pub enum ReadError {
    Transport(io::Error),
    Tls(rustls::Error),
}

/// A TLS stream whose session can be closed. Each backend is one implementation.
pub trait Session {
    /// Returns where the session stands, or the error that ended it.
    fn status(&mut self) -> Result<Status, rustls::Error>;

    /// Tells whether an alert would go out in the clear.
    fn is_handshaking(&mut self) -> bool;

    /// Finishes what must precede an alert: a handshake that early data has left open, and the
    /// early data that the server refused; in front of last data so much of a long queue that
    /// `queue_close_notify` can tell a repeated call.
    fn poll_establish(&mut self, cx: &mut Context<'_>, last: &[u8]) -> Poll<io::Result<()>>;

    /// Queues `last` and our close_notify, unless it was queued before. Returns how many bytes of
    /// the queue end with it, or [`WHOLE_QUEUE`].
    fn queue_close_notify(&mut self, last: &[u8]) -> Result<usize, rustls::Error>;

    /// Returns how many bytes wait to be written, or [`WHOLE_QUEUE`].
    fn queued(&mut self) -> Result<usize, rustls::Error>;

    /// Writes at most `limit` bytes of the queue.
    fn poll_write(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<io::Result<usize>>;

    /// Flushes the transport.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Reads the transport once and processes what came. Does nothing during a handshake, when
    /// it is `poll_establish` that reads.
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        framing: &mut Framing,
    ) -> Poll<Result<Status, ReadError>>;

    /// Returns decrypted application data, nothing after the peer's close_notify, `WouldBlock` if
    /// there is none yet, or `UnexpectedEof`.
    fn fill_buf(&mut self) -> io::Result<&[u8]>;

    /// Marks `bytes` of what `fill_buf` has returned as read.
    fn consume(&mut self, bytes: usize);

    /// Throws away the decrypted application data.
    fn discard_plaintext(&mut self) -> Discarded;

    /// Throws away what waits to be written.
    fn discard_queue(&mut self);

    /// Returns how many TLS 1.3 tickets have come on this connection.
    fn tickets(&mut self) -> u32;

    /// Returns which side we are.
    fn role(&mut self) -> Role;

    /// Tells whether the handshake has resumed a session.
    fn is_resumed(&mut self) -> bool;

    /// Closes the write side of the transport.
    fn poll_close_transport(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Returns what the stream remembers of its close; a plain one has no place for it.
    fn memory(&mut self) -> Option<&mut Memory> {
        None
    }

    /// Returns the account of the connection, if anybody wants one.
    fn account(&mut self) -> Option<&mut CloseRecord> {
        None
    }
}

/// A tokio-rustls stream, taken apart.
pub trait Split {
    type Io: AsyncRead + AsyncWrite + Unpin;

    fn split(&mut self) -> (&mut Self::Io, Tls<'_>);

    fn io(&self) -> &Self::Io;

    fn into_io(self) -> Self::Io;

    fn poll_establish(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// rustls's connection of either side.
pub enum Tls<'a> {
    Client(&'a mut ClientConnection),
    Server(&'a mut ServerConnection),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Split for client::TlsStream<IO> {
    type Io = IO;

    fn split(&mut self) -> (&mut IO, Tls<'_>) {
        let (io, tls) = self.get_mut();
        (io, Tls::Client(tls))
    }

    fn io(&self) -> &IO {
        self.get_ref().0
    }

    fn into_io(self) -> IO {
        self.into_inner().0
    }

    #[cfg(feature = "early-data")]
    fn poll_establish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let (_, mut tls) = self.split();
        let handshaking = on!(&tls, c => c.is_handshaking());
        // tokio-rustls does not say whether refused early data is still to be sent again, but it
        // stops in between only when the queue is full.
        let full = tls.queued().is_ok_and(|n| n >= RUSTLS_BUFFER_LIMIT);
        if handshaking || full {
            return Pin::new(self).poll_flush(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Split for server::TlsStream<IO> {
    type Io = IO;

    fn split(&mut self) -> (&mut IO, Tls<'_>) {
        let (io, tls) = self.get_mut();
        (io, Tls::Server(tls))
    }

    fn io(&self) -> &IO {
        self.get_ref().0
    }

    fn into_io(self) -> IO {
        self.into_inner().0
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Split for TlsStream<IO> {
    type Io = IO;

    fn split(&mut self) -> (&mut IO, Tls<'_>) {
        match self {
            Self::Client(stream) => stream.split(),
            Self::Server(stream) => stream.split(),
        }
    }

    fn io(&self) -> &IO {
        self.get_ref().0
    }

    fn into_io(self) -> IO {
        match self {
            Self::Client(stream) => stream.into_io(),
            Self::Server(stream) => stream.into_io(),
        }
    }

    fn poll_establish(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Client(stream) => Split::poll_establish(stream, cx),
            Self::Server(stream) => Split::poll_establish(stream, cx),
        }
    }
}

impl Tls<'_> {
    /// Processes what was read since the last call.
    #[inline]
    fn process(&mut self) -> Result<IoState, rustls::Error> {
        catch_panic(|| on!(self, c => c.process_new_packets()))
            .unwrap_or(Err(rustls::Error::HandshakeNotComplete))
            .map_err(tell_unwound)
    }

    /// Returns the error that ended the session.
    #[inline]
    fn check(&mut self) -> Result<(), rustls::Error> {
        // All that flushing does, and much cheaper than to process nothing.
        on!(self, c => c.writer().flush()).map_err(|e| match e.downcast() {
            Ok(e) => tell_unwound(e),
            Err(e) => rustls::Error::General(e.to_string()),
        })
    }

    /// Tells whether the peer's close_notify was processed. Not seen as long as so much plaintext
    /// is unread that rustls reads nothing.
    #[inline]
    fn has_peer_closed(&mut self) -> bool {
        // rustls no longer reads, and says so without asking the transport.
        !on!(self, c => c.wants_read()) && on!(self, c => c.read_tls(&mut Blocked)).is_ok()
    }

    #[inline]
    fn status(&mut self) -> Result<Status, rustls::Error> {
        // It wants to as long as the peer has not closed.
        if !on!(self, c => c.wants_read()) {
            return self.process_status();
        }
        self.check()?;
        Ok(Status {
            queued: self.queued()?,
            peer_closed: false,
        })
    }

    #[inline]
    fn process_status(&mut self) -> Result<Status, rustls::Error> {
        // To process again may panic, if an empty handshake record has come before.
        if self.has_peer_closed() {
            return Ok(Status {
                queued: self.queued()?,
                peer_closed: true,
            });
        }
        let state = self.process()?;
        Ok(Status {
            queued: state.tls_bytes_to_write(),
            peer_closed: state.peer_has_closed(),
        })
    }

    #[inline]
    fn queued(&mut self) -> Result<usize, rustls::Error> {
        if !on!(self, c => c.wants_write()) {
            return Ok(0);
        }
        if self.has_peer_closed() {
            return Ok(self.peek().len());
        }
        Ok(self.process()?.tls_bytes_to_write())
    }

    #[inline]
    fn rules(&self) -> Rules {
        let version = on!(self, c => c.protocol_version());
        Rules {
            tls13: version == Some(ProtocolVersion::TLSv1_3),
        }
    }

    fn peek(&mut self) -> Peek {
        let mut peek = Peek {
            tls13: self.rules().tls13,
            slices: 0,
            seen: 0,
            end: 0,
        };
        // Never fails otherwise: it refuses to take anything.
        let _ = on!(self, c => c.write_tls(&mut peek));
        peek
    }

    /// Returns how many bytes of the queue end with the last record that may be an alert.
    fn end_of_last_alert(&mut self, queued: usize) -> usize {
        let peek = self.peek();
        match peek.seen < queued {
            true => queued,
            false => peek.end,
        }
    }

    fn queue_close_notify(&mut self, last: &[u8]) -> Result<usize, rustls::Error> {
        if last.is_empty() && !on!(self, c => c.wants_write()) {
            self.send_close_notify();
            return Ok(match on!(self, c => c.wants_write()) {
                true => WHOLE_QUEUE,
                false => 0,
            });
        }
        let before = self.queued()?;
        let end_if_queued_before = self.end_of_last_alert(before);
        // A call that was dropped and is made again must not queue `last` a second time.
        let may_be_queued = end_if_queued_before > 0;
        let accepted = on!(self, c => c.writer().write(last).unwrap_or(0));
        if before == 0 && accepted == SENT_BUFFER_LIMIT && accepted < last.len() {
            return Ok(0);
        }
        let refused = may_be_queued && accepted == 0 && !last.is_empty();
        if !refused {
            // All of it or nothing, so that a dropped future leaves no half behind. It cannot
            // fail: nothing is written here, and the session has just been found sound.
            let _ = on!(self, c => {
                c.set_buffer_limit(None);
                c.writer().write_all(&last[accepted..])
            });
        }
        let with_last = self.queued()?;
        self.send_close_notify();
        let after = self.queued()?;
        if after == with_last && after != WHOLE_QUEUE {
            return Ok(end_if_queued_before);
        }
        if refused {
            return Err(rustls::Error::General(
                "the buffer limit has no room for the last data".into(),
            ));
        }
        Ok(after)
    }

    #[inline]
    fn send_close_notify(&mut self) {
        on!(self, c => {
            c.send_close_notify();
            c.set_buffer_limit(Some(CLOSED_BUFFER_LIMIT));
        });
    }

    #[inline]
    fn discard_plaintext(&mut self) -> Discarded {
        on!(self, c => {
            let mut reader = c.reader();
            let mut bytes = 0;
            let at_eof = loop {
                match reader.fill_buf() {
                    Ok([]) => break false,
                    Ok(chunk) => {
                        let len = chunk.len();
                        reader.consume(len);
                        bytes += len;
                    }
                    Err(e) => break e.kind() == io::ErrorKind::UnexpectedEof,
                }
            };
            Discarded { bytes, at_eof }
        })
    }
}

/// How many slices rustls hands over at once.
const RUSTLS_SLICES: usize = 64;
/// What rustls starts with.
const RUSTLS_BUFFER_LIMIT: usize = 64 * 1024;
/// As long as close_notify is queued: rustls takes nothing behind it, and by that we know it.
/// tokio-rustls would spin on zero once the queue is empty.
const CLOSED_BUFFER_LIMIT: usize = 1;
/// Once close_notify is written: by that we know it in front of last data that make a queue too
/// long to be counted. Shorter than any such queue, and nothing that a user sets.
const SENT_BUFFER_LIMIT: usize = 1021;

impl<S: Split> Session for S {
    fn status(&mut self) -> Result<Status, rustls::Error> {
        self.split().1.status()
    }

    fn is_handshaking(&mut self) -> bool {
        on!(self.split().1, c => c.is_handshaking())
    }

    #[inline]
    fn poll_establish(&mut self, cx: &mut Context<'_>, last: &[u8]) -> Poll<io::Result<()>> {
        ready!(Split::poll_establish(self, cx))?;
        while !last.is_empty() {
            let queued = self.queued().map_err(io::Error::other)?;
            let too_long = queued.saturating_sub(RUSTLS_BUFFER_LIMIT - 1);
            if too_long == 0 {
                break;
            }
            // Of a queue that ends with our close_notify this leaves the end.
            if ready!(self.poll_write(cx, too_long))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
        }
        Poll::Ready(Ok(()))
    }

    fn queue_close_notify(&mut self, last: &[u8]) -> Result<usize, rustls::Error> {
        self.split().1.queue_close_notify(last)
    }

    fn queued(&mut self) -> Result<usize, rustls::Error> {
        self.split().1.queued()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<io::Result<usize>> {
        let (io, mut tls) = self.split();
        let mut adapter = WriteAdapter { io, cx, limit };
        match on!(&mut tls, c => c.write_tls(&mut adapter)) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            result => Poll::Ready(result),
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.split().0).poll_flush(cx)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        framing: &mut Framing,
    ) -> Poll<Result<Status, ReadError>> {
        let (io, mut tls) = self.split();
        if on!(&tls, c => c.is_handshaking()) {
            return Poll::Pending;
        }
        let mut adapter = ReadAdapter {
            io,
            cx,
            rules: tls.rules(),
            framing: &mut *framing,
            error: None,
        };
        let read = on!(&mut tls, c => c.read_tls(&mut adapter));
        let refused = adapter.error.take();
        let status = match (read, refused) {
            (Ok(_), _) => tls.process_status(),
            (Err(e), _) if e.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            (Err(_), Some(e)) => return Poll::Ready(Err(ReadError::Transport(e))),
            // A record refused by its header, or a handshake message that rustls finds too long.
            (Err(e), None) => Err(rustls::Error::General(e.to_string())),
        };
        Poll::Ready(match (framing.bad(), status) {
            // Whatever follows the peer's close_notify does not count.
            (_, Ok(status)) if status.peer_closed => Ok(status),
            (Some(bad), _) => {
                // rustls has not seen it and would go on: let it see an end, so that no later
                // call can find the close clean.
                let _ = on!(&mut tls, c => c.read_tls(&mut io::empty()));
                Err(ReadError::Tls(bad.into()))
            }
            (None, status) => status.map_err(ReadError::Tls),
        })
    }

    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        on!(self.split().1, c => c.reader().into_first_chunk())
    }

    fn consume(&mut self, bytes: usize) {
        on!(self.split().1, c => c.reader().consume(bytes));
    }

    fn discard_plaintext(&mut self) -> Discarded {
        self.split().1.discard_plaintext()
    }

    fn discard_queue(&mut self) {
        let (_, mut tls) = self.split();
        while on!(&tls, c => c.wants_write()) {
            // Takes all that it is given.
            let _ = on!(&mut tls, c => c.write_tls(&mut io::sink()));
        }
        on!(&mut tls, c => c.set_buffer_limit(Some(SENT_BUFFER_LIMIT)));
    }

    fn tickets(&mut self) -> u32 {
        match self.split().1 {
            Tls::Client(c) => c.tls13_tickets_received(),
            Tls::Server(_) => 0,
        }
    }

    fn role(&mut self) -> Role {
        match self.split().1 {
            Tls::Client(_) => Role::Client,
            Tls::Server(_) => Role::Server,
        }
    }

    fn is_resumed(&mut self) -> bool {
        let kind = on!(self.split().1, c => c.handshake_kind());
        kind == Some(HandshakeKind::Resumed)
    }

    fn poll_close_transport(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(self.split().0).poll_shutdown(cx)) {
            // It is closed already.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}

impl From<BadRecord> for rustls::Error {
    fn from(bad: BadRecord) -> Self {
        use rustls::InvalidMessage;
        match bad {
            BadRecord::ContentType => Self::InvalidMessage(InvalidMessage::InvalidContentType),
            BadRecord::Version => Self::InvalidMessage(InvalidMessage::UnknownProtocolVersion),
            BadRecord::Oversized => Self::PeerSentOversizedRecord,
            BadRecord::Plaintext => Self::DecryptError,
            BadRecord::PlaintextAlert(description) => Self::AlertReceived(description.into()),
        }
    }
}

/// What rustls leaves behind when it unwinds says nothing of that.
fn tell_unwound(error: rustls::Error) -> rustls::Error {
    match error {
        rustls::Error::HandshakeNotComplete => {
            rustls::Error::General("the peer sent an invalid record".into())
        }
        error => error,
    }
}

/// Runs `process`, and returns `None` if rustls panics: with debug assertions where it wants to
/// send a fatal alert after our close_notify, and without them as [`Tls::process_status`] has it.
/// Goes with rustls 0.24.
fn catch_panic<T>(process: impl FnOnce() -> T) -> Option<T> {
    // The session marks itself as failed before it unwinds, and is never used again.
    catch_unwind(AssertUnwindSafe(process)).ok()
}

/// A transport that has nothing to read.
struct Blocked;

impl Read for Blocked {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }
}

/// Looks at the queue without taking anything. rustls hands over whole records, and at the front
/// perhaps the rest of one.
struct Peek {
    tls13: bool,
    slices: usize,
    seen: usize,
    end: usize,
}

impl Peek {
    fn len(&self) -> usize {
        match self.slices < RUSTLS_SLICES {
            true => self.seen,
            false => WHOLE_QUEUE,
        }
    }

    fn may_be_alert(&self, record: &[u8]) -> bool {
        let Some((&[content_type, 3, 3, hi, lo], body)) = record.split_first_chunk() else {
            return true;
        };
        if body.len() != usize::from(u16::from_be_bytes([hi, lo])) {
            return true;
        }
        match self.tls13 {
            // Two bytes, the content type and a tag.
            true => body.len() == 2 + 1 + 16,
            false => content_type == 21,
        }
    }
}

impl Write for Peek {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(record)])
    }

    fn write_vectored(&mut self, records: &[IoSlice<'_>]) -> io::Result<usize> {
        self.slices += records.len();
        for record in records {
            self.seen += record.len();
            if self.may_be_alert(record) {
                self.end = self.seen;
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct WriteAdapter<'a, 'b, IO> {
    io: &'a mut IO,
    cx: &'a mut Context<'b>,
    limit: usize,
}

impl<IO: AsyncWrite + Unpin> WriteAdapter<'_, '_, IO> {
    fn write_all_of(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let io = Pin::new(&mut *self.io);
        match io.poll_write_vectored(self.cx, bufs) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

impl<IO: AsyncWrite + Unpin> Write for WriteAdapter<'_, '_, IO> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().map(|buf| buf.len()).sum::<usize>() <= self.limit {
            return self.write_all_of(bufs);
        }
        let mut cut = [IoSlice::new(&[]); RUSTLS_SLICES];
        let mut count = 0;
        let mut left = self.limit;
        for (slot, buf) in cut.iter_mut().zip(bufs) {
            if left == 0 {
                break;
            }
            let taken = &buf[..buf.len().min(left)];
            *slot = IoSlice::new(taken);
            left -= taken.len();
            count += 1;
        }
        self.write_all_of(&cut[..count])
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct ReadAdapter<'a, 'b, IO> {
    io: &'a mut IO,
    cx: &'a mut Context<'b>,
    rules: Rules,
    framing: &'a mut Framing,
    error: Option<io::Error>,
}

impl<IO: AsyncRead + Unpin> ReadAdapter<'_, '_, IO> {
    fn poll(&mut self, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            let mut buf = ReadBuf::new(buf);
            if let Err(e) = ready!(Pin::new(&mut *self.io).poll_read(self.cx, &mut buf)) {
                self.error = Some(e);
                return Poll::Ready(Err(io::ErrorKind::Other.into()));
            }
            let bytes = buf.filled();
            let admitted = self.framing.admit(bytes, self.rules);
            if admitted > 0 || bytes.is_empty() {
                return Poll::Ready(Ok(admitted));
            }
            if self.framing.bad().is_some() {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
        }
    }
}

impl<IO: AsyncRead + Unpin> Read for ReadAdapter<'_, '_, IO> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.poll(buf) {
            Poll::Ready(result) => result,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}
