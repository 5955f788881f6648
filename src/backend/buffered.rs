//! Libraries that write into their transport by themselves: OpenSSL, native-tls, s2n.
//!
//! All of them are closed in the same way, over a [`Gate`] that holds back and remembers what the
//! libraries do not. What differs from one to the next is in [`GatedStream`], which each implements
//! in a file of its own.

pub(crate) mod gate;
mod receive;
mod shutdown;
#[cfg(test)]
mod tests;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::io::{AsyncRead, AsyncWrite};

use self::gate::Gate;
pub(super) use self::receive::poll_receive;
use super::{Alert, AlertState, BackendError, Plaintext, Received, Status};
use crate::{
    error::{ShutdownError, TlsError},
    event::Role,
};

/// How much application data a record holds, at most (RFC 8446 section 5.1).
const RECORD: usize = 1 << 14;
const NO_ALERT: &str = "the TLS library accepts no alert";

/// A TLS stream over a [`Gate`].
pub trait GatedStream: AsyncRead + AsyncWrite + Unpin {
    type Transport: AsyncRead + AsyncWrite + Unpin;

    /// The library can tell that application data have come, without taking them.
    const PEEKS: bool;

    /// A write that was blocked must be repeated before the library makes an alert.
    const REPEATS_WRITES: bool;

    fn gate(&self) -> &Gate<Self::Transport>;
    fn gate_mut(&mut self) -> &mut Gate<Self::Transport>;

    /// Returns `true` if an alert would be encrypted.
    fn is_established(&self) -> bool;

    /// Returns `true` if a handshake is under way, which may be one within the session (TLS 1.2), or
    /// has failed.
    fn is_handshaking(&self) -> bool {
        !self.is_established()
    }

    /// Returns how many bytes of application data can be read, 0 after the peer's `close_notify`.
    /// Without [`PEEKS`](Self::PEEKS) it looks only at what was received before.
    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>>;

    /// Returns `true` if an end of the data that was read before is the peer's `close_notify`, and not
    /// a failure that the library has told once.
    fn knows_end(&self) -> bool {
        true
    }

    /// Returns `true` if the library still reads after our `close_notify`.
    fn reads_after_close(&self) -> bool {
        true
    }

    fn is_resumed(&self) -> bool {
        false
    }

    fn role(&self) -> Role {
        self.gate().role()
    }

    fn is_tls_error(error: &io::Error) -> bool;

    /// Returns the code of the fatal alert that has made a read or a write fail, where it is known.
    fn alert(&self, error: &io::Error) -> Option<u8>;
}

/// What is known of the session of a [`Gate`]'s library.
#[derive(Default)]
pub(super) struct Session {
    peer_closed: bool,
    /// The library reads no further: after the peer's `close_notify`, or after a failure that only
    /// the application was told.
    ended: bool,
    failure: Option<Failure>,
    /// Application data that were received for someone who must not take them.
    unread: Vec<u8>,
    /// How much of the last data of a close the library has taken.
    last_taken: usize,
}

/// Why the session has failed.
#[derive(Clone)]
struct Failure {
    text: String,
    alert: Option<u8>,
}

impl From<Failure> for BackendError {
    fn from(failure: Failure) -> Self {
        Self::Tls(TlsError::new(failure.text, failure.alert))
    }
}

pub(super) fn status<S: GatedStream>(
    tls: &mut S,
    state: &AlertState,
) -> Result<Status, BackendError> {
    let mut status = Status {
        established: tls.is_established(),
        peer_closed: state.peer_closed || tls.gate().session.peer_closed,
        readable: !tls.gate().session.unread.is_empty(),
    };
    if let Some(failure) = &tls.gate().session.failure {
        return Err(failure.clone().into());
    }
    let is_known = status.peer_closed || status.readable || tls.gate().end().is_some();
    if !status.established || tls.is_handshaking() || is_known {
        return Ok(status);
    }
    tls.gate_mut().hold_reads(true);
    let held = tls.poll_peek(&mut Context::from_waker(Waker::noop()));
    tls.gate_mut().hold_reads(false);
    match held {
        Poll::Ready(Ok(0)) if !tls.knows_end() => tls.gate_mut().session.ended = true,
        Poll::Ready(Ok(0)) => {
            tls.gate_mut().session.peer_closed = true;
            status.peer_closed = true;
        }
        Poll::Ready(Ok(_)) => status.readable = true,
        Poll::Ready(Err(e)) => return Err(failed(tls, e)),
        Poll::Pending => {}
    }
    Ok(status)
}

pub(super) fn poll_send<S: GatedStream>(
    tls: &mut S,
    cx: &mut Context<'_>,
    last: &[u8],
    state: &mut AlertState,
) -> Poll<Result<(), BackendError>> {
    if !tls.gate().discards_writes() {
        // From here on the application writes no more.
        state.alert = Alert::Waiting;
        let queued = ready!(poll_queue_alert(tls, cx, last, state));
        if matches!(queued, Err(BackendError::Handshaking)) {
            state.alert = Alert::Unqueued;
        }
        queued?;
    } else if state.alert == Alert::Unqueued {
        // By an earlier call of a plain stream, or by the library's own `shutdown()`.
        state.made_before = true;
        if !last.is_empty() {
            let error = io::ErrorKind::BrokenPipe.into();
            return Poll::Ready(Err(BackendError::Transport(error)));
        }
    }
    let gate = tls.gate_mut();
    if matches!(state.alert, Alert::Queued(_)) && gate.queued() == 0 {
        // On a plain stream, between two polls of the same progress, by another call.
        state.made_before = true;
    }
    if state.alert != Alert::Sent {
        let poll = gate.poll_send(cx);
        state.alert = Alert::queued(gate.queued());
        ready!(poll).map_err(BackendError::Transport)?;
        state.alert = Alert::Sent;
    }
    Poll::Ready(Ok(()))
}

/// Has the library make records of `last` and of our `close_notify`.
fn poll_queue_alert<S: GatedStream>(
    tls: &mut S,
    cx: &mut Context<'_>,
    last: &[u8],
    state: &mut AlertState,
) -> Poll<Result<(), BackendError>> {
    if !tls.reads_after_close() && state.wrapped {
        // What has arrived by now is read now or never.
        while let Poll::Ready(Ok(Received::Data(_))) = poll_receive(tls, cx, Plaintext::Keep, state)
        {
        }
    }
    if S::REPEATS_WRITES && tls.gate().has_refused() {
        let error = "a write was blocked and given up: the TLS library wants it again";
        return Poll::Ready(Err(BackendError::Transport(io::Error::other(error))));
    }
    if !tls.is_established() {
        return Poll::Ready(Err(BackendError::Handshaking));
    }
    tls.gate_mut().take_blocked();
    tls.gate_mut().queue_writes();
    tls.gate_mut().set_sends(true);
    let poll = poll_make_alert(tls, cx, last, state);
    let gate = tls.gate_mut();
    gate.set_sends(false);
    match &poll {
        Poll::Ready(Ok(())) => gate.discard_writes(),
        Poll::Ready(Err(_)) | Poll::Pending => gate.pass_writes(),
    }
    poll
}

/// Nothing of it blocks, unless a handshake within the session has to be finished first.
fn poll_make_alert<S: GatedStream>(
    tls: &mut S,
    cx: &mut Context<'_>,
    last: &[u8],
    state: &mut AlertState,
) -> Poll<Result<(), BackendError>> {
    while !state.last_queued {
        let rest = last.get(tls.gate().session.last_taken..).unwrap_or(&[]);
        if rest.is_empty() {
            // Without data there is nothing that could come too late.
            state.last_queued = !last.is_empty();
            break;
        }
        let poll = Pin::new(&mut *tls).poll_write(cx, rest);
        match ready!(unless_stuck(tls, poll, NO_ALERT)) {
            Ok(bytes) => tls.gate_mut().session.last_taken += bytes,
            Err(e) => return Poll::Ready(Err(failed(tls, e))),
        }
    }
    shutdown::poll_shutdown(tls, cx, state)
}

/// Fails with `text` where a library waits and its transport does not: it would never be woken.
fn unless_stuck<S: GatedStream, T>(
    tls: &mut S,
    poll: Poll<io::Result<T>>,
    text: &str,
) -> Poll<io::Result<T>> {
    let has_waited = tls.gate_mut().take_blocked();
    if poll.is_pending() && !has_waited {
        return Poll::Ready(Err(io::Error::other(text)));
    }
    poll
}

/// Writes down a failure of the session. An error of the transport is none.
fn failed<S: GatedStream>(tls: &mut S, error: io::Error) -> BackendError {
    if !S::is_tls_error(&error) {
        return BackendError::Transport(error);
    }
    let alert = tls.alert(&error);
    let text = error.to_string();
    let error = match error.into_inner() {
        Some(inner) => TlsError::new(inner, alert),
        None => TlsError::new(text.clone(), alert),
    };
    tls.gate_mut().session.failure = Some(Failure { text, alert });
    BackendError::Tls(error)
}

/// Takes so much that the library is never stopped within a record: it would want the same data
/// again, and no alert before ("bad write retry").
pub(super) fn poll_write<S: GatedStream>(
    tls: &mut S,
    cx: &mut Context<'_>,
    bufs: &[IoSlice<'_>],
) -> Poll<io::Result<usize>> {
    ready!(tls.gate_mut().poll_room(cx))?;
    let Some(buf) = bufs.iter().find(|buf| !buf.is_empty()) else {
        return Poll::Ready(Ok(0));
    };
    if let Some(failure) = &tls.gate().session.failure {
        let error = TlsError::new(failure.text.clone(), failure.alert);
        return Poll::Ready(Err(ShutdownError::Tls(error).into()));
    }
    tls.gate_mut().take_blocked();
    tls.gate_mut().set_sends(true);
    let poll = Pin::new(&mut *tls).poll_write(cx, &buf[..buf.len().min(RECORD)]);
    tls.gate_mut().set_sends(false);
    unless_stuck(tls, poll, "the TLS library takes no data")
}

pub(super) fn unread<S: GatedStream>(tls: &S) -> &[u8] {
    &tls.gate().session.unread
}

pub(super) fn consume<S: GatedStream>(tls: &mut S, bytes: usize) {
    let unread = &mut tls.gate_mut().session.unread;
    unread.drain(..bytes.min(unread.len()));
}

/// Implements `Backend` by the functions of this file. A blanket implementation would overlap with
/// that for rustls.
macro_rules! gated_backend {
    (impl[$($generics:tt)*] $Stream:ty) => {
        impl<$($generics)*> $crate::backend::Backend for $Stream {
            fn status(
                &mut self,
                state: &$crate::backend::AlertState,
            ) -> Result<$crate::backend::Status, $crate::backend::BackendError> {
                $crate::backend::buffered::status(self, state)
            }

            fn poll_send(
                &mut self,
                cx: &mut std::task::Context<'_>,
                last: &[u8],
                state: &mut $crate::backend::AlertState,
            ) -> std::task::Poll<Result<(), $crate::backend::BackendError>> {
                $crate::backend::buffered::poll_send(self, cx, last, state)
            }

            fn poll_receive(
                &mut self,
                cx: &mut std::task::Context<'_>,
                plaintext: $crate::backend::Plaintext<'_, '_>,
                state: &mut $crate::backend::AlertState,
            ) -> std::task::Poll<Result<$crate::backend::Received, $crate::backend::BackendError>> {
                $crate::backend::buffered::poll_receive(self, cx, plaintext, state)
            }

            fn poll_write(
                &mut self,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
                _: &mut $crate::backend::AlertState,
            ) -> std::task::Poll<std::io::Result<usize>> {
                $crate::backend::buffered::poll_write(self, cx, bufs)
            }

            fn poll_close_transport(
                &mut self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.gate_mut().poll_close(cx)
            }

            fn unread(&mut self) -> &[u8] {
                $crate::backend::buffered::unread(self)
            }

            fn consume(&mut self, bytes: usize) {
                $crate::backend::buffered::consume(self, bytes);
            }

            /// None of these libraries counts them.
            fn tickets(&mut self) -> u32 {
                0
            }

            fn is_resumed(&mut self) -> bool {
                $crate::backend::buffered::GatedStream::is_resumed(self)
            }

            fn role(&mut self) -> $crate::event::Role {
                $crate::backend::buffered::GatedStream::role(self)
            }

            fn is_tls_error(error: &std::io::Error) -> bool {
                <Self as $crate::backend::buffered::GatedStream>::is_tls_error(error)
            }
        }

        impl<$($generics)*> $crate::backend::OverTransport for $Stream {
            type Transport = <Self as $crate::backend::buffered::GatedStream>::Transport;

            fn transport(&self) -> &Self::Transport {
                self.gate().get_ref()
            }

            fn into_transport(mut self) -> Self::Transport {
                self.gate_mut().take()
            }
        }
    };
}

pub(super) use gated_backend;
