//! The account of one connection: what is known of its end, and who is told.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
};

use crate::{
    close::machine,
    close::progress::end_of_transport,
    error::ShutdownError,
    event::{Event, Observer, Role, SessionOutcome},
    handshake::HandshakeError,
    outcome::{Closed, PeerClose},
    stream::record_aligned::NotTls,
    tracker::observe::Observation,
    tracker::{CloseTracker, Side, Tracked},
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
/// the rest when the account is dropped at the latest.
#[derive(Debug)]
pub struct Account {
    sessions: Option<Arc<dyn Observer>>,
    tracked: Option<Tracked>,
    closing: bool,
    sent: bool,
    peer: Option<PeerClose>,
    failed: bool,
    ended: bool,
    discarded: u64,
    told: Option<SessionOutcome>,
    role: Role,
    observation: Observation,
}

impl Account {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            sessions: None,
            tracked: None,
            closing: false,
            sent: false,
            peer: None,
            failed: false,
            ended: false,
            discarded: 0,
            told: None,
            role,
            observation: Observation::default(),
        }
    }

    /// Sets who keeps the sessions of the connection.
    pub(crate) fn keep(&mut self, sessions: Arc<dyn Observer>) {
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

    /// Tells whether the tracker has ended the connection; if not, the caller is woken when it
    /// does.
    pub(crate) fn poll_over(&mut self, cx: &Context<'_>, side: Side) -> bool {
        let tracked = self.tracked.as_ref();
        tracked.is_some_and(|tracked| tracked.poll_over(cx, side))
    }

    /// The tracker has ended the connection. Returns `true` the first time.
    pub(crate) fn end(&mut self) -> bool {
        !std::mem::replace(&mut self.ended, true)
    }

    /// The handshake is finished.
    pub(crate) fn established(&self, resumed: bool) {
        if let (Some(sessions), true) = (&self.sessions, resumed) {
            sessions.on_event(Event::Resumed);
        }
    }

    /// Our close_notify is out, or counts as such.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
        self.settle();
    }

    /// The peer has ended its side, or is no longer waited for.
    pub(crate) fn peer_closed(&mut self, how: PeerClose) {
        self.peer = Some(how);
        self.settle();
    }

    /// A bidirectional close has ended.
    pub(crate) fn closed(&mut self, closed: Closed) {
        self.observation.ends();
        self.peer_closed(closed.peer());
    }

    /// A step of a close has thrown away so much application data.
    pub(crate) fn discarded(&mut self, bytes: u64) {
        self.discarded = self.discarded.saturating_add(bytes);
    }

    /// A step of a close has come to this.
    pub(crate) fn close_polled(
        &mut self,
        poll: &Poll<Result<(), ShutdownError>>,
        memory: machine::Memory,
    ) {
        self.closing = true;
        self.observation.begins();
        if memory.is_closed() {
            self.sent();
        }
        if let Some(how) = memory.peer_close() {
            self.peer_closed(how);
        }
        match poll {
            Poll::Ready(Ok(())) => self.observation.ends(),
            Poll::Ready(Err(e)) => self.close_failed(e),
            Poll::Pending => {}
        }
    }

    /// A close has failed, or its time has run out.
    pub(crate) fn close_failed(&mut self, error: &ShutdownError) {
        self.observation.ends();
        self.observation.fails(error);
        match error {
            ShutdownError::Tls(_) => self.failed(),
            ShutdownError::Receive(e) if is_tls_failure(e) => self.failed(),
            _ => {}
        }
    }

    /// Reading or writing has failed.
    pub(crate) fn io_failed(&mut self, error: &io::Error) {
        if is_tls_failure(error) {
            self.observation.fails(error);
            self.failed();
        } else if let Some(how) = end_of_transport(error) {
            self.peer_closed(how);
        }
    }

    /// The connection has ended before it was one.
    pub(crate) fn handshake_failed(&mut self, error: &HandshakeError) {
        self.observation.fails(error);
        match error {
            HandshakeError::TimedOut => self.peer_closed(PeerClose::TimedOut),
            HandshakeError::Stopped => self.ended = true,
            HandshakeError::Tls(_) => self.failed(),
            HandshakeError::Io(e) => self.io_failed(e),
        }
    }

    /// The TLS session has failed.
    fn failed(&mut self) {
        self.failed = true;
        self.tell(SessionOutcome::Failed);
    }

    /// Nothing that can come any longer makes a close undone once both sides have ended.
    fn settle(&mut self) {
        if self.sent && self.peer.is_some() && !self.failed {
            self.tell(SessionOutcome::Closed);
        }
    }

    fn outcome(&self) -> Outcome {
        match self.peer {
            _ if self.ended => Outcome::Ended,
            _ if self.failed => Outcome::Failed,
            Some(PeerClose::CloseNotify) | None if !self.sent => match self.closing {
                true => Outcome::Failed,
                false => Outcome::Dropped,
            },
            Some(how) => Outcome::Peer(how),
            None => Outcome::Sent,
        }
    }

    fn tell(&mut self, end: SessionOutcome) {
        if self.told == Some(end) {
            return;
        }
        self.told = Some(end);
        if let Some(sessions) = &self.sessions {
            sessions.on_event(Event::Ended(end));
        }
    }
}

/// Tells whether it was TLS that has failed: tokio-rustls wraps rustls's error, this crate its own,
/// and a transport may have seen that it is none.
fn is_tls_failure(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| {
        let ours = inner.downcast_ref();
        inner.is::<rustls::Error>()
            || inner.is::<NotTls>()
            || matches!(ours, Some(ShutdownError::Tls(_)))
    })
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.told.is_none() {
            self.tell(match self.sent {
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
