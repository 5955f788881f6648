//! The record of one connection: what is known of its end, and who is told.

use std::{fmt::Display, sync::Arc, task::Context};

use crate::{
    event::{Event, Observer, Role, SessionOutcome},
    foreign,
    state::PeerClose,
    tracker::{
        close_tracker::CloseTracker,
        observe::CloseSpan,
        registry::{Side, TrackerGuard},
        report::CloseReport,
        stats::CloseOutcome,
    },
};

#[cfg(all(test, not(shuttle)))]
mod tests;

/// What is known of the end of one connection, from its handshake on.
///
/// Owned by the owner of the connection, and dropped with it. Its methods fall into three kinds:
/// `set_session_guard` and `track` say who is told; `poll_aborted` and `abort` are how a tracker
/// ends the connection; `on_...` say what has happened, in the order in which it has. An `on_...`
/// method may be called again with what is known already.
///
/// Sessions are told of a failure at once, because another connection may be about to use them; of
/// a close when nothing can undo it any longer; of the rest on drop. The tracker, tracing and
/// metrics are told once, on drop.
#[derive(Debug)]
pub(crate) struct CloseRecord {
    role: Role,
    sessions: Option<Arc<dyn Observer>>,
    tracked: Option<TrackerGuard>,
    span: CloseSpan,
    resumed: bool,
    /// A call that closes was made.
    closing: bool,
    /// Our `close_notify` was sent, or counts as sent.
    local_closed: bool,
    /// The transport has taken all of our `close_notify`: what the peer sends may be its answer.
    alert_left: bool,
    peer: Option<PeerClose>,
    /// `peer` was set when `local_closed` or `alert_left` was.
    peer_after_local: bool,
    failed: bool,
    aborted: bool,
    discarded: u64,
    /// What the sessions were told.
    reported: Option<SessionOutcome>,
}

impl CloseRecord {
    /// Creates a new record. The span that is current now is that of the connection, unless
    /// [`on_established`](Self::on_established) is called in another one.
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            sessions: None,
            tracked: None,
            span: CloseSpan::of_connection(),
            resumed: false,
            closing: false,
            local_closed: false,
            alert_left: false,
            peer: None,
            peer_after_local: false,
            failed: false,
            aborted: false,
            discarded: 0,
            reported: None,
        }
    }

    /// Sets who keeps the sessions of the connection.
    pub(crate) fn set_session_guard(&mut self, guard: Arc<dyn Observer>) {
        self.sessions = Some(guard);
    }

    /// Counts the connection as one of `tracker`'s, and no longer as another's: for that one it
    /// ends here.
    pub(crate) fn track(&mut self, tracker: &CloseTracker) {
        let is_with = |tracked: &TrackerGuard| tracked.is_with(tracker.registry());
        if self.tracked.as_ref().is_some_and(is_with) {
            return;
        }
        let before = self.leave();
        let tracked = tracker.register();
        if tracked.wants_report() {
            self.span.observe_connection();
        }
        self.tracked = Some(tracked);
        if let Some(before) = before {
            // Tasks that wait for the stream are to register with its new tracker.
            before.wake();
        }
    }

    /// Returns `true` if the tracker has aborted the connection, for a poll that does not block.
    #[inline]
    pub(crate) fn is_aborted(&self) -> bool {
        self.tracked.as_ref().is_some_and(TrackerGuard::is_aborted)
    }

    /// Returns `true` if the tracker has aborted the connection; if not, the caller is woken when
    /// it does.
    ///
    /// Of each side the newest waker counts. One that is about to return `Pending` calls it, also
    /// for a poll in which the transport was not asked.
    pub(crate) fn poll_aborted(&mut self, cx: &Context<'_>, side: Side) -> bool {
        let tracked = self.tracked.as_ref();
        tracked.is_some_and(|tracked| tracked.poll_aborted(cx, side))
    }

    /// The connection gives way to its tracker. Returns `true` the first time, when our
    /// `close_notify` is still to be tried.
    pub(crate) fn abort(&mut self) -> bool {
        !std::mem::replace(&mut self.aborted, true)
    }

    /// The handshake has finished. The span that is current now is that of the connection.
    pub(crate) fn on_established(&mut self, resumed: bool) {
        self.resumed = resumed;
        self.span.on_span_known();
        if let (Some(sessions), true) = (&self.sessions, resumed) {
            sessions.on_event(Event::Resumed);
        }
    }

    /// A step of a close begins.
    pub(crate) fn on_close_started(&mut self) {
        self.closing = true;
        self.span.start();
    }

    /// The transport has taken all of our `close_notify`. It may not be flushed.
    pub(crate) fn on_alert_left(&mut self) {
        self.alert_left = true;
    }

    /// Our `close_notify` was sent, or counts as sent.
    pub(crate) fn on_local_closed(&mut self) {
        self.local_closed = true;
        self.report_if_final();
    }

    /// The peer has ended its side, or is no longer waited for.
    ///
    /// Call it as soon as it is known, and before [`on_local_closed`](Self::on_local_closed) if
    /// that came later: the order is what tells who closed first.
    pub(crate) fn on_peer_closed(&mut self, how: PeerClose) {
        // A `close_notify` is authenticated and nothing follows it, so a reset afterwards changes
        // nothing. Everything else may be followed by more.
        if self.peer != Some(how) && self.peer != Some(PeerClose::CloseNotify) {
            self.peer = Some(how);
            self.peer_after_local = self.local_closed || self.alert_left;
        }
        self.report_if_final();
    }

    /// A step of a close has discarded this much application data.
    pub(crate) fn on_discarded(&mut self, bytes: u64) {
        self.discarded = self.discarded.saturating_add(bytes);
    }

    /// A call that closes, or a part of it, has ended.
    ///
    /// The error is only remembered as text: one that ends the TLS session is also told to
    /// [`on_tls_failed`](Self::on_tls_failed).
    pub(crate) fn on_close_finished(&mut self, error: Option<&dyn Display>) {
        self.span.stop();
        if let Some(error) = error {
            self.span.record_error(error);
        }
    }

    /// The TLS session has failed: a bad record, a fatal alert.
    pub(crate) fn on_tls_failed(&mut self, error: &dyn Display) {
        self.span.record_error(error);
        self.failed = true;
        self.report(SessionOutcome::Failed);
    }

    /// The transport has failed on our side, which is not an end of the peer. Only remembered as
    /// the text of the error.
    pub(crate) fn on_io_failed(&mut self, error: &dyn Display) {
        self.span.record_error(error);
    }

    /// Nothing that may still arrive undoes a close once both sides have ended.
    fn report_if_final(&mut self) {
        if self.local_closed && self.peer.is_some() && !self.failed {
            self.report(SessionOutcome::Closed);
        }
    }

    fn report(&mut self, outcome: SessionOutcome) {
        if self.reported == Some(outcome) {
            return;
        }
        self.reported = Some(outcome);
        if let Some(sessions) = &self.sessions {
            sessions.on_event(Event::Ended(outcome));
        }
    }

    fn outcome(&self) -> CloseOutcome {
        match self.peer {
            _ if self.aborted => CloseOutcome::Aborted,
            _ if self.failed => CloseOutcome::Failed,
            // The peer has closed in order, or not at all, so how we did decides.
            Some(PeerClose::CloseNotify) | None if !self.local_closed => match self.closing {
                true => CloseOutcome::Failed,
                false => CloseOutcome::Dropped,
            },
            peer => CloseOutcome::of_peer(peer, self.peer_after_local),
        }
    }

    /// Tells the tracker that the connection has ended, as far as it has, and returns its place.
    fn leave(&mut self) -> Option<TrackerGuard> {
        let tracked = self.tracked.take()?;
        let report = CloseReport {
            role: self.role,
            outcome: self.outcome(),
            discarded: self.discarded,
            duration: self.span.took(),
            error: self.span.error().map(str::to_owned),
            resumed: self.resumed,
            peer_closed_first: self.peer == Some(PeerClose::CloseNotify) && !self.peer_after_local,
        };
        foreign::call(|| self.span.in_scope(|| tracked.call_back(&report)));
        tracked.leave(&report);
        Some(tracked)
    }
}

impl Drop for CloseRecord {
    fn drop(&mut self) {
        if self.reported.is_none() {
            self.report(match self.local_closed {
                true => SessionOutcome::Closed,
                false => SessionOutcome::Dropped,
            });
        }
        foreign::call(|| self.span.emit(self.role, self.outcome(), self.discarded));
        // Last: a task that waits for the tracker may end the process, and all else is done by then.
        drop(self.leave());
    }
}
