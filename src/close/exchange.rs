//! Which alerts were exchanged on one connection, from one call to the next.

use std::io::ErrorKind;

use crate::state::{PeerClose, ShutdownState};

/// How often a close gives way for the reactor to look at the socket, once our write has failed.
/// tokio looks at least every 61 turns of a worker.
pub(super) const TURNS: u8 = if cfg!(test) { 2 } else { 128 };

/// Our side of the connection.
///
/// ```text
///        on_sent             assume
/// Sent <───────── Open ──────────────> Assumed
///                 │  ^
///  on_send_failed v  │ the call ends with an error
///                Failed ──> stays, if the peer's close_notify is there
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Local {
    Open,
    Sent,
    /// Not sent, but it counts as sent.
    Assumed,
    /// Sending has failed with an error of this kind, with `gone` because the peer is gone.
    Failed {
        kind: ErrorKind,
        gone: bool,
    },
}

/// Which alerts were exchanged: what outlives a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Exchange {
    pub(super) local: Local,
    pub(super) peer: Option<PeerClose>,
    /// The peer's side had ended before our alert had left.
    pub(super) peer_first: bool,
    /// The transport has taken all of our alert: what the peer sends may be its answer.
    pub(super) alert_left: bool,
    /// How often the reactor is still waited for. Not in the call, which may be dropped and
    /// repeated for ever.
    pub(super) turns_left: u8,
}

impl Exchange {
    pub(crate) const NEW: Self = Self {
        local: Local::Open,
        peer: None,
        peer_first: false,
        alert_left: false,
        turns_left: TURNS,
    };

    /// Counts `state` as reached.
    pub(crate) fn assume(&mut self, state: ShutdownState) {
        if state.contains(ShutdownState::SENT) && self.local == Local::Open {
            self.local = Local::Assumed;
        }
        if state.contains(ShutdownState::RECEIVED) {
            self.peer.get_or_insert(PeerClose::Assumed);
        }
    }

    /// The peer has closed its side. What it did first counts, but a `close_notify` that arrives
    /// takes the place of one that was assumed.
    pub(crate) fn on_peer_closed(&mut self, how: PeerClose) {
        let is_proof = self.peer == Some(PeerClose::Assumed) && how == PeerClose::CloseNotify;
        if self.peer.is_none() || is_proof {
            self.peer = Some(how);
            self.peer_first = !self.alert_left;
        }
    }

    /// Another call has made or sent our `close_notify`: it may have left, and who was first is not known.
    pub(super) fn on_made_before(&mut self) {
        self.peer_first = false;
        self.alert_left = true;
    }

    /// The transport has taken all of our `close_notify`.
    #[inline]
    pub(crate) fn on_alert_left(&mut self) {
        self.alert_left = true;
    }

    /// Our `close_notify` is flushed.
    #[inline]
    pub(super) fn on_sent(&mut self) {
        self.local = Local::Sent;
        self.alert_left = true;
    }

    /// Returns `true` if what the peer sends may be its answer to our `close_notify`.
    pub(crate) fn has_alert_left(&self) -> bool {
        self.alert_left
    }

    /// Returns `true` unless our side is closed or its close has failed.
    pub(crate) fn is_open(&self) -> bool {
        self.local == Local::Open
    }

    /// Returns `true` if our `close_notify` was really sent.
    pub(crate) fn has_sent(&self) -> bool {
        self.local == Local::Sent
    }

    /// Returns `true` if the peer's `close_notify` was really received.
    pub(crate) fn has_received(&self) -> bool {
        self.peer == Some(PeerClose::CloseNotify)
    }

    /// Returns `true` if our side is closed: our `close_notify` was sent or counts as sent, or the
    /// peer had closed and left before it could be delivered.
    pub(crate) fn is_local_closed(&self) -> bool {
        match self.local {
            Local::Sent | Local::Assumed => true,
            Local::Failed { .. } => self.has_received(),
            Local::Open => false,
        }
    }

    /// Returns how the peer has closed its side, if it has.
    pub(crate) fn peer(&self) -> Option<PeerClose> {
        self.peer
    }

    /// Returns `true` if the peer's `close_notify` was received before ours had left.
    pub(crate) fn peer_closed_first(&self) -> bool {
        self.peer_first && self.has_received()
    }

    /// The same, however its side has ended.
    pub(crate) fn peer_ended_first(&self) -> bool {
        self.peer_first
    }

    /// Returns which alerts were exchanged, as SSL_get_shutdown(3).
    pub(crate) fn state(&self) -> ShutdownState {
        let sent = match self.local {
            Local::Sent | Local::Assumed => ShutdownState::SENT,
            Local::Open | Local::Failed { .. } => ShutdownState::NONE,
        };
        match self.peer {
            Some(PeerClose::CloseNotify | PeerClose::Assumed) => sent | ShutdownState::RECEIVED,
            _ => sent,
        }
    }
}
