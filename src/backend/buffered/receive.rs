//! One step of receiving from a library that reads its transport by itself.

use std::{
    io,
    mem::MaybeUninit,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

use super::{
    super::{Alert, AlertState, BackendError, Plaintext, Received, is_gone},
    GatedStream, failed,
    gate::Gate,
};
use crate::error::TlsError;

/// How much application data are kept for a reader. As in rustls.
const KEPT: usize = 1 << 14;
/// How much application data one step discards or keeps.
const SCRATCH: usize = 1 << 13;

pub(in super::super) fn poll_receive<S: GatedStream>(
    tls: &mut S,
    cx: &mut Context<'_>,
    mut plaintext: Plaintext<'_, '_>,
    state: &mut AlertState,
) -> Poll<Result<Received, BackendError>> {
    let unread = &mut tls.gate_mut().session.unread;
    if !unread.is_empty() {
        match &mut plaintext {
            Plaintext::Read(buf) => {
                let bytes = unread.len().min(buf.remaining());
                buf.put_slice(&unread[..bytes]);
                unread.drain(..bytes);
                return Poll::Ready(Ok(Received::Data(bytes)));
            }
            Plaintext::Fill => return Poll::Ready(Ok(Received::Data(unread.len()))),
            Plaintext::Keep if unread.len() >= KEPT => return Poll::Ready(Ok(Received::Full)),
            Plaintext::Keep => {}
            Plaintext::Discard => {
                let bytes = unread.len();
                unread.clear();
                return Poll::Ready(Ok(Received::Data(bytes)));
            }
        }
    }
    let gate = tls.gate();
    if gate.session.peer_closed {
        state.peer_closed = true;
        return Poll::Ready(Ok(Received::CloseNotify));
    }
    if let Some(failure) = &gate.session.failure {
        return Poll::Ready(Err(failure.clone().into()));
    }
    if let Some(end) = gate.end() {
        return Poll::Ready(Ok(end));
    }
    let mut scratch = [MaybeUninit::<u8>::uninit(); SCRATCH];
    let mut scratch = ReadBuf::uninit(&mut scratch);
    tls.gate_mut().take_blocked();
    if tls.gate().discards_writes() && !tls.reads_after_close() {
        let poll = poll_receive_raw(tls, cx, plaintext, &mut scratch);
        on_written(tls.gate(), state);
        return poll;
    }
    tls.gate_mut().take_has_read();
    // The application has been told of one that it met.
    tls.gate_mut().take_read_error();
    tls.gate_mut().set_receives(true);
    let poll = poll_library(tls, cx, plaintext, &mut scratch, state);
    tls.gate_mut().set_receives(false);
    on_written(tls.gate(), state);
    match poll {
        Poll::Pending => {
            match tls.gate_mut().take_blocked() {
                true => tls.gate_mut().set_reader(cx),
                // The library wants to be called again, and has not asked its transport.
                false => cx.waker().wake_by_ref(),
            }
            Poll::Pending
        }
        Poll::Ready(Found::Bytes(Ok(bytes @ 1..))) => {
            // A close may wait until they were read.
            tls.gate_mut().wake_reading_writer();
            Poll::Ready(Ok(Received::Data(bytes)))
        }
        Poll::Ready(Found::Bytes(result)) => Poll::Ready(end_of_session(tls, result, state)),
        Poll::Ready(Found::Other(result)) => Poll::Ready(result),
    }
}

/// Receiving may have written the rest of our alert.
fn on_written<IO>(gate: &Gate<IO>, state: &mut AlertState) {
    if let Alert::Queued(_) = state.alert {
        state.alert = Alert::queued(gate.queued());
    }
}

/// What a library has given.
enum Found {
    /// So much, or nothing more.
    Bytes(io::Result<usize>),
    Other(Result<Received, BackendError>),
}

fn poll_library<S: GatedStream>(
    tls: &mut S,
    cx: &mut Context<'_>,
    plaintext: Plaintext<'_, '_>,
    scratch: &mut ReadBuf<'_>,
    state: &AlertState,
) -> Poll<Found> {
    match plaintext {
        Plaintext::Read(buf) if buf.remaining() == 0 => {
            Poll::Ready(Found::Other(Ok(Received::Data(0))))
        }
        Plaintext::Read(buf) => poll_read(tls, cx, buf).map(Found::Bytes),
        Plaintext::Discard => poll_read(tls, cx, scratch).map(Found::Bytes),
        Plaintext::Fill | Plaintext::Keep if S::PEEKS => {
            let poll = tls.poll_peek(cx);
            poll.map(|peeked| match peeked {
                Ok(1..) => Found::Other(Ok(Received::Full)),
                peeked => Found::Bytes(peeked),
            })
        }
        Plaintext::Fill | Plaintext::Keep if state.wrapped => {
            let poll = poll_read(tls, cx, scratch);
            tls.gate_mut()
                .session
                .unread
                .extend_from_slice(scratch.filled());
            poll.map(Found::Bytes)
        }
        // What is read here would be lost for a reader who does not ask us.
        Plaintext::Fill | Plaintext::Keep => Poll::Ready(Found::Other(match state.alert {
            Alert::Unqueued | Alert::Sent => Err(BackendError::Transport(io::Error::new(
                io::ErrorKind::Unsupported,
                "this TLS library cannot look ahead: wrap the stream in a GracefulStream",
            ))),
            _ => Ok(Received::Full),
        })),
    }
}

/// Receives what the library does not decrypt any more: only how the transport ends is seen.
fn poll_receive_raw<S: GatedStream>(
    tls: &mut S,
    cx: &mut Context<'_>,
    plaintext: Plaintext<'_, '_>,
    scratch: &mut ReadBuf<'_>,
) -> Poll<Result<Received, BackendError>> {
    if matches!(plaintext, Plaintext::Read(_) | Plaintext::Fill) {
        return Poll::Ready(Err(BackendError::Transport(io::Error::new(
            io::ErrorKind::Unsupported,
            "this TLS library reads nothing after its close_notify in TLS 1.2",
        ))));
    }
    match ready!(poll_read(tls.gate_mut(), cx, scratch)) {
        Ok(bytes @ 1..) => Poll::Ready(Ok(Received::Data(bytes))),
        result => Poll::Ready(match (tls.gate().end(), result) {
            (Some(end), _) => Ok(end),
            (None, Err(e)) => Err(BackendError::Transport(e)),
            (None, Ok(_)) => Ok(Received::Eof),
        }),
    }
}

/// Finds out why the library has given nothing.
fn end_of_session<S: GatedStream>(
    tls: &mut S,
    result: io::Result<usize>,
    state: &mut AlertState,
) -> Result<Received, BackendError> {
    if let Some(end) = tls.gate().end() {
        return Ok(end);
    }
    let knows_end = tls.knows_end();
    let gate = tls.gate_mut();
    if let Some(failure) = &gate.session.failure {
        return Err(failure.clone().into());
    }
    let is_close_notify = gate.take_has_read() || knows_end;
    let error = match (gate.take_read_error(), result) {
        (Some(e), _) => BackendError::Transport(e),
        (None, Err(e)) => failed(tls, e),
        (None, Ok(_)) if !is_close_notify => {
            let text =
                "the session has ended in a read of the application, which does not tell how";
            BackendError::Tls(TlsError::new(text, None))
        }
        (None, Ok(_)) => {
            tls.gate_mut().session.peer_closed = true;
            state.peer_closed = true;
            return Ok(Received::CloseNotify);
        }
    };
    match error {
        // What the library had to write could not be: the peer is gone.
        BackendError::Transport(e) if is_gone(&e) => Ok(Received::Reset(e.kind())),
        error => Err(error),
    }
}

/// Reads once, and returns how much.
fn poll_read<R: AsyncRead + Unpin>(
    tls: &mut R,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<usize>> {
    let before = buf.filled().len();
    ready!(Pin::new(tls).poll_read(cx, buf))?;
    Poll::Ready(Ok(buf.filled().len() - before))
}
