//! The account of one connection: what is known of its end, and who is told.

use std::{fmt::Display, sync::Arc, task::Context};

use super::{CloseTracker, Side, Tracked, observe::Observation};
use crate::{
    event::{Event, Observer, Role, SessionOutcome},
    state::PeerClose,
};

/// How a connection has ended for those who count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As the peer has ended it.
    Peer(PeerClose),
    /// Ours was sent, and the peer's was not waited for.
    Sent,
    Failed,
    Dropped,
    /// By its tracker.
    Ended,
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
impl Outcome {
    /// As [`CloseStats`](crate::CloseStats) names it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Peer(PeerClose::CloseNotify) => "clean",
            Self::Peer(PeerClose::Eof) => "eof",
            Self::Peer(PeerClose::Reset) => "reset",
            Self::Peer(PeerClose::TimedOut) => "timed_out",
            Self::Peer(PeerClose::DiscardLimit) => "discard_limit",
            Self::Peer(PeerClose::Assumed) | Self::Sent => "sent",
            Self::Failed => "failed",
            Self::Dropped => "dropped",
            Self::Ended => "ended",
        }
    }
}

/// What is known of the end of one connection. Its sessions are told of a failure at once, and of
/// the rest when the record is dropped at the latest.
#[derive(Debug)]
pub(crate) struct CloseRecord {
    sessions: Option<Arc<dyn Observer>>,
    tracked: Option<Tracked>,
    closing: bool,
    sent: bool,
    peer: Option<PeerClose>,
    failed: bool,
    aborted: bool,
    discarded: u64,
    reported: Option<SessionOutcome>,
    role: Role,
    observation: Observation,
}

impl CloseRecord {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            sessions: None,
            tracked: None,
            closing: false,
            sent: false,
            peer: None,
            failed: false,
            aborted: false,
            discarded: 0,
            reported: None,
            role,
            observation: Observation::default(),
        }
    }

    pub(crate) fn set_session_guard(&mut self, sessions: Arc<dyn Observer>) {
        self.sessions = Some(sessions);
    }

    pub(crate) fn track(&mut self, tracker: &CloseTracker) {
        if self.tracked.as_ref().is_some_and(|t| t.is_with(tracker)) {
            return;
        }
        if let Some(before) = self.tracked.replace(tracker.track()) {
            before.leave(self.outcome(), self.discarded);
        }
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.tracked.as_ref().is_some_and(Tracked::is_aborted)
    }

    pub(crate) fn poll_aborted(&mut self, cx: &Context<'_>, side: Side) -> bool {
        let tracked = self.tracked.as_ref();
        tracked.is_some_and(|tracked| tracked.poll_over(cx, side))
    }

    pub(crate) fn abort(&mut self) -> bool {
        !std::mem::replace(&mut self.aborted, true)
    }

    pub(crate) fn on_established(&mut self, resumed: bool) {
        if let (Some(sessions), true) = (&self.sessions, resumed) {
            sessions.on_event(Event::Resumed);
        }
    }

    pub(crate) fn on_close_started(&mut self) {
        self.closing = true;
        self.observation.begins();
    }

    pub(crate) fn on_local_closed(&mut self) {
        self.sent = true;
        self.report_if_final();
    }

    pub(crate) fn on_peer_closed(&mut self, how: PeerClose) {
        self.peer = Some(how);
        self.report_if_final();
    }

    pub(crate) fn on_discarded(&mut self, bytes: u64) {
        self.discarded = self.discarded.saturating_add(bytes);
    }

    pub(crate) fn on_close_finished(&mut self, error: Option<&dyn Display>) {
        self.observation.ends();
        if let Some(error) = error {
            self.observation.fails(error);
        }
    }

    pub(crate) fn on_tls_failed(&mut self, error: &dyn Display) {
        self.observation.fails(error);
        self.failed = true;
        self.report(SessionOutcome::Failed);
    }

    pub(crate) fn on_io_failed(&mut self, error: &dyn Display) {
        self.observation.fails(error);
    }

    /// Nothing that can come any longer makes a close undone once both sides have ended.
    fn report_if_final(&mut self) {
        if self.sent && self.peer.is_some() && !self.failed {
            self.report(SessionOutcome::Closed);
        }
    }

    fn outcome(&self) -> Outcome {
        match self.peer {
            _ if self.aborted => Outcome::Ended,
            _ if self.failed => Outcome::Failed,
            Some(PeerClose::CloseNotify) | None if !self.sent => match self.closing {
                true => Outcome::Failed,
                false => Outcome::Dropped,
            },
            Some(how) => Outcome::Peer(how),
            None => Outcome::Sent,
        }
    }

    fn report(&mut self, end: SessionOutcome) {
        if self.reported == Some(end) {
            return;
        }
        self.reported = Some(end);
        if let Some(sessions) = &self.sessions {
            sessions.on_event(Event::Ended(end));
        }
    }
}

impl Drop for CloseRecord {
    fn drop(&mut self) {
        if self.reported.is_none() {
            self.report(match self.sent {
                true => SessionOutcome::Closed,
                false => SessionOutcome::Dropped,
            });
        }
        let outcome = self.outcome();
        if let Some(tracked) = &self.tracked {
            tracked.leave(outcome, self.discarded);
        }
        self.observation.tell(self.role, outcome, self.discarded);
    }
}
