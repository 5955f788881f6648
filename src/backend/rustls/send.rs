//! Our `close_notify` in rustls's queue, and on its way to the transport.

use std::{
    io::{self, IoSlice, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustls::ConnectionCommon;
use tokio::io::AsyncWrite;

use super::{Alert, AlertState, BackendError};
use crate::error::TlsError;

/// How many chunks of its queue rustls hands to one write, a record each.
const SHOWN: usize = 64;
/// How many chunks may wait when the alert is queued: it may bring the answer to a KeyUpdate along
/// and a record of rustls's own, and one look must show all of them.
const SHORT: usize = SHOWN - 3;
/// How much application data a record holds, at most (RFC 8446 section 5.1).
const RECORD: usize = 1 << 14;
/// The content type of alerts, which TLS 1.2 does not encrypt.
const ALERT: u8 = 21;

/// Queues `last` and `close_notify`, and sends until both are flushed.
#[inline]
pub(super) fn poll_send<Data, IO: AsyncWrite + Unpin>(
    tls: &mut ConnectionCommon<Data>,
    io: &mut IO,
    cx: &mut Context<'_>,
    last: &[u8],
    state: &mut AlertState,
) -> Poll<Result<(), BackendError>> {
    if state.alert == Alert::Waiting {
        if tls.is_handshaking() {
            state.alert = Alert::Unqueued;
            return Poll::Ready(Err(BackendError::Handshaking));
        }
        ready!(poll_queue_alert(tls, io, cx, last, state))?;
    }
    while let Alert::Queued(left) = state.alert {
        if !tls.wants_write() {
            // On a plain stream, between two polls of the same progress, by another call.
            state.made_before = true;
            state.alert = Alert::Unflushed;
            break;
        }
        let written =
            ready!(poll_write_start(tls, io, cx, left)).map_err(BackendError::Transport)?;
        state.alert = Alert::queued(left.saturating_sub(written));
    }
    if state.alert == Alert::Unflushed {
        drop_queue(tls);
        ready!(Pin::new(io).poll_flush(cx)).map_err(BackendError::Transport)?;
        state.alert = Alert::Sent;
    }
    Poll::Ready(Ok(()))
}

/// Queues `last` and `close_notify`, and writes once. Then the alert is counted or written.
#[inline]
fn poll_queue_alert<Data, IO: AsyncWrite + Unpin>(
    tls: &mut ConnectionCommon<Data>,
    io: &mut IO,
    cx: &mut Context<'_>,
    last: &[u8],
    state: &mut AlertState,
) -> Poll<Result<(), BackendError>> {
    if !last.is_empty() && !state.last_queued {
        ready!(poll_shorten(tls, io, cx)).map_err(BackendError::Transport)?;
        // Whole, so that a close that is dropped leaves no half of a message behind.
        tls.set_buffer_limit(None);
        let queued = tls.writer().write_all(last);
        state.last_queued = true;
        queued.map_err(BackendError::Transport)?;
    }
    let waiting = ready!(poll_shorten(tls, io, cx)).map_err(BackendError::Transport)?;
    if state.last_queued && !adds_close_notify(tls) {
        // By an earlier call of the application, or by rustls in place of a part of `last`, where
        // the keys of TLS 1.2 are used up.
        state.alert = Alert::queued(Look::at(tls).bytes);
        // Another call with them comes too late.
        state.last_queued = false;
        return Poll::Ready(Err(BackendError::Tls(TlsError::new(
            "the session was closed before all of the last data were sent",
            None,
        ))));
    }
    tls.send_close_notify();
    if !tls.wants_write() {
        // An earlier call of a plain stream has written it.
        state.made_before = true;
        state.alert = Alert::Unflushed;
        return Poll::Ready(Ok(()));
    }
    // Or a part of it.
    state.made_before = waiting > 0 && Look::at(tls).chunks == waiting;
    let poll = poll_write_queue(tls, io, cx);
    // Counted only now, because mostly the first write takes everything.
    state.alert = Alert::queued(Look::at(tls).bytes);
    poll.map_ok(drop).map_err(BackendError::Transport)
}

/// Takes application data of TLS 1.2, or notes that rustls has closed by itself.
///
/// When its keys are used up, rustls queues `close_notify` and says `Ok` to all that it drops then
/// and afterwards. The record that it has queued for the data shows it.
pub(super) fn poll_write_tls12<Data, IO: AsyncWrite + Unpin>(
    tls: &mut ConnectionCommon<Data>,
    io: &mut IO,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
    state: &mut AlertState,
) -> Poll<io::Result<usize>> {
    if bufs.iter().all(|buf| buf.is_empty()) {
        return Poll::Ready(Ok(0));
    }
    let accepted = loop {
        ready!(poll_shorten(tls, io, cx))?;
        // No more than what one look shows.
        let room = (SHOWN - Look::at(tls).chunks) * RECORD;
        let accepted = cut(bufs, room, |bufs| tls.writer().write_vectored(bufs))?;
        if accepted > 0 {
            break accepted;
        }
        // The buffer limit is reached.
        ready!(poll_write_queue(tls, io, cx))?;
    };
    let mut end = None;
    let written = tls.write_tls(&mut Writer(|chunks: &[IoSlice<'_>]| {
        end = end_of(chunks);
        write_chunks(io, cx, chunks)
    }));
    if end == Some(ALERT) {
        state.alert = Alert::queued(Look::at(tls).bytes);
        return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
    }
    let mut poll = poll_of(written);
    loop {
        match poll {
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            Poll::Ready(Ok(_)) if tls.wants_write() => {
                poll = poll_write_queue(tls, io, cx);
            }
            // What was accepted is queued.
            Poll::Ready(Ok(_)) | Poll::Pending => return Poll::Ready(Ok(accepted)),
        }
    }
}

/// Queues `close_notify`. Returns `false` if rustls has sent one already.
fn adds_close_notify<Data>(tls: &mut ConnectionCommon<Data>) -> bool {
    let before = Look::at(tls).chunks;
    tls.send_close_notify();
    Look::at(tls).chunks > before
}

/// Writes until one look can show all that waits and what `close_notify` brings along. Returns how
/// many chunks wait.
#[inline]
fn poll_shorten<Data, IO: AsyncWrite + Unpin>(
    tls: &mut ConnectionCommon<Data>,
    io: &mut IO,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        match Look::at(tls).chunks {
            chunks @ ..=SHORT => return Poll::Ready(Ok(chunks)),
            _ => ready!(poll_write_queue(tls, io, cx))?,
        };
    }
}

/// Writes what one look shows of the queue.
#[inline]
pub(super) fn poll_write_queue<Data, IO: AsyncWrite + Unpin>(
    tls: &mut ConnectionCommon<Data>,
    io: &mut IO,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    poll_of(tls.write_tls(&mut Writer(|chunks: &[IoSlice<'_>]| {
        write_chunks(io, cx, chunks)
    })))
}

/// Writes at most `limit` bytes of the queue.
fn poll_write_start<Data, IO: AsyncWrite + Unpin>(
    tls: &mut ConnectionCommon<Data>,
    io: &mut IO,
    cx: &mut Context<'_>,
    limit: usize,
) -> Poll<io::Result<usize>> {
    poll_of(tls.write_tls(&mut Writer(|chunks: &[IoSlice<'_>]| {
        cut(chunks, limit, |chunks| write_chunks(io, cx, chunks))
    })))
}

#[inline]
fn poll_of(written: io::Result<usize>) -> Poll<io::Result<usize>> {
    match written {
        Err(e) if e.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        Ok(0) => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        result => Poll::Ready(result),
    }
}

/// Drops all that is queued. Behind our alert nothing may be sent.
#[inline]
pub(super) fn drop_queue<Data>(tls: &mut ConnectionCommon<Data>) {
    while tls.wants_write() {
        // A sink takes all that it is given.
        let _ = tls.write_tls(&mut io::sink());
    }
}

/// Returns the content type of the last chunk, if it is a whole record and not the rest of one.
fn end_of(chunks: &[IoSlice<'_>]) -> Option<u8> {
    match **chunks.last()? {
        [content_type, 3, 3, hi, lo, ref body @ ..] => {
            let len = usize::from(u16::from_be_bytes([hi, lo]));
            (body.len() == len).then_some(content_type)
        }
        _ => None,
    }
}

/// Calls `write` with the first `limit` bytes of `bufs`.
fn cut<T>(bufs: &[IoSlice<'_>], limit: usize, write: impl FnOnce(&[IoSlice<'_>]) -> T) -> T {
    if bufs.iter().map(|buf| buf.len()).sum::<usize>() <= limit {
        return write(bufs);
    }
    let mut first = [IoSlice::new(&[]); SHOWN];
    let (mut count, mut left) = (0, limit);
    for (slot, buf) in first.iter_mut().zip(bufs) {
        if left == 0 {
            break;
        }
        let part = &buf[..buf.len().min(left)];
        *slot = IoSlice::new(part);
        left -= part.len();
        count += 1;
    }
    write(&first[..count])
}

/// What rustls shows of its queue without giving anything away.
#[derive(Default)]
struct Look {
    chunks: usize,
    bytes: usize,
}

impl Look {
    #[inline]
    fn at<Data>(tls: &mut ConnectionCommon<Data>) -> Self {
        let mut look = Self::default();
        if tls.wants_write() {
            // An error, because nothing is taken.
            let _ = tls.write_tls(&mut Writer(|chunks: &[IoSlice<'_>]| {
                look.chunks = chunks.len();
                look.bytes = chunks.iter().map(|chunk| chunk.len()).sum();
                Err(io::ErrorKind::WouldBlock.into())
            }));
        }
        look
    }
}

/// Writes chunks to the transport. One that is blocked fails with `WouldBlock`, as rustls wants it.
#[inline]
fn write_chunks<IO: AsyncWrite + Unpin>(
    io: &mut IO,
    cx: &mut Context<'_>,
    chunks: &[IoSlice<'_>],
) -> io::Result<usize> {
    match Pin::new(io).poll_write_vectored(cx, chunks) {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}

/// What rustls hands its queue to.
struct Writer<F>(F);

impl<F: FnMut(&[IoSlice<'_>]) -> io::Result<usize>> Write for Writer<F> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    #[inline]
    fn write_vectored(&mut self, chunks: &[IoSlice<'_>]) -> io::Result<usize> {
        (self.0)(chunks)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
