//! What a close does next: results of sending and receiving go in, an action comes out.
//!
//! No I/O, no clock and no TLS library, so that every sequence of events can be tried. Of its
//! methods, `on_...` and `begin_...` take in what has happened, `next` and the getters only look.

use std::io::ErrorKind;

use super::exchange::{Exchange, Local, TURNS};
use crate::{
    backend::{Received, Status},
    state::PeerClose,
};

#[cfg(test)]
mod tests;

/// Reads between two yields to the runtime. A peer that floods a transport which never blocks must
/// not keep timers and other tasks from running: this is a quarter of tokio's budget for a task.
const READS_PER_POLL: u8 = if cfg!(test) { 3 } else { 32 };

/// How far a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Goal {
    /// Our `close_notify` is sent.
    Notify,
    /// The same. While that is blocked, application data are received and discarded.
    NotifyAndDiscard,
    /// Our `close_notify` is sent, and the peer has closed.
    Bidirectional,
    /// The peer has closed, or there is something to read. Nothing is sent.
    PeerClosed,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send our `close_notify`.
    Send,
    /// Receive one step, and leave application data to be read.
    ReceiveAndKeep,
    /// Receive one step, and discard application data.
    ReceiveAndDiscard,
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
    /// It has reached its goal.
    Reached,
    /// There is something to read.
    Readable,
    /// The transport has failed for our `close_notify`, with an error of this kind.
    Undeliverable(ErrorKind),
    /// The time ran out before our `close_notify` was sent.
    SendTimedOut,
}

/// One close of one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Machine {
    exchange: Exchange,
    discarded: u64,
    discard_limit: u64,
    // From here on, of the current poll.
    /// The time has run out: nothing is waited for.
    expired: bool,
    /// What has arrived can be received before our `close_notify` is sent.
    receives_first: bool,
    send_blocked: bool,
    receive_blocked: bool,
    /// The transport has failed for a read before our `close_notify` was sent.
    receive_failed: bool,
    /// The library receives no more before what there is was read.
    full: bool,
    /// There is something to read.
    readable: bool,
    reads_left: u8,
}

impl Machine {
    pub(crate) const fn new(discard_limit: u64) -> Self {
        Self {
            exchange: Exchange::NEW,
            discarded: 0,
            discard_limit,
            expired: false,
            receives_first: false,
            send_blocked: false,
            receive_blocked: false,
            receive_failed: false,
            full: false,
            readable: false,
            reads_left: READS_PER_POLL,
        }
    }

    pub(crate) const fn set_discard_limit(&mut self, bytes: u64) {
        self.discard_limit = bytes;
    }

    /// Decides what to do next.
    #[inline]
    pub(crate) fn next(&self, goal: Goal) -> Action {
        match goal {
            Goal::Notify => self.next_of_notify(Action::Wait, Action::ReceiveAndKeep),
            Goal::NotifyAndDiscard => {
                self.next_of_notify(self.discard_or_wait(), Action::ReceiveAndDiscard)
            }
            Goal::Bidirectional => self.next_of_bidirectional(),
            Goal::PeerClosed => self.next_of_peer_closed(),
        }
    }

    #[inline]
    fn next_of_notify(&self, blocked: Action, receive: Action) -> Action {
        match self.exchange.local {
            Local::Sent | Local::Assumed => Action::Done(Done::Reached),
            Local::Open => self.send_or(blocked),
            Local::Failed { kind, gone } => self.next_of_failed(kind, gone, receive),
        }
    }

    #[inline]
    fn next_of_bidirectional(&self) -> Action {
        match self.exchange.local {
            Local::Sent | Local::Assumed => match self.peer_close() {
                // What was received before it is discarded and counted too.
                Some(PeerClose::CloseNotify) if self.is_unread() => Action::ReceiveAndDiscard,
                Some(_) => Action::Done(Done::Reached),
                None => self.receive(Action::ReceiveAndDiscard),
            },
            Local::Open if self.is_receiving_first() => Action::ReceiveAndDiscard,
            Local::Open => self.send_or(self.discard_or_wait()),
            Local::Failed { kind, gone } => {
                self.next_of_failed(kind, gone, Action::ReceiveAndDiscard)
            }
        }
    }

    /// Returns `true` if what has arrived by now is received before our `close_notify` is sent: only
    /// so it is known whether the peer has closed first. Nothing is waited for.
    #[inline]
    pub(crate) fn is_receiving_first(&self) -> bool {
        self.receives_first && self.is_open() && !self.receive_failed && self.awaits_peer()
    }

    /// Returns `true` if the peer's side is neither closed nor given up, and can be received from.
    #[inline]
    fn awaits_peer(&self) -> bool {
        self.peer_close().is_none() && !self.receive_blocked && self.reads_left > 0
    }

    fn next_of_peer_closed(&self) -> Action {
        match self.exchange.peer {
            _ if self.readable => Action::Done(Done::Readable),
            Some(_) => Action::Done(Done::Reached),
            None => self.receive(Action::ReceiveAndKeep),
        }
    }

    #[inline]
    fn send_or(&self, blocked: Action) -> Action {
        match self.send_blocked {
            false => Action::Send,
            true if self.expired => Action::Done(Done::SendTimedOut),
            true => blocked,
        }
    }

    /// While our own write is blocked: the peer may be waiting for us to read.
    #[inline]
    fn discard_or_wait(&self) -> Action {
        match self.peer_close() {
            None => self.receive(Action::ReceiveAndDiscard),
            Some(_) => Action::Wait,
        }
    }

    #[inline]
    fn receive(&self, action: Action) -> Action {
        match self.reads_left {
            _ if self.receive_blocked => Action::Wait,
            0 => Action::Yield,
            _ => action,
        }
    }

    /// Returns `true` if there may be application data in front of the peer's `close_notify`.
    #[inline]
    fn is_unread(&self) -> bool {
        self.readable && !self.receive_blocked
    }

    /// A peer that has sent `close_notify` and left has lost nothing. If our write has failed
    /// because it has left, its `close_notify` is in the socket by now or never will be; only the
    /// reactor may not have looked yet.
    fn next_of_failed(&self, kind: ErrorKind, gone: bool, receive: Action) -> Action {
        let discards = receive == Action::ReceiveAndDiscard;
        match self.peer_close() {
            Some(PeerClose::CloseNotify) if discards && self.is_unread() => receive,
            _ if self.exchange.has_received() => Action::Done(Done::Reached),
            None if gone && !self.full && !self.receive_blocked => self.receive(receive),
            None if gone && !self.full && self.exchange.turns_left > 0 => Action::Yield,
            _ => Action::Done(Done::Undeliverable(kind)),
        }
    }

    /// A poll begins: what was blocked may be ready. If the time has `expired`, it is the last.
    #[inline]
    pub(crate) fn begin_poll(&mut self, expired: bool) {
        self.expired = expired;
        self.receives_first = false;
        self.send_blocked = false;
        self.receive_blocked = false;
        self.receive_failed = false;
        self.full = false;
        self.readable = false;
        self.reads_left = READS_PER_POLL;
    }

    /// The session says where it stands. A plain stream does not `remember` what an earlier call has
    /// sent.
    #[inline]
    pub(crate) fn on_status(&mut self, status: Status, remembers: bool) {
        if status.peer_closed {
            self.exchange.on_peer_closed(PeerClose::CloseNotify);
        }
        self.receives_first = remembers && status.established;
        self.readable = status.readable;
    }

    #[inline]
    pub(crate) fn on_sent(&mut self) {
        self.exchange.on_sent();
    }

    /// Another call has made or sent our `close_notify`, of which nothing else is known.
    pub(crate) fn on_made_before(&mut self) {
        self.exchange.on_made_before();
    }

    /// The transport has taken all of our `close_notify`, and has not flushed it yet.
    #[inline]
    pub(crate) fn on_alert_left(&mut self) {
        self.exchange.on_alert_left();
    }

    pub(crate) fn on_send_blocked(&mut self) {
        self.send_blocked = true;
    }

    /// Sending has failed, with `gone` because the peer is gone.
    pub(crate) fn on_send_failed(&mut self, kind: ErrorKind, gone: bool) {
        self.exchange.local = Local::Failed { kind, gone };
    }

    /// A step has left application data to be read.
    pub(crate) fn on_kept(&mut self, received: Received) {
        match received {
            Received::Data(_) => self.readable = true,
            Received::Full => (self.full, self.readable) = (true, true),
            received => self.on_other(received),
        }
        self.reads_left = self.reads_left.saturating_sub(1);
    }

    /// A step has discarded application data.
    #[inline]
    pub(crate) fn on_discarded(&mut self, received: Received) {
        match received {
            Received::Data(bytes) => self.discarded = self.discarded.saturating_add(bytes as u64),
            received => {
                self.readable = false;
                self.on_other(received);
            }
        }
        self.reads_left = self.reads_left.saturating_sub(1);
    }

    #[inline]
    fn on_other(&mut self, received: Received) {
        match received {
            Received::CloseNotify => self.exchange.on_peer_closed(PeerClose::CloseNotify),
            Received::Eof => self.exchange.on_peer_closed(PeerClose::Eof),
            Received::Reset(_) => self.exchange.on_peer_closed(PeerClose::Reset),
            Received::Data(_) | Received::Other | Received::Full => {}
        }
    }

    pub(crate) fn on_receive_blocked(&mut self) {
        self.receive_blocked = true;
    }

    /// The transport has failed for a read, and not because the peer is gone. Returns `true` if our
    /// `close_notify` is sent first: the peer may be waiting for it.
    pub(crate) fn on_receive_failed(&mut self) -> bool {
        let sends = self.is_open() && !self.receive_failed;
        self.receive_failed |= sends;
        sends
    }

    /// The call gives way to the runtime.
    pub(crate) fn on_yield(&mut self) {
        if self.receive_blocked {
            self.exchange.turns_left = self.exchange.turns_left.saturating_sub(1);
        }
    }

    /// The call ends without having sent our `close_notify`: the next one tries again.
    pub(crate) fn on_undeliverable(&mut self) {
        self.exchange.local = Local::Open;
        self.exchange.turns_left = TURNS;
    }

    /// Returns `true` if our side of the connection is open and nothing has blocked or failed.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        self.exchange.local == Local::Open && !self.send_blocked
    }

    /// Returns `true` if our side is closed, and the peer's is neither closed nor given up.
    #[inline]
    pub(crate) fn waits_only_for_peer(&self) -> bool {
        matches!(self.exchange.local, Local::Sent | Local::Assumed) && self.awaits_peer()
    }

    /// Returns `true` if receiving has blocked since the poll began.
    #[inline]
    pub(crate) fn is_receive_blocked(&self) -> bool {
        self.receive_blocked
    }

    /// Returns `true` if sending has failed, and only the reactor is waited for: it may find the
    /// peer's `close_notify` in the socket.
    pub(crate) fn awaits_reactor(&self) -> bool {
        matches!(self.exchange.local, Local::Failed { .. }) && self.receive_blocked
    }

    /// Returns how often the reactor is still waited for.
    pub(crate) fn turns_left(&self) -> u8 {
        self.exchange.turns_left
    }

    /// Returns `true` if anything was received since the poll began.
    pub(crate) fn has_received_any(&self) -> bool {
        self.reads_left < READS_PER_POLL
    }

    pub(crate) fn exchange(&self) -> Exchange {
        self.exchange
    }

    /// Continues where an earlier call was.
    #[inline]
    pub(crate) fn set_exchange(&mut self, exchange: Exchange) {
        self.exchange = exchange;
    }

    /// Returns how the peer closed, if it did or if we no longer wait for it.
    #[inline]
    pub(crate) fn peer_close(&self) -> Option<PeerClose> {
        if self.discarded > self.discard_limit {
            return Some(PeerClose::DiscardLimit);
        }
        (self.exchange.peer).or_else(|| self.expired.then_some(PeerClose::TimedOut))
    }

    /// Returns `true` if the peer's `close_notify` was received before ours had left.
    pub(crate) fn peer_closed_first(&self) -> bool {
        self.exchange.peer_closed_first()
    }

    pub(crate) fn bytes_discarded(&self) -> u64 {
        self.discarded
    }
}
