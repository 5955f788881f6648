//! The close itself: what was sent and seen goes in, what to do next comes out.
//!
//! No I/O, no clock and no rustls, so that every sequence of events can be tried.

use crate::outcome::{PeerClose, ShutdownState};

#[cfg(test)]
mod tests;

/// Reads between two yields to the runtime: some hundred kilobytes, so that
/// timers and other tasks run when the peer floods a transport that never blocks.
const READS_PER_POLL: u8 = 32;

/// How far a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    /// Ours is sent.
    Notify,
    /// Ours is sent and theirs has come.
    Bidirectional,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Want {
    /// Queue our close_notify, once the handshake is finished.
    Queue,
    /// Write at most this many bytes of the queue; the last of them ends our close_notify.
    Write(usize),
    /// Flush the transport.
    Flush,
    /// Read and process what one read of the transport gives.
    Read,
    /// Return `Pending`: the transport wakes us.
    Wait,
    /// Return `Pending` and be polled again soon.
    Yield,
    /// Nothing: this call has ended.
    Done(Done),
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Done {
    /// As far as its goal.
    Reached,
    /// The transport refused our close_notify.
    Undeliverable,
    /// The time ran out before our close_notify was sent.
    SendTimedOut,
}

/// Where our close_notify is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Ours {
    Unqueued,
    Queued,
    Unflushed,
    Sent,
    /// Not sent, but it counts as sent.
    Assumed,
    /// Writing failed.
    Undeliverable {
        peer_gone: bool,
    },
}

/// What outlives a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    ours: Ours,
    /// Bytes of the queue, our close_notify included, that are not written.
    left: usize,
    theirs: Option<PeerClose>,
}

impl Memory {
    pub(crate) const NEW: Self = Self {
        ours: Ours::Unqueued,
        left: 0,
        theirs: None,
    };

    /// Counts `state` as reached. An alert that is on its way is sent all the same.
    pub(crate) fn assume(&mut self, state: ShutdownState) {
        if state.contains(ShutdownState::SENT) && self.ours == Ours::Unqueued {
            self.ours = Ours::Assumed;
        }
        if state.contains(ShutdownState::RECEIVED) {
            self.theirs.get_or_insert(PeerClose::Assumed);
        }
    }

    /// The peer has ended its side.
    pub(crate) fn peer_closed(&mut self, how: PeerClose) {
        if self.theirs == Some(PeerClose::Assumed) && how == PeerClose::CloseNotify {
            self.theirs = None;
        }
        self.theirs.get_or_insert(how);
    }

    /// Nothing more may be written by the application.
    pub(crate) fn is_closing(&self) -> bool {
        self.ours != Ours::Unqueued
    }

    /// Our close_notify is queued and still has to be sent.
    pub(crate) fn is_sending(&self) -> bool {
        !matches!(self.ours, Ours::Unqueued | Ours::Sent | Ours::Assumed)
    }

    /// Our close_notify is out.
    pub(crate) fn has_sent_alert(&self) -> bool {
        self.ours == Ours::Sent
    }

    /// Our side is closed: our close_notify is out or counts as such, or the peer has said goodbye
    /// and left before it could be delivered.
    pub(crate) fn is_closed(&self) -> bool {
        match self.ours {
            Ours::Sent | Ours::Assumed => true,
            Ours::Undeliverable { peer_gone } => {
                peer_gone && self.theirs == Some(PeerClose::CloseNotify)
            }
            Ours::Unqueued | Ours::Queued | Ours::Unflushed => false,
        }
    }

    /// How the peer has ended its side, if it has.
    pub(crate) fn peer_close(&self) -> Option<PeerClose> {
        self.theirs
    }

    pub(crate) fn state(&self) -> ShutdownState {
        let sent = match self.ours {
            Ours::Sent | Ours::Assumed => ShutdownState::SENT,
            _ => ShutdownState::NONE,
        };
        match self.theirs {
            Some(PeerClose::CloseNotify | PeerClose::Assumed) => sent | ShutdownState::RECEIVED,
            _ => sent,
        }
    }
}

/// One close of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    memory: Memory,
    discarded: u64,
    discard_limit: u64,
    write_blocked: bool,
    read_blocked: bool,
    timed_out: bool,
    reads_left: u8,
}

impl Machine {
    pub(crate) const fn new(discard_limit: u64) -> Self {
        Self {
            memory: Memory::NEW,
            discarded: 0,
            discard_limit,
            write_blocked: false,
            read_blocked: false,
            timed_out: false,
            reads_left: READS_PER_POLL,
        }
    }

    pub(crate) const fn set_discard_limit(&mut self, bytes: u64) {
        self.discard_limit = bytes;
    }

    /// Decides what to do next.
    #[inline]
    pub(crate) fn want(&self, goal: Goal) -> Want {
        if let Some(done) = self.done(goal) {
            return Want::Done(done);
        }
        if !self.write_blocked {
            match self.memory.ours {
                Ours::Unqueued => return Want::Queue,
                Ours::Queued => return Want::Write(self.memory.left),
                Ours::Unflushed => return Want::Flush,
                Ours::Sent | Ours::Assumed | Ours::Undeliverable { .. } => {}
            }
        }
        // Also while our write is blocked: the peer may be waiting for us to read.
        if goal == Goal::Bidirectional && self.peer_close().is_none() && !self.read_blocked {
            return match self.reads_left {
                0 => Want::Yield,
                _ => Want::Read,
            };
        }
        Want::Wait
    }

    #[inline]
    fn done(&self, goal: Goal) -> Option<Done> {
        match self.memory.ours {
            Ours::Sent | Ours::Assumed if goal == Goal::Notify => Some(Done::Reached),
            Ours::Sent | Ours::Assumed => self.peer_close().map(|_| Done::Reached),
            // A peer that said goodbye and left has lost nothing.
            Ours::Undeliverable { peer_gone: true }
                if self.memory.theirs == Some(PeerClose::CloseNotify) =>
            {
                Some(Done::Reached)
            }
            // Its goodbye may still lie unread.
            Ours::Undeliverable { peer_gone: true }
                if goal == Goal::Bidirectional
                    && self.peer_close().is_none()
                    && !self.read_blocked =>
            {
                None
            }
            Ours::Undeliverable { .. } => Some(Done::Undeliverable),
            _ => None,
        }
    }

    /// A poll begins: what was blocked may be ready, what failed is tried again.
    #[inline]
    pub(crate) fn begin_poll(&mut self) {
        self.write_blocked = false;
        self.read_blocked = false;
        self.timed_out = false;
        self.reads_left = READS_PER_POLL;
        if let Ours::Undeliverable { .. } = self.memory.ours {
            self.queued(self.memory.left);
        }
    }

    /// The queue holds `bytes` bytes up to and including our close_notify.
    #[inline]
    pub(crate) fn queued(&mut self, bytes: usize) {
        self.memory.left = bytes;
        self.memory.ours = match bytes {
            0 => Ours::Unflushed,
            _ => Ours::Queued,
        };
    }

    /// The queue is only `bytes` bytes long: somebody else has written from it.
    #[inline]
    pub(crate) fn queue_is_at_most(&mut self, bytes: usize) {
        if self.memory.ours == Ours::Queued {
            self.queued(self.memory.left.min(bytes));
        }
    }

    pub(crate) fn wrote(&mut self, bytes: usize) {
        self.queued(self.memory.left.saturating_sub(bytes));
    }

    pub(crate) fn flushed(&mut self) {
        self.memory.ours = Ours::Sent;
    }

    pub(crate) fn write_blocked(&mut self) {
        self.write_blocked = true;
    }

    /// Writing or flushing failed, with `peer_gone` because nobody is there to read it.
    pub(crate) fn write_failed(&mut self, peer_gone: bool) {
        self.memory.ours = Ours::Undeliverable { peer_gone };
    }

    pub(crate) fn read(&mut self) {
        self.reads_left = self.reads_left.saturating_sub(1);
    }

    pub(crate) fn read_blocked(&mut self) {
        self.read_blocked = true;
    }

    /// The peer has ended its side.
    pub(crate) fn peer_closed(&mut self, how: PeerClose) {
        self.memory.peer_closed(how);
    }

    pub(crate) fn discarded(&mut self, bytes: usize) {
        self.discarded = self.discarded.saturating_add(bytes as u64);
    }

    /// The time has run out: nothing is waited for any longer.
    pub(crate) fn time_out(&mut self, goal: Goal) -> Done {
        self.timed_out = true;
        self.done(goal).unwrap_or(Done::SendTimedOut)
    }

    pub(crate) fn memory(&self) -> Memory {
        self.memory
    }

    /// Goes on where an earlier call was.
    pub(crate) fn recall(&mut self, memory: Memory) {
        self.memory = memory;
    }

    /// Tells whether the peer has sent anything since the poll began.
    pub(crate) fn has_read(&self) -> bool {
        self.reads_left < READS_PER_POLL
    }

    /// The transport has all of our close_notify: what the queue still holds lies behind it.
    pub(crate) fn is_written(&self) -> bool {
        matches!(self.memory.ours, Ours::Unflushed | Ours::Sent)
    }

    /// How the peer ended, if it did or if we no longer wait for it.
    #[inline]
    pub(crate) fn peer_close(&self) -> Option<PeerClose> {
        if self.discarded > self.discard_limit {
            return Some(PeerClose::DiscardLimit);
        }
        self.memory
            .theirs
            .or_else(|| self.timed_out.then_some(PeerClose::TimedOut))
    }

    pub(crate) fn bytes_discarded(&self) -> u64 {
        self.discarded
    }
}
