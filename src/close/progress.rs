//! `CloseProgress`: one poll of a close. Asks the machine, and has the backend do it.

use std::{
    io, mem,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use super::{
    exchange::Exchange,
    machine::{Action, Done, Goal, Machine},
};
use crate::{
    backend::{AlertState, Backend, BackendError, Plaintext, is_gone},
    closed::Closed,
    error::ShutdownError,
    state::{PeerClose, ShutdownState},
};

/// The last turns of a close that waits for the reactor. The turns before them are one more than
/// tokio takes between two looks at its sockets.
const SLEEPING_TURNS: u8 = 64;

const DEFAULT_DISCARD_LIMIT: u64 = 16 * 1024 * 1024;

/// What is known of the close of one connection from one call to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseState {
    pub(crate) alert: AlertState,
    pub(crate) exchange: Exchange,
}

impl CloseState {
    pub(crate) const NEW: Self = Self {
        alert: AlertState {
            alert: crate::backend::Alert::Unqueued,
            last_queued: false,
            peer_closed: false,
            handshaking: false,
        },
        exchange: Exchange::NEW,
    };
}

/// State of a close in progress, for use with the `poll_` methods of [`ShutdownExt`].
///
/// A plain TLS stream cannot store it, so the caller keeps one beside each stream and passes it to
/// every call. The futures have one of their own.
///
/// The discard limit defaults to 16 MiB. There is no deadline: see [`ShutdownExt`] for how to bound
/// a `poll_` method.
///
/// [`ShutdownExt`]: crate::ShutdownExt
///
/// ```
/// use std::{io, pin::Pin, task::{Context, Poll, ready}};
/// use tokio::io::AsyncWrite;
/// use tokio_tls_shutdown::{CloseProgress, ShutdownExt, tokio_rustls::server::TlsStream};
///
/// struct Connection<IO> {
///     tls: TlsStream<IO>,
///     progress: CloseProgress,
/// }
///
/// impl<IO: tokio::io::AsyncRead + AsyncWrite + Unpin> Connection<IO> {
///     fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
///         ready!(self.tls.poll_close_notify(cx, &mut self.progress))?;
///         Pin::new(self.tls.get_mut().0).poll_shutdown(cx)
///     }
/// }
/// ```
#[derive(Debug)]
pub struct CloseProgress {
    call: Call,
    /// For a stream that cannot remember.
    state: CloseState,
}

impl Default for CloseProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl CloseProgress {
    /// Creates a new progress, of a close that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            call: Call {
                machine: Machine::new(DEFAULT_DISCARD_LIMIT),
                tickets_before: None,
                expires: false,
                yields: false,
                failure: None,
            },
            state: CloseState::NEW,
        }
    }

    /// Sets how many bytes of application data a bidirectional close discards before it gives up
    /// with [`PeerClose::DiscardLimit`]. Defaults to 16 MiB.
    #[must_use]
    pub const fn discard_limit(mut self, bytes: u64) -> Self {
        self.set_discard_limit(bytes);
        self
    }

    pub(crate) const fn set_discard_limit(&mut self, bytes: u64) {
        self.call.machine.set_discard_limit(bytes);
    }

    /// Returns which alerts were exchanged, as far as the last poll has seen.
    #[must_use]
    pub fn state(&self) -> ShutdownState {
        self.call.machine.exchange().state()
    }

    /// Returns how the peer has closed, or is no longer waited for.
    pub(crate) fn peer_close(&self) -> Option<PeerClose> {
        self.call.machine.peer_close()
    }

    /// Returns how a bidirectional close has ended.
    pub(crate) fn closed<B: Backend>(&self, backend: &mut B) -> Closed {
        let machine = &self.call.machine;
        let tickets_before = self.call.tickets_before;
        Closed {
            peer: machine.peer_close().unwrap_or(PeerClose::TimedOut),
            discarded: machine.bytes_discarded(),
            // A quiet shutdown has polled nothing.
            tickets: tickets_before.map_or(0, |n| backend.tickets().saturating_sub(n)),
            peer_first: machine.peer_closed_first(),
        }
    }

    pub(crate) fn bytes_discarded(&self) -> u64 {
        self.call.machine.bytes_discarded()
    }

    /// Returns `true` if the peer has sent anything during the last poll.
    pub(crate) fn has_received_any(&self) -> bool {
        self.call.machine.has_received_any()
    }

    /// Returns `true` if the last poll was `Pending` only to give way to the runtime.
    pub(crate) fn yields(&self) -> bool {
        self.call.yields
    }

    /// Returns `true` if our write has failed, and the reactor is given time to find what the peer
    /// had sent before.
    pub(crate) fn awaits_reactor(&self) -> bool {
        self.call.yields && self.call.machine.awaits_reactor()
    }

    /// The time has run out: the next poll is ready.
    pub(crate) fn expire(&mut self) {
        self.call.expires = true;
    }

    /// Polls a stream that cannot remember.
    #[inline]
    pub(crate) fn poll<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        goal: Goal,
    ) -> Poll<Result<Done, ShutdownError>> {
        self.call.poll(cx, backend, goal, &[], &mut self.state)
    }

    /// Polls a stream that remembers, with `last` application data in front of our `close_notify`.
    #[inline]
    pub(crate) fn poll_with<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        goal: Goal,
        last: &[u8],
        state: &mut CloseState,
    ) -> Poll<Result<Done, ShutdownError>> {
        self.call.poll(cx, backend, goal, last, state)
    }
}

/// What belongs to one call.
#[derive(Debug)]
struct Call {
    machine: Machine,
    tickets_before: Option<u32>,
    /// The next poll is the last.
    expires: bool,
    /// The last poll was `Pending` only to give way.
    yields: bool,
    /// Why sending has failed.
    failure: Option<io::Error>,
}

impl Call {
    #[inline]
    fn poll<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        goal: Goal,
        last: &[u8],
        state: &mut CloseState,
    ) -> Poll<Result<Done, ShutdownError>> {
        self.machine.set_exchange(state.exchange);
        let poll = self.poll_steps(cx, backend, goal, last, &mut state.alert);
        state.exchange = self.machine.exchange();
        poll
    }

    #[inline]
    fn poll_steps<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        goal: Goal,
        last: &[u8],
        alert: &mut AlertState,
    ) -> Poll<Result<Done, ShutdownError>> {
        self.yields = false;
        self.machine.begin_poll(mem::take(&mut self.expires));
        if goal == Goal::Bidirectional {
            self.tickets_before.get_or_insert_with(|| backend.tickets());
        }
        let status = backend.status(alert).map_err(send_error)?;
        self.machine.on_status(status.peer_closed, status.readable);
        loop {
            match self.machine.next(goal) {
                Action::Send => match backend.poll_send(cx, last, alert) {
                    Poll::Pending => self.machine.on_send_blocked(),
                    Poll::Ready(Ok(())) => self.machine.on_sent(),
                    Poll::Ready(Err(BackendError::Transport(e))) => {
                        self.machine.on_send_failed(is_gone(&e));
                        self.failure = Some(e);
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(send_error(e))),
                },
                Action::ReceiveAndKeep => match backend.poll_receive(cx, Plaintext::Keep, alert) {
                    Poll::Pending => self.machine.on_receive_blocked(),
                    Poll::Ready(Ok(received)) => self.machine.on_kept(received),
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(receive_error(e))),
                },
                Action::ReceiveAndDiscard => {
                    match backend.poll_receive(cx, Plaintext::Discard, alert) {
                        Poll::Pending => self.machine.on_receive_blocked(),
                        Poll::Ready(Ok(received)) => self.machine.on_discarded(received),
                        Poll::Ready(Err(e)) => return Poll::Ready(Err(receive_error(e))),
                    }
                }
                Action::Wait => return Poll::Pending,
                Action::Yield => {
                    self.machine.on_yield();
                    self.yields = true;
                    if self.machine.awaits_reactor() {
                        give_way(self.machine.turns_left());
                    }
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Action::Done(Done::Undeliverable) => {
                    self.machine.on_undeliverable();
                    let failure = self.failure.take();
                    return Poll::Ready(Err(ShutdownError::Send(
                        failure.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()),
                    )));
                }
                Action::Done(Done::SendTimedOut) => {
                    return Poll::Ready(Err(ShutdownError::SendTimedOut));
                }
                Action::Done(done) => return Poll::Ready(Ok(done)),
            }
        }
    }
}

/// Lets the reactor look at the socket.
///
/// Giving way to other tasks is enough where this worker has the reactor. Another worker may have
/// it, and wait for a processor itself: then its thread must be given way to. On a busy machine that
/// takes more than an empty run queue, so what is left of the turns is spent asleep, some
/// milliseconds altogether. A socket ends it as soon as the reactor has looked; only a transport that
/// fails writes and stays silent for reads comes to the end of it.
fn give_way(turns_left: u8) {
    match turns_left {
        ..SLEEPING_TURNS => thread::sleep(Duration::from_micros(50)),
        _ => thread::yield_now(),
    }
}

fn send_error(error: BackendError) -> ShutdownError {
    match error {
        BackendError::Handshaking => ShutdownError::Handshaking,
        BackendError::Transport(e) => ShutdownError::Send(e),
        BackendError::Tls(e) => ShutdownError::Tls(e),
    }
}

fn receive_error(error: BackendError) -> ShutdownError {
    match error {
        BackendError::Transport(e) => ShutdownError::Receive(e),
        error => send_error(error),
    }
}
