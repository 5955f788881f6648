//! One poll of a close: asks the machine, does it with the session.

use std::{
    io, mem,
    task::{Context, Poll},
};

use crate::{
    backend::rustls::{ReadError, Session, Status},
    close::machine::{self, Done, Goal, Machine, Want},
    error::ShutdownError,
    outcome::{Closed, PeerClose, ShutdownState},
    stream::{framing::Framing, is_tls_failure},
    tracker::{CloseOutcome, Side, record::CloseRecord},
};

const DEFAULT_DISCARD_LIMIT: u64 = 16 * 1024 * 1024;

/// What a stream remembers of its close from one call to the next.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub(crate) close: machine::Memory,
    pub(crate) framing: Framing,
    /// Send nothing and wait for nobody: SSL_set_quiet_shutdown(3).
    pub(crate) quiet: bool,
    pub(crate) outcome: Option<Closed>,
}

impl Memory {
    pub(crate) const NEW: Self = Self {
        close: machine::Memory::NEW,
        framing: Framing::unknown(),
        quiet: false,
        outcome: None,
    };
}

/// How far the close of a connection has come, for those who poll it themselves.
///
/// A plain TLS stream has no place to note this. The futures bring their own; the poll twins of
/// [`ShutdownExt`] take it from their caller, who keeps one beside each stream and gives it to all
/// of them.
///
/// The discard limit is 16 MiB unless set. It knows no time: see [`ShutdownExt`] for how to bound
/// a twin.
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
    machine: Machine,
    framing: Framing,
    tickets_before: Option<u32>,
    /// How many of the discarded bytes are in the account.
    accounted: u64,
    /// Nobody has touched the stream since the last poll.
    untouched: bool,
    failure: Option<io::Error>,
}

impl Default for CloseProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl CloseProgress {
    /// Makes the progress of a close that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            machine: Machine::new(DEFAULT_DISCARD_LIMIT),
            framing: Framing::unknown(),
            tickets_before: None,
            accounted: 0,
            untouched: false,
            failure: None,
        }
    }

    /// Sets how many bytes of application data a bidirectional close throws away before it gives
    /// up with [`PeerClose::DiscardLimit`].
    #[must_use]
    pub const fn discard_limit(mut self, bytes: u64) -> Self {
        self.set_discard_limit(bytes);
        self
    }

    pub(crate) const fn set_discard_limit(&mut self, bytes: u64) {
        self.machine.set_discard_limit(bytes);
    }

    /// Returns which alerts have been exchanged, as far as the last poll has seen.
    #[must_use]
    pub fn state(&self) -> ShutdownState {
        self.machine.memory().state()
    }

    /// Returns how a bidirectional close has ended.
    pub(crate) fn closed<S: Session>(&self, stream: &mut S) -> Closed {
        let closed = Closed {
            peer: self.machine.peer_close().unwrap_or(PeerClose::TimedOut),
            discarded: self.machine.bytes_discarded(),
            // A quiet shutdown has waited for none.
            tickets: (self.tickets_before).map_or(0, |n| stream.tickets().saturating_sub(n)),
        };
        if let Some(memory) = stream.memory() {
            memory.outcome = Some(closed);
        }
        if let Some(account) = stream.account() {
            account.on_close_finished(None);
            account.on_peer_closed(closed.peer());
        }
        closed
    }

    /// Returns what a call has come to, for those who count.
    pub(crate) fn outcome(&self, failed: bool) -> CloseOutcome {
        match failed {
            true => CloseOutcome::Failed,
            false => {
                CloseOutcome::of_peer(self.machine.peer_close(), self.machine.memory().is_closed())
            }
        }
    }

    pub(crate) fn bytes_discarded(&self) -> u64 {
        self.machine.bytes_discarded()
    }

    /// Tells whether the peer has sent anything during the last poll.
    pub(crate) fn has_read(&self) -> bool {
        self.machine.has_read()
    }

    /// Promises that nobody touches the stream before the next poll.
    pub(crate) fn set_untouched(&mut self) {
        // Before that it is the handshake that reads.
        self.untouched = self.machine.memory().is_closing();
    }

    /// Ends a call whose time has run out.
    pub(crate) fn time_out(&mut self, goal: Goal) -> Result<(), ShutdownError> {
        let done = self.machine.time_out(goal);
        self.end(done)
    }

    fn end(&mut self, done: Done) -> Result<(), ShutdownError> {
        match done {
            Done::Reached => Ok(()),
            Done::SendTimedOut => Err(ShutdownError::SendTimedOut),
            Done::Undeliverable => Err(ShutdownError::Send(
                (self.failure.take()).unwrap_or_else(|| io::ErrorKind::BrokenPipe.into()),
            )),
        }
    }

    fn write_failed(&mut self, error: io::Error) {
        self.machine.write_failed(is_gone(&error));
        self.failure = Some(error);
    }

    /// Takes in what the session says of itself.
    fn look<S: Session>(&mut self, stream: &mut S, goal: Goal, status: Status) {
        self.machine.queue_is_at_most(status.queued);
        if status.peer_closed {
            self.machine.peer_closed(PeerClose::CloseNotify);
        }
        if goal == Goal::Bidirectional {
            let discarded = stream.discard_plaintext();
            self.machine.discarded(discarded.bytes);
            if discarded.at_eof {
                self.machine.peer_closed(PeerClose::Eof);
            }
        }
    }

    /// Goes on until `goal` is reached or the transport blocks. `last` is queued in front of our
    /// close_notify.
    pub(crate) fn poll<S: Session>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        goal: Goal,
        last: &[u8],
    ) -> Poll<Result<(), ShutdownError>> {
        if let Some(account) = stream.account() {
            account.on_close_started();
        }
        let poll = match self.recall(stream, last) {
            Ok(true) => Poll::Ready(Ok(())),
            Ok(false) => self.poll_recalled(cx, stream, goal, last),
            Err(e) => return Poll::Ready(Err(e)),
        };
        if self.machine.is_written() {
            // Not one byte after close_notify, whatever was queued behind it, and by what failed.
            stream.discard_queue();
        }
        let aborted = |account: &mut CloseRecord| account.poll_aborted(cx, Side::Write);
        let poll = match poll {
            // Whoever tracks the stream waits no longer.
            Poll::Pending if stream.account().is_some_and(aborted) => {
                Poll::Ready(self.time_out(goal))
            }
            poll => poll,
        };
        if let Some(memory) = stream.memory() {
            memory.close = self.machine.memory();
            memory.framing = self.framing;
        }
        if let Some(account) = stream.account() {
            let discarded = self.machine.bytes_discarded();
            account.on_discarded(discarded - mem::replace(&mut self.accounted, discarded));
            let memory = self.machine.memory();
            if memory.is_closed() {
                account.on_local_closed();
            }
            if let Some(how) = memory.peer_close() {
                account.on_peer_closed(how);
            }
            match &poll {
                Poll::Ready(Ok(())) => account.on_close_finished(None),
                Poll::Ready(Err(e)) => record_close_failure(account, e),
                Poll::Pending => {}
            }
        }
        poll
    }

    /// Goes on where the stream is. Returns `true` if a quiet shutdown leaves nothing to do.
    fn recall<S: Session>(&mut self, stream: &mut S, last: &[u8]) -> Result<bool, ShutdownError> {
        let Some(memory) = stream.memory() else {
            if !self.untouched {
                // Where somebody else has read since, records begin elsewhere.
                self.framing = Framing::unknown();
            }
            return Ok(false);
        };
        if memory.quiet && !memory.close.is_closing() && !last.is_empty() {
            return Err(ShutdownError::Send(io::Error::new(
                io::ErrorKind::InvalidInput,
                "a quiet shutdown sends no last data",
            )));
        }
        if memory.quiet {
            memory.close.assume(ShutdownState::COMPLETE);
        }
        self.machine.recall(memory.close);
        self.framing = memory.framing;
        Ok(memory.quiet && memory.close.state() == ShutdownState::COMPLETE)
    }

    fn poll_recalled<S: Session>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
        goal: Goal,
        last: &[u8],
    ) -> Poll<Result<(), ShutdownError>> {
        self.tickets_before.get_or_insert_with(|| stream.tickets());
        self.machine.begin_poll();
        if !mem::take(&mut self.untouched) {
            let status = stream.status().map_err(ShutdownError::Tls)?;
            self.look(stream, goal, status);
            if let (Some(how), Some(account)) = (self.machine.peer_close(), stream.account()) {
                // Before ours can be sent: the record remembers who was first.
                account.on_peer_closed(how);
            }
        }
        loop {
            match self.machine.want(goal) {
                Want::Queue => match stream.poll_establish(cx, last) {
                    Poll::Pending => self.machine.write_blocked(),
                    Poll::Ready(Err(e)) => return Poll::Ready(Err(establish_error(e))),
                    Poll::Ready(Ok(())) if stream.is_handshaking() => {
                        return Poll::Ready(Err(ShutdownError::Handshaking));
                    }
                    Poll::Ready(Ok(())) => {
                        let end = stream.queue_close_notify(last);
                        self.machine.queued(end.map_err(ShutdownError::Tls)?);
                    }
                },
                Want::Write(limit) => {
                    let poll = stream.poll_write(cx, limit);
                    if let Poll::Ready(Ok(n)) = poll {
                        self.machine.wrote(n);
                    }
                    // Now, because reading may queue more behind our close_notify.
                    let queued = stream.queued().map_err(ShutdownError::Tls)?;
                    self.machine.queue_is_at_most(queued);
                    match poll {
                        Poll::Pending => self.machine.write_blocked(),
                        Poll::Ready(Ok(0)) => self.write_failed(io::ErrorKind::WriteZero.into()),
                        Poll::Ready(Ok(_)) => {}
                        Poll::Ready(Err(e)) => self.write_failed(e),
                    }
                }
                Want::Flush => match stream.poll_flush(cx) {
                    Poll::Pending => self.machine.write_blocked(),
                    Poll::Ready(Ok(())) => self.machine.flushed(),
                    Poll::Ready(Err(e)) => self.write_failed(e),
                },
                Want::Read => match stream.poll_read(cx, &mut self.framing) {
                    Poll::Pending => self.machine.read_blocked(),
                    Poll::Ready(Ok(status)) => {
                        self.machine.read();
                        self.look(stream, goal, status);
                    }
                    Poll::Ready(Err(ReadError::Tls(e))) => {
                        return Poll::Ready(Err(ShutdownError::Tls(e)));
                    }
                    Poll::Ready(Err(ReadError::Transport(e))) => match end_of_transport(&e) {
                        Some(how) => self.machine.peer_closed(how),
                        None => return Poll::Ready(Err(ShutdownError::Receive(e))),
                    },
                },
                Want::Wait => return Poll::Pending,
                Want::Yield => {
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Want::Done(done) => return Poll::Ready(self.end(done)),
            }
        }
    }
}

/// Tells the record of a close that has failed what it means for the connection.
pub(crate) fn record_close_failure(record: &mut CloseRecord, error: &ShutdownError) {
    record.on_close_finished(Some(error));
    match error {
        ShutdownError::Tls(_) => record.on_tls_failed(error),
        ShutdownError::Receive(e) if is_tls_failure(e) => record.on_tls_failed(error),
        _ => {}
    }
}

/// Tells whether a transport has failed because nobody is at its other end.
fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

/// Tells how the peer has ended a transport that cannot be read, or `None` if it is our own
/// trouble.
pub(crate) fn end_of_transport(error: &io::Error) -> Option<PeerClose> {
    match error.kind() {
        // A transport that is TLS itself says it this way.
        io::ErrorKind::UnexpectedEof => Some(PeerClose::Eof),
        _ => is_gone(error).then_some(PeerClose::Reset),
    }
}

/// tokio-rustls wraps what ends the handshake.
fn establish_error(error: io::Error) -> ShutdownError {
    match error.get_ref().and_then(|e| e.downcast_ref()) {
        Some(e) => ShutdownError::Tls(rustls::Error::clone(e)),
        None => ShutdownError::Send(error),
    }
}
