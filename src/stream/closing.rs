//! Closing a `GracefulStream`: what `ShutdownExt` does on it, and the record of that.

use std::{
    io,
    task::{Context, Poll, Waker},
};

use super::{
    GracefulStream,
    close_notify_with::CloseNotifyWith,
    handshake_tasks::Task,
    io::{aborted, write_after_close},
};
use crate::{
    backend::{Alert, AlertState, PlainStream},
    close::{
        exchange::Exchange,
        machine::{Done, Goal},
        progress::Progress,
    },
    closed::Closed,
    error::ShutdownError,
    shutdown_ext::{ShutdownExt, close_progress::CloseProgress, peer_status, sealed},
    state::{PeerStatus, ShutdownState},
    tracker::{Side, record::CloseRecord},
};

impl<S: PlainStream> GracefulStream<S> {
    /// Sends `data` and our `close_notify` behind it, in one write of the transport where it takes
    /// them.
    ///
    /// tokio-rustls writes to the transport within each write, so `write_all` and a close are two
    /// small writes. If the peer answers only after both, a TCP socket without `TCP_NODELAY` takes
    /// 41 ms for that (Nagle's algorithm and delayed acknowledgements); this takes one round trip,
    /// unless something that was written before is not acknowledged yet.
    /// [`shutdown_bidirectional`](ShutdownExt::shutdown_bidirectional) may follow.
    ///
    /// `data` is encrypted as a whole, so keep it to what fits into memory twice. Everything else is
    /// as for [`close_notify`](ShutdownExt::close_notify).
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. If the future is dropped, either all of `data` is queued or nothing of it; call
    /// again with the same data to continue.
    ///
    /// # Errors
    ///
    /// Those of [`close_notify`](ShutdownExt::close_notify); [`ShutdownError::Send`] of kind
    /// `BrokenPipe` if our `close_notify` was queued before without `data`; [`ShutdownError::Tls`] if the keys
    /// of a TLS 1.2 session are used up before all of `data` is encrypted. With
    /// [quiet shutdown](Self::set_quiet_shutdown), [`ShutdownError::Send`] of kind `InvalidInput`
    /// unless `data` is empty.
    ///
    /// ```
    /// # use tokio_tls_shutdown::{GracefulStream, ShutdownError, ShutdownExt};
    /// # use tokio_tls_shutdown::tokio_rustls::client::TlsStream;
    /// # async fn f(tls: TlsStream<tokio::net::TcpStream>) -> Result<(), ShutdownError> {
    /// let mut tls = GracefulStream::new(tls);
    /// tls.close_notify_with(b"QUIT\r\n").await?;
    /// tls.shutdown_bidirectional().await?.require_clean()?;
    /// # Ok(()) }
    /// ```
    pub fn close_notify_with<'a>(&'a mut self, data: &'a [u8]) -> CloseNotifyWith<'a, S> {
        CloseNotifyWith::new(self, data)
    }

    /// Polls for [`close_notify_with`](Self::close_notify_with), without a deadline. `data` must be
    /// the same until it returns `Ready`.
    ///
    /// # Errors
    ///
    /// Those of [`close_notify_with`](Self::close_notify_with).
    pub fn poll_close_notify_with(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>> {
        let poll = self.poll_close(cx, &mut progress.inner, Goal::Notify, data);
        poll.map_ok(|_| self.state.exchange.state())
    }

    /// Polls a close, and writes down what has happened.
    #[inline]
    pub(super) fn poll_close(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut Progress,
        goal: Goal,
        last: &[u8],
    ) -> Poll<Result<Done, ShutdownError>> {
        if self.closes_behind_handshake() {
            return self.poll_for_both(Task::Closer, cx, |this, cx| {
                this.poll_close_step(cx, progress, goal, last)
            });
        }
        let poll = self.poll_close_step(cx, progress, goal, last);
        if self.closes_behind_handshake() {
            self.on_handshake_poll(Task::Closer, poll.is_pending(), cx);
        }
        poll
    }

    // Else the copy for a handshake would keep it out of nearly every close.
    #[inline(always)]
    fn poll_close_step(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut Progress,
        goal: Goal,
        last: &[u8],
    ) -> Poll<Result<Done, ShutdownError>> {
        if self.quiet && goal != Goal::PeerClosed && self.state.alert.alert == Alert::Unqueued {
            if !last.is_empty() {
                return Poll::Ready(Err(ShutdownError::Send(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "quiet shutdown sends no last data",
                ))));
            }
            // Also if the session has failed: it always succeeds.
            self.state();
            self.assume(ShutdownState::COMPLETE);
            progress.set_exchange(self.state.exchange);
            return Poll::Ready(Ok(Done::Reached));
        }
        if !last.is_empty() && self.comes_too_late() {
            return Poll::Ready(Err(ShutdownError::Send(write_after_close())));
        }
        let Some(record) = self.extras.as_mut().and_then(|e| e.record.as_mut()) else {
            return progress.poll(cx, &mut *self.stream, goal, last, &mut self.state);
        };
        if goal != Goal::PeerClosed {
            record.on_close_started();
        }
        let discarded = progress.bytes_discarded();
        let mut poll = progress.poll(cx, &mut *self.stream, goal, last, &mut self.state);
        if poll.is_pending() && record.poll_aborted(cx, Side::Write) {
            if goal == Goal::PeerClosed {
                return Poll::Ready(Err(ShutdownError::Receive(aborted())));
            }
            progress.expire();
            poll = progress.poll(cx, &mut *self.stream, goal, last, &mut self.state);
        }
        record.on_discarded(progress.bytes_discarded() - discarded);
        record_exchange(record, &self.state.exchange);
        match &poll {
            Poll::Ready(Err(e)) => {
                let text = e.in_one_line();
                if e.is_tls_failure() {
                    record.on_tls_failed(&text);
                }
                record.on_close_finished(Some(&text));
            }
            Poll::Ready(Ok(_)) if goal != Goal::PeerClosed => record.on_close_finished(None),
            Poll::Ready(Ok(_)) | Poll::Pending => {}
        }
        poll
    }

    /// Returns `true` if last data of a close can no longer be sent, because our `close_notify` is
    /// queued or counts as sent. Those of an earlier call that were queued do not come too late.
    fn comes_too_late(&self) -> bool {
        let AlertState {
            alert, last_queued, ..
        } = self.state.alert;
        match alert {
            Alert::Unqueued => self.state.exchange.state().contains(ShutdownState::SENT),
            Alert::Waiting => false,
            Alert::Queued(_) | Alert::Unflushed | Alert::Sent => !last_queued,
        }
    }

    /// Returns how a bidirectional close has ended, and remembers it.
    pub(super) fn closed(&mut self, progress: &Progress) -> Closed {
        let closed = progress.closed(&mut *self.stream);
        self.outcome = Some(closed);
        if let Some(record) = self.record() {
            record.on_peer_closed(closed.peer());
        }
        closed
    }

    /// Tries to send our `close_notify` without waiting, for someone who is not waited for.
    pub(super) fn try_close(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        // Whatever it comes to: there is no one to tell.
        let _ = self.poll_close(&mut cx, &mut Progress::new(), Goal::Notify, &[]);
    }
}

/// Writes down who has closed, in the order in which they have.
fn record_exchange(record: &mut CloseRecord, exchange: &Exchange) {
    let peer = exchange.peer();
    if let Some(how) = peer.filter(|_| exchange.peer_ended_first()) {
        record.on_peer_closed(how);
    }
    if exchange.has_alert_left() {
        record.on_alert_left();
    }
    if exchange.is_local_closed() {
        record.on_local_closed();
    }
    if let Some(how) = peer {
        record.on_peer_closed(how);
    }
}

impl<S: PlainStream> sealed::Sealed for GracefulStream<S> {}

impl<S: PlainStream> ShutdownExt for GracefulStream<S> {
    #[inline]
    fn poll_close_notify(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>> {
        self.poll_close_notify_with(cx, &[], progress)
    }

    #[inline]
    fn poll_shutdown_bidirectional(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<Closed, ShutdownError>> {
        let poll = self.poll_close(cx, &mut progress.inner, Goal::Bidirectional, &[]);
        poll.map_ok(|_| self.closed(&progress.inner))
    }

    fn poll_peer_closed(
        &mut self,
        cx: &mut Context<'_>,
        progress: &mut CloseProgress,
    ) -> Poll<Result<PeerStatus, ShutdownError>> {
        let poll = self.poll_close(cx, &mut progress.inner, Goal::PeerClosed, &[]);
        poll.map_ok(|done| peer_status(done, &progress.inner))
    }

    fn received_close_notify(&mut self) -> bool {
        let status = self.stream.status(&self.state.alert);
        status.is_ok_and(|status| status.peer_closed)
    }
}
