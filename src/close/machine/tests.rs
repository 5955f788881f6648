//! Every sequence of events that a transport, a peer, a clock and a caller can produce.

use std::{collections::HashSet, io::ErrorKind};

use super::{Action, Done, Exchange, Goal, Local, Machine, READS_PER_POLL, TURNS};
use crate::{
    backend::{Received, Status},
    state::{PeerClose, ShutdownState},
};

const DISCARD_LIMIT: u64 = 1;
const KIND: ErrorKind = ErrorKind::BrokenPipe;

const GOALS: [Goal; 4] = [
    Goal::Notify,
    Goal::NotifyAndDiscard,
    Goal::Bidirectional,
    Goal::PeerClosed,
];

/// What has really happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct World {
    sent: bool,
    /// The transport has taken all of ours, flushed or not.
    alert_left: bool,
    /// What the caller has said to count as reached.
    assumed_sent: bool,
    assumed_received: bool,
    /// The peer's `close_notify` was processed, by us or by the application's own reading.
    peer_closed: bool,
    /// The peer's side has ended without it.
    peer_ended: bool,
    /// Before ours had left.
    peer_first: bool,
    /// Application data are decrypted and unread.
    unread: bool,
    handshaking: bool,
    remembers: bool,
    discarded: u64,
    // Since the poll began.
    expired: bool,
    steps: usize,
    send_failed: bool,
    send_blocked: bool,
    receive_blocked: bool,
    receive_failed: bool,
    has_received: bool,
}

impl World {
    fn is_sent(&self) -> bool {
        self.sent || self.assumed_sent
    }

    fn status(&self) -> Status {
        Status {
            established: !self.handshaking,
            peer_closed: self.peer_closed,
            readable: self.unread,
        }
    }

    fn on_close_notify(&mut self) {
        self.peer_first |= !self.peer_closed && !self.peer_ended && !self.alert_left;
        self.peer_closed |= !self.peer_ended;
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Node {
    machine: Machine,
    world: World,
    goal: Goal,
}

impl Node {
    /// The same node after something else.
    fn then(&self, event: impl FnOnce(&mut Machine, &mut World)) -> Self {
        let mut next = self.clone();
        next.world.steps += 1;
        event(&mut next.machine, &mut next.world);
        next
    }

    /// All polls that can follow: of this call, or of another after it was dropped or has ended.
    fn polls(&self, next: &mut Vec<Self>) {
        for goal in GOALS {
            for expired in [false, true] {
                let mut poll = self.then(|m, w| {
                    m.begin_poll(expired);
                    w.expired = expired;
                    w.steps = 0;
                    w.send_failed = false;
                    w.send_blocked = false;
                    w.receive_blocked = false;
                    w.receive_failed = false;
                    w.has_received = false;
                });
                poll.goal = goal;
                // The session may say that the application's reading has found close_notify, or has
                // left something to be read.
                for (closed, unread, handshaking, remembers) in [
                    (false, false, false, true),
                    (false, true, false, true),
                    (true, false, false, true),
                    (true, true, false, true),
                    (false, false, true, true),
                    (false, false, false, false),
                    (false, true, false, false),
                ] {
                    if poll.world.peer_closed && !closed || poll.world.peer_ended && unread {
                        continue;
                    }
                    next.push(poll.then(|m, w| {
                        if closed && !w.peer_ended {
                            w.on_close_notify();
                        }
                        w.unread = unread;
                        w.handshaking = handshaking;
                        w.remembers = remembers;
                        m.on_status(w.status(), w.remembers);
                    }));
                }
            }
        }
        for state in [ShutdownState::SENT, ShutdownState::RECEIVED] {
            next.push(self.then(|m, w| {
                let mut exchange = m.exchange();
                exchange.assume(state);
                w.assumed_sent |= exchange.local == Local::Assumed;
                w.assumed_received |= state == ShutdownState::RECEIVED;
                m.set_exchange(exchange);
                m.begin_poll(false);
                w.steps = 0;
                w.send_failed = false;
                w.send_blocked = false;
                w.receive_blocked = false;
                w.receive_failed = false;
                w.has_received = false;
                w.expired = false;
                m.on_status(w.status(), w.remembers);
            }));
        }
    }

    /// What a step of receiving can come to.
    fn receives(&self, keeps: bool, next: &mut Vec<Self>) {
        let receive = |m: &mut Machine, w: &mut World, received| {
            w.has_received = true;
            match keeps {
                true => m.on_kept(received),
                false => m.on_discarded(received),
            }
        };
        let is_unread = self.world.unread && !keeps;
        if is_unread {
            // What is there comes first.
            next.push(self.then(|m, w| {
                w.unread = false;
                w.discarded += 1;
                receive(m, w, Received::Data(1));
            }));
            return;
        }
        if self.world.peer_closed {
            next.push(self.then(|m, w| receive(m, w, Received::CloseNotify)));
            return;
        }
        next.push(self.then(|m, w| {
            m.on_receive_blocked();
            w.receive_blocked = true;
        }));
        if !keeps {
            let mut failed = self.clone();
            failed.world.steps += 1;
            failed.world.receive_failed = true;
            if failed.machine.on_receive_failed() {
                assert!(
                    !self.world.is_sent() && !self.world.send_blocked && !self.world.send_failed
                );
                next.push(failed);
            } else {
                // The call ends with the error.
                failed.polls(next);
            }
        }
        next.push(self.then(|m, w| receive(m, w, Received::Other)));
        next.push(self.then(|m, w| {
            match keeps {
                true => w.unread = true,
                false => w.discarded += 1,
            }
            receive(m, w, Received::Data(1));
        }));
        if keeps && self.world.unread {
            next.push(self.then(|m, w| receive(m, w, Received::Full)));
        }
        next.push(self.then(|m, w| {
            w.on_close_notify();
            receive(m, w, Received::CloseNotify);
        }));
        for end in [Received::Eof, Received::Reset(ErrorKind::ConnectionReset)] {
            next.push(self.then(|m, w| {
                w.peer_ended = true;
                receive(m, w, end);
            }));
        }
    }

    /// Checks this node and returns what can follow.
    fn next(&self) -> Vec<Self> {
        let Self {
            machine,
            world,
            goal,
        } = self;
        let mut next = Vec::new();
        assert!(
            world.steps <= usize::from(READS_PER_POLL) + 6,
            "a poll that does not end: {self:?}"
        );
        self.check_state();
        let action = machine.next(*goal);
        match action {
            Action::Send => {
                assert!(!world.is_sent(), "a second alert: {self:?}");
                assert!(
                    !world.send_blocked && !world.send_failed,
                    "sends again in the same poll: {self:?}"
                );
                assert_ne!(*goal, Goal::PeerClosed, "sends: {self:?}");
                assert!(
                    *goal != Goal::Bidirectional
                        || world.receive_blocked
                        || world.receive_failed
                        || world.handshaking
                        || !world.remembers
                        || machine.peer_close().is_some()
                        || machine.reads_left == 0,
                    "sends before it has received what had arrived: {self:?}"
                );
                next.push(self.then(|m, w| {
                    m.on_sent();
                    w.sent = true;
                    w.alert_left = true;
                }));
                next.push(self.then(|m, w| {
                    m.on_send_blocked();
                    w.send_blocked = true;
                }));
                next.push(self.then(|m, w| {
                    m.on_send_blocked();
                    m.on_alert_left();
                    w.send_blocked = true;
                    w.alert_left = true;
                }));
                for gone in [false, true] {
                    next.push(self.then(|m, w| {
                        m.on_send_failed(KIND, gone);
                        w.send_failed = true;
                    }));
                }
            }
            Action::ReceiveAndKeep => {
                self.check_receive();
                assert!(
                    matches!(goal, Goal::Notify | Goal::PeerClosed),
                    "leaves data in a close that discards: {self:?}"
                );
                let failed = matches!(machine.exchange.local, Local::Failed { .. });
                assert!(
                    *goal != Goal::Notify || failed,
                    "one direction reads: {self:?}"
                );
                self.receives(true, &mut next);
            }
            Action::ReceiveAndDiscard => {
                self.check_receive();
                assert!(
                    matches!(goal, Goal::NotifyAndDiscard | Goal::Bidirectional),
                    "discards: {self:?}"
                );
                self.receives(false, &mut next);
            }
            Action::Wait => {
                assert!(
                    world.send_blocked || world.receive_blocked,
                    "nothing wakes us: {self:?}"
                );
                let discards = matches!(goal, Goal::NotifyAndDiscard | Goal::Bidirectional);
                assert!(
                    !discards || machine.peer_close().is_some() || world.receive_blocked,
                    "does not read while its write is blocked: {self:?}"
                );
                let is_last = world.expired && *goal != Goal::PeerClosed;
                assert!(!is_last, "waits although the time has run out: {self:?}");
                self.polls(&mut next);
            }
            Action::Yield => {
                assert!(
                    world.has_received || machine.awaits_reactor(),
                    "gives way for nothing: {self:?}"
                );
                assert!(
                    !machine.awaits_reactor() || machine.exchange.turns_left > 0,
                    "gives way for ever: {self:?}"
                );
                let before = machine.exchange.turns_left;
                let yielded = self.then(|m, _| m.on_yield());
                if world.receive_blocked {
                    assert!(yielded.machine.exchange.turns_left < before, "{self:?}");
                }
                yielded.polls(&mut next);
            }
            Action::Done(done) => {
                self.check_done(done);
                let ended = self.then(|m, _| {
                    if done == Done::Undeliverable(KIND) {
                        m.on_undeliverable();
                    }
                });
                ended.polls(&mut next);
            }
        }
        next
    }

    fn check_state(&self) {
        let Self { machine, world, .. } = self;
        let state = machine.exchange().state();
        assert_eq!(
            state.contains(ShutdownState::SENT),
            world.is_sent(),
            "{self:?}"
        );
        if state.contains(ShutdownState::RECEIVED) {
            assert!(world.peer_closed || world.assumed_received, "{self:?}");
        }
        if machine.peer_close() == Some(PeerClose::CloseNotify) {
            assert!(
                world.peer_closed && world.discarded <= DISCARD_LIMIT,
                "clean without close_notify: {self:?}"
            );
            assert_eq!(machine.peer_closed_first(), world.peer_first, "{self:?}");
        }
        assert_eq!(machine.exchange().has_sent(), world.sent, "{self:?}");
    }

    fn check_receive(&self) {
        assert!(!self.world.receive_blocked, "reads while blocked: {self:?}");
        assert!(
            self.machine.readable || !self.world.peer_closed,
            "reads after the end: {self:?}"
        );
    }

    fn check_done(&self, done: Done) {
        let Self {
            machine,
            world,
            goal,
        } = self;
        match (done, goal) {
            (Done::Reached, Goal::PeerClosed) => {
                assert!(machine.exchange().peer().is_some(), "{self:?}");
                assert!(!world.unread, "closed before everything was read: {self:?}");
            }
            (Done::Readable, goal) => {
                assert_eq!(*goal, Goal::PeerClosed);
                assert!(world.unread, "{self:?}");
            }
            (_, Goal::PeerClosed) => panic!("{done:?}: {self:?}"),
            (Done::Reached, _) => assert!(
                world.is_sent() || is_failed(machine) && world.peer_closed,
                "reached without an alert: {self:?}"
            ),
            (Done::Undeliverable(_), _) => {
                assert!(!world.is_sent() && is_failed(machine), "{self:?}");
                assert!(
                    !world.peer_closed,
                    "the peer's close_notify does not count: {self:?}"
                );
            }
            (Done::SendTimedOut, _) => {
                assert!(!world.is_sent() && world.expired, "{self:?}");
                assert!(world.send_blocked, "not even tried: {self:?}");
            }
        }
        if done == Done::Reached && *goal == Goal::Bidirectional {
            assert!(machine.peer_close().is_some(), "{self:?}");
            let is_clean = machine.peer_close() == Some(PeerClose::CloseNotify);
            assert!(
                !is_clean || !world.unread,
                "what is unread is not counted: {self:?}"
            );
        }
        if done == Done::Reached && !world.expired {
            let mut again = machine.clone();
            again.begin_poll(false);
            again.on_status(world.status(), world.remembers);
            assert_eq!(
                again.next(*goal),
                Action::Done(done),
                "another answer: {self:?}"
            );
            assert_eq!(again.peer_close(), machine.peer_close(), "another answer");
        }
    }
}

fn is_failed(machine: &Machine) -> bool {
    matches!(machine.exchange.local, Local::Failed { .. })
}

#[test]
fn every_sequence_of_events_keeps_the_rules() {
    let mut seen = HashSet::new();
    let mut open = Vec::new();
    Node {
        machine: Machine::new(DISCARD_LIMIT),
        world: World::default(),
        goal: Goal::Notify,
    }
    .polls(&mut open);
    let mut ends = HashSet::new();
    while let Some(node) = open.pop() {
        if !seen.insert(node.clone()) {
            continue;
        }
        match node.machine.next(node.goal) {
            Action::Done(Done::Reached) => {
                ends.insert(format!("{:?} {:?}", node.goal, node.machine.peer_close()));
            }
            Action::Done(done) => {
                ends.insert(format!("{:?} {done:?}", node.goal));
            }
            Action::Yield => {
                ends.insert("Yield".to_owned());
            }
            _ => {}
        }
        open.extend(node.next());
    }
    for how in [
        "Bidirectional Some(CloseNotify)",
        "Bidirectional Some(Eof)",
        "Bidirectional Some(Reset)",
        "Bidirectional Some(TimedOut)",
        "Bidirectional Some(DiscardLimit)",
        "Bidirectional Some(Assumed)",
        "Bidirectional Undeliverable(BrokenPipe)",
        "Bidirectional SendTimedOut",
        "Notify None",
        "Notify Undeliverable(BrokenPipe)",
        "Notify SendTimedOut",
        "NotifyAndDiscard None",
        "NotifyAndDiscard Undeliverable(BrokenPipe)",
        "PeerClosed Some(CloseNotify)",
        "PeerClosed Readable",
        "Yield",
    ] {
        assert!(ends.contains(how), "{how} was never reached: {ends:?}");
    }
    println!("{} situations", seen.len());
    assert!(seen.len() > 5_000, "only {} situations", seen.len());
}

/// How often a poll that must not wait for anything gives way, with a transport that stays silent.
#[test]
fn g12_a_transport_that_stays_silent_is_given_up_after_a_bounded_number_of_turns() {
    for goal in [Goal::Notify, Goal::NotifyAndDiscard, Goal::Bidirectional] {
        let mut exchange = Exchange::NEW;
        let mut polls = 0;
        let done = 'close: loop {
            // The call is dropped and repeated all the time.
            let mut machine = Machine::new(DISCARD_LIMIT);
            machine.set_exchange(exchange);
            machine.begin_poll(false);
            machine.on_status(World::default().status(), true);
            polls += 1;
            loop {
                match machine.next(goal) {
                    Action::Send => machine.on_send_failed(KIND, true),
                    Action::ReceiveAndKeep | Action::ReceiveAndDiscard => {
                        machine.on_receive_blocked();
                    }
                    Action::Yield => {
                        machine.on_yield();
                        exchange = machine.exchange();
                        break;
                    }
                    Action::Wait => panic!("waits for what does not come"),
                    Action::Done(done) => break 'close done,
                }
            }
        };
        assert_eq!(done, Done::Undeliverable(KIND), "{goal:?}");
        assert_eq!(polls, usize::from(TURNS) + 1, "{goal:?}");
    }
}

#[test]
fn what_was_assumed_gives_way_to_close_notify_and_what_was_seen_to_nothing() {
    let ends = [
        PeerClose::CloseNotify,
        PeerClose::Eof,
        PeerClose::Reset,
        PeerClose::Assumed,
    ];
    for first in ends {
        for second in ends {
            let mut exchange = Exchange::NEW;
            exchange.on_peer_closed(first);
            exchange.on_peer_closed(second);
            let expected = match (first, second) {
                (PeerClose::Assumed, PeerClose::CloseNotify) => second,
                _ => first,
            };
            assert_eq!(exchange.peer(), Some(expected), "{first:?}, {second:?}");
        }
    }
}
