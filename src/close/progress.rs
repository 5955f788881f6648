//! One poll of a close. Asks the machine, and has the backend do it.

use std::{
    io, mem,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use super::{
    close_state::CloseState,
    exchange::Exchange,
    machine::{Action, Done, Goal, Machine},
};
use crate::{
    backend::{Alert, AlertState, Backend, BackendError, Plaintext, Received, is_gone},
    closed::Closed,
    error::ShutdownError,
    state::PeerClose,
};

#[cfg(test)]
mod tests;

/// The last turns of a close that waits for the reactor. The turns before them are one more than
/// tokio takes between two looks at its sockets.
const SLEEPING_TURNS: u8 = 64;

const DEFAULT_DISCARD_LIMIT: u64 = 16 * 1024 * 1024;

/// Result of the fast path of a poll.
enum FirstSteps {
    /// The goal is reached.
    Reached,
    /// Only the peer is waited for.
    Waiting,
    /// The machine has to decide what comes next.
    Unclear,
}

/// How far one call has come.
#[derive(Debug)]
pub(crate) struct Progress {
    machine: Machine,
    tickets_before: Option<u32>,
    /// The next poll is the last.
    expires: bool,
    /// The last poll was `Pending` only to give way.
    yields: bool,
    /// Why sending has failed.
    failure: Option<io::Error>,
    /// Why receiving has failed, until our `close_notify` is sent.
    receive_failure: Option<io::Error>,
}

impl Progress {
    pub(crate) const fn new() -> Self {
        Self {
            machine: Machine::new(DEFAULT_DISCARD_LIMIT),
            tickets_before: None,
            expires: false,
            yields: false,
            failure: None,
            receive_failure: None,
        }
    }

    pub(crate) const fn set_discard_limit(&mut self, bytes: u64) {
        self.machine.set_discard_limit(bytes);
    }

    /// Returns what is known of the connection, as far as the last poll has seen.
    pub(crate) fn exchange(&self) -> Exchange {
        self.machine.exchange()
    }

    /// What is known of the connection without a poll.
    pub(crate) fn set_exchange(&mut self, exchange: Exchange) {
        self.machine.set_exchange(exchange);
    }

    /// Returns how the peer has closed, or is no longer waited for.
    pub(crate) fn peer_close(&self) -> Option<PeerClose> {
        self.machine.peer_close()
    }

    /// Returns how a bidirectional close has ended.
    pub(crate) fn closed<B: Backend>(&self, backend: &mut B) -> Closed {
        Closed {
            peer: self.machine.peer_close().unwrap_or(PeerClose::TimedOut),
            discarded: self.machine.bytes_discarded(),
            // A quiet shutdown has polled nothing.
            tickets: (self.tickets_before).map_or(0, |n| backend.tickets().saturating_sub(n)),
            peer_first: self.machine.peer_closed_first(),
        }
    }

    pub(crate) fn bytes_discarded(&self) -> u64 {
        self.machine.bytes_discarded()
    }

    /// Returns `true` if the peer has sent anything during the last poll.
    pub(crate) fn has_received_any(&self) -> bool {
        self.machine.has_received_any()
    }

    /// Returns `true` if the last poll was `Pending` only to give way to the runtime.
    pub(crate) fn yields(&self) -> bool {
        self.yields
    }

    /// Returns `true` if our write has failed, and the reactor is given time to find what the peer
    /// had sent before.
    pub(crate) fn awaits_reactor(&self) -> bool {
        self.yields && self.machine.awaits_reactor()
    }

    /// The time has run out: the next poll is ready.
    pub(crate) fn expire(&mut self) {
        self.expires = true;
    }

    /// Polls once, with `last` application data in front of our `close_notify`.
    #[inline]
    pub(crate) fn poll<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        goal: Goal,
        last: &[u8],
        state: &mut CloseState,
    ) -> Poll<Result<Done, ShutdownError>> {
        self.begin_poll(state);
        let poll = match self.first_steps(cx, backend, goal, last, &mut state.alert) {
            Ok(FirstSteps::Reached) => Poll::Ready(Ok(Done::Reached)),
            Ok(FirstSteps::Waiting) => Poll::Pending,
            Ok(FirstSteps::Unclear) => self.poll_steps(cx, backend, goal, last, &mut state.alert),
            Err(e) => Poll::Ready(Err(e)),
        };
        state.exchange = self.machine.exchange();
        poll
    }

    #[inline]
    fn begin_poll(&mut self, state: &CloseState) {
        self.yields = false;
        self.machine.begin_poll(mem::take(&mut self.expires));
        self.machine.set_exchange(state.exchange);
    }

    /// Looks where the session stands.
    #[inline]
    fn look<B: Backend>(
        &mut self,
        backend: &mut B,
        goal: Goal,
        alert: &AlertState,
    ) -> Result<(), ShutdownError> {
        if goal == Goal::Bidirectional && self.tickets_before.is_none() {
            self.tickets_before = Some(backend.tickets());
        }
        // Receiving looks by itself.
        if goal != Goal::Bidirectional || !self.machine.waits_only_for_peer() {
            let status = backend.status(alert).map_err(send_error)?;
            if alert.has_left() {
                self.machine.on_alert_left();
            }
            self.machine.on_status(status, alert.wrapped);
        }
        Ok(())
    }

    /// The fast path: the steps that nearly every close begins with, and all of one that meets no
    /// obstacle.
    ///
    /// It decides nothing by itself: what it takes for granted is what the machine says there.
    #[inline]
    fn first_steps<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        goal: Goal,
        last: &[u8],
        alert: &mut AlertState,
    ) -> Result<FirstSteps, ShutdownError> {
        self.look(backend, goal, alert)?;
        if goal == Goal::PeerClosed {
            return Ok(FirstSteps::Unclear);
        }
        let mut before = None;
        if goal == Goal::Bidirectional && self.machine.is_receiving_first() {
            debug_assert_eq!(self.machine.next(goal), Action::ReceiveAndDiscard);
            before = match self.discard(cx, backend, alert)? {
                received @ (Poll::Ready(Received::CloseNotify) | Poll::Pending) => Some(received),
                Poll::Ready(_) => return Ok(FirstSteps::Unclear),
            };
        }
        if self.machine.is_open() {
            debug_assert_eq!(self.machine.next(goal), Action::Send);
            if !self.send(cx, backend, last, alert)? {
                return Ok(FirstSteps::Unclear);
            }
            if goal != Goal::Bidirectional {
                debug_assert_eq!(self.machine.next(goal), Action::Done(Done::Reached));
                return Ok(FirstSteps::Reached);
            }
        }
        let received = match before {
            Some(received) => received,
            None if goal == Goal::Bidirectional && self.machine.waits_only_for_peer() => {
                debug_assert_eq!(self.machine.next(goal), Action::ReceiveAndDiscard);
                self.discard(cx, backend, alert)?
            }
            None => return Ok(FirstSteps::Unclear),
        };
        Ok(match received {
            Poll::Ready(Received::CloseNotify) => {
                debug_assert_eq!(self.machine.next(goal), Action::Done(Done::Reached));
                FirstSteps::Reached
            }
            Poll::Pending if self.machine.is_receive_blocked() => {
                debug_assert_eq!(self.machine.next(goal), Action::Wait);
                FirstSteps::Waiting
            }
            _ => FirstSteps::Unclear,
        })
    }

    /// Does what the machine says, until it has to wait or has ended.
    #[inline(never)]
    fn poll_steps<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        goal: Goal,
        last: &[u8],
        alert: &mut AlertState,
    ) -> Poll<Result<Done, ShutdownError>> {
        loop {
            match self.machine.next(goal) {
                Action::Send => {
                    let is_queued = !matches!(alert.alert, Alert::Unqueued | Alert::Waiting);
                    let is_closed = self.machine.exchange().has_received();
                    if self.machine.has_received_any() && !is_closed && !is_queued {
                        // The session may have failed behind what was received.
                        backend.status(alert).map_err(send_error)?;
                    }
                    self.send(cx, backend, last, alert)?;
                }
                Action::ReceiveAndKeep => match self.receive(cx, backend, Plaintext::Keep, alert) {
                    Poll::Pending => self.machine.on_receive_blocked(),
                    Poll::Ready(Ok(received)) => self.machine.on_kept(received),
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(receive_error(e))),
                },
                Action::ReceiveAndDiscard => {
                    let _ = self.discard(cx, backend, alert)?;
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
                Action::Done(Done::Undeliverable(kind)) => {
                    self.machine.on_undeliverable();
                    // Another call may have had the error itself, and was dropped.
                    let failure = self.failure.take().unwrap_or_else(|| kind.into());
                    return Poll::Ready(Err(ShutdownError::Send(failure)));
                }
                Action::Done(Done::SendTimedOut) => {
                    return Poll::Ready(Err(ShutdownError::SendTimedOut));
                }
                Action::Done(done) => return Poll::Ready(Ok(done)),
            }
        }
    }

    /// Receives one step, which may also write the rest of our alert.
    #[inline]
    fn receive<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        plaintext: Plaintext<'_, '_>,
        alert: &mut AlertState,
    ) -> Poll<Result<Received, BackendError>> {
        let poll = backend.poll_receive(cx, plaintext, alert);
        if alert.has_left() {
            self.machine.on_alert_left();
        }
        poll
    }

    /// Receives one step, discards application data, and tells the machine what came of it.
    #[inline]
    fn discard<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        alert: &mut AlertState,
    ) -> Result<Poll<Received>, ShutdownError> {
        if let Some(e) = self.receive_failure.take() {
            return Err(ShutdownError::Receive(e));
        }
        match self.receive(cx, backend, Plaintext::Discard, alert) {
            Poll::Ready(Ok(received)) => {
                self.machine.on_discarded(received);
                Ok(Poll::Ready(received))
            }
            Poll::Ready(Err(BackendError::Transport(e))) if self.machine.on_receive_failed() => {
                self.receive_failure = Some(e);
                Ok(Poll::Pending)
            }
            Poll::Ready(Err(e)) => Err(receive_error(e)),
            Poll::Pending => {
                self.machine.on_receive_blocked();
                Ok(Poll::Pending)
            }
        }
    }

    /// Sends, and tells the machine what came of it. Returns `true` if all is sent.
    #[inline]
    fn send<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        last: &[u8],
        alert: &mut AlertState,
    ) -> Result<bool, ShutdownError> {
        let poll = backend.poll_send(cx, last, alert);
        if alert.made_before {
            self.machine.on_made_before();
        }
        match poll {
            Poll::Ready(Ok(())) => {
                self.machine.on_sent();
                return Ok(true);
            }
            Poll::Pending => self.machine.on_send_blocked(),
            Poll::Ready(Err(BackendError::Transport(e))) => {
                self.machine.on_send_failed(e.kind(), is_gone(&e));
                self.failure = Some(e);
            }
            Poll::Ready(Err(e)) => return Err(send_error(e)),
        }
        Ok(false)
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
