//! Every sequence of events that a transport, a peer, a clock and a caller can produce.

use std::collections::HashSet;

use super::{Done, Goal, Machine, Memory, READS_PER_POLL, Want};
use crate::outcome::{PeerClose, ShutdownState};

/// As long as an alert needs to be for a write in its middle.
const ALERT: usize = 2;
const DISCARD_LIMIT: u64 = 1;

/// What has really happened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct World {
    queued: bool,
    /// Bytes of our alert on the wire.
    written: usize,
    flushed: bool,
    /// What the caller has said to count as reached.
    assumed_sent: bool,
    assumed_received: bool,
    /// The peer's close_notify was processed, by us or by the application's own reading.
    peer_closed: bool,
    /// The transport has said that nobody is there.
    peer_gone: bool,
    discarded: u64,
    /// Since the poll began.
    steps: usize,
    write_blocked: bool,
    read_blocked: bool,
}

impl World {
    fn is_sent(&self) -> bool {
        self.flushed || self.assumed_sent
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

    /// All polls that can follow: of this call or, after it was dropped, of another.
    fn polls(&self, next: &mut Vec<Self>) {
        for goal in [Goal::Notify, Goal::Bidirectional] {
            let mut poll = self.then(|m, w| {
                m.begin_poll();
                w.peer_gone = false;
                w.write_blocked = false;
                w.read_blocked = false;
                w.steps = 0;
            });
            poll.goal = goal;
            // The application has read the peer's close_notify, or flushed the stream.
            next.push(poll.then(|m, w| {
                m.peer_closed(PeerClose::CloseNotify);
                w.peer_closed |= m.memory.theirs == Some(PeerClose::CloseNotify);
            }));
            next.push(poll.then(|m, w| {
                m.memory.assume(ShutdownState::SENT);
                w.assumed_sent |= !w.queued;
            }));
            next.push(poll.then(|m, w| {
                m.memory.assume(ShutdownState::RECEIVED);
                w.assumed_received = true;
            }));
            if poll.world.queued {
                next.push(poll.then(|m, w| {
                    m.queue_is_at_most(0);
                    w.written = ALERT;
                }));
            }
            next.push(poll);
        }
    }

    fn write_fails(&self, next: &mut Vec<Self>) {
        next.push(self.then(|m, w| {
            m.write_blocked();
            w.write_blocked = true;
        }));
        for gone in [false, true] {
            next.push(self.then(|m, w| {
                m.write_failed(gone);
                w.peer_gone = gone;
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
            world.steps <= usize::from(READS_PER_POLL) + ALERT + 6,
            "a poll that does not end: {self:?}"
        );
        self.check_state();
        match machine.want(*goal) {
            Want::Queue => {
                assert!(
                    !world.queued && !world.assumed_sent,
                    "a second alert: {self:?}"
                );
                next.push(self.then(|m, w| {
                    m.queued(ALERT);
                    w.queued = true;
                }));
                next.push(self.then(|m, w| {
                    m.write_blocked();
                    w.write_blocked = true;
                }));
            }
            Want::Write(limit) => {
                assert!(!world.write_blocked, "a write while blocked: {self:?}");
                assert_eq!(world.written + limit, ALERT, "not our alert: {self:?}");
                for n in 1..=limit {
                    next.push(self.then(|m, w| {
                        m.wrote(n);
                        w.written += n;
                    }));
                }
                self.write_fails(&mut next);
            }
            Want::Flush => {
                assert!(!world.write_blocked, "a flush while blocked: {self:?}");
                assert_eq!(world.written, ALERT, "flushed too early: {self:?}");
                next.push(self.then(|m, w| {
                    m.flushed();
                    w.flushed = true;
                }));
                self.write_fails(&mut next);
            }
            Want::Read => {
                assert_eq!(*goal, Goal::Bidirectional, "one direction reads: {self:?}");
                assert!(!world.read_blocked, "a read while blocked: {self:?}");
                assert_eq!(machine.peer_close(), None, "a read after the end: {self:?}");
                next.push(self.then(|m, w| {
                    m.read_blocked();
                    w.read_blocked = true;
                }));
                next.push(self.then(|m, _| m.read()));
                next.push(self.then(|m, w| {
                    m.read();
                    m.discarded(1);
                    w.discarded += 1;
                }));
                for how in [PeerClose::CloseNotify, PeerClose::Eof, PeerClose::Reset] {
                    next.push(self.then(|m, w| {
                        m.read();
                        m.peer_closed(how);
                        w.peer_closed |= how == PeerClose::CloseNotify;
                    }));
                }
            }
            Want::Wait => {
                let reads = *goal == Goal::Bidirectional && machine.peer_close().is_none();
                assert!(
                    (world.is_sent() || world.write_blocked)
                        && (!reads || world.read_blocked)
                        && (world.write_blocked || reads),
                    "nobody wakes us: {self:?}"
                );
                self.check_time_out();
                self.polls(&mut next);
            }
            Want::Yield => {
                self.check_time_out();
                self.polls(&mut next);
            }
            Want::Done(done) => {
                self.check_done(done);
                self.polls(&mut next);
            }
        }
        next
    }

    fn check_state(&self) {
        let state = self.machine.memory.state();
        assert_eq!(
            state.contains(ShutdownState::SENT),
            self.world.is_sent(),
            "{self:?}"
        );
        if state.contains(ShutdownState::RECEIVED) {
            let assumed = self.world.assumed_received;
            assert!(self.world.peer_closed || assumed, "{self:?}");
        }
        if self.machine.peer_close() == Some(PeerClose::CloseNotify) {
            assert!(
                self.world.peer_closed && self.world.discarded <= DISCARD_LIMIT,
                "clean without close_notify: {self:?}"
            );
        }
    }

    fn check_done(&self, done: Done) {
        let Self {
            machine,
            world,
            goal,
        } = self;
        match done {
            Done::Reached => assert!(
                world.is_sent() || world.peer_gone && world.peer_closed,
                "reached without an alert: {self:?}"
            ),
            Done::Undeliverable => assert!(!world.is_sent(), "{self:?}"),
            Done::SendTimedOut => panic!("no clock has run out: {self:?}"),
        }
        if done == Done::Reached && *goal == Goal::Bidirectional {
            assert!(machine.peer_close().is_some(), "{self:?}");
        }
        if world.is_sent() {
            let mut again = machine.clone();
            again.begin_poll();
            assert_eq!(again.want(*goal), Want::Done(done), "another answer");
            assert_eq!(again.peer_close(), machine.peer_close(), "another answer");
        }
    }

    fn check_time_out(&self) {
        let mut machine = self.machine.clone();
        let done = machine.time_out(self.goal);
        match self.world.is_sent() {
            // A silent peer is an outcome, an alert that was never sent is an error.
            true => {
                assert_eq!(done, Done::Reached, "{self:?}");
                assert_eq!(machine.peer_close(), Some(PeerClose::TimedOut), "{self:?}");
            }
            false => assert_ne!(done, Done::Reached, "{self:?}"),
        }
        // Whoever calls again waits again.
        machine.begin_poll();
        assert_ne!(machine.peer_close(), Some(PeerClose::TimedOut));
    }
}

#[test]
fn every_sequence_of_events_keeps_the_rules() {
    let mut seen = HashSet::new();
    let mut open = Vec::new();
    for goal in [Goal::Notify, Goal::Bidirectional] {
        open.push(Node {
            machine: Machine::new(DISCARD_LIMIT),
            world: World::default(),
            goal,
        });
    }
    let mut ended = [false; 6];
    while let Some(node) = open.pop() {
        if !seen.insert(node.clone()) {
            continue;
        }
        let reached = node.machine.want(node.goal) == Want::Done(Done::Reached);
        if reached && node.goal == Goal::Bidirectional {
            match node.machine.peer_close() {
                Some(PeerClose::CloseNotify) => ended[0] = true,
                Some(PeerClose::Eof) => ended[1] = true,
                Some(PeerClose::Reset) => ended[2] = true,
                Some(PeerClose::DiscardLimit) => ended[3] = true,
                Some(PeerClose::Assumed) => ended[4] = true,
                Some(PeerClose::TimedOut) | None => {}
            }
        }
        ended[5] |= node.machine.want(node.goal) == Want::Yield;
        open.extend(node.next());
    }
    assert_eq!(ended, [true; 6], "an end that was never reached");
    assert!(seen.len() > 5_000, "only {} situations", seen.len());
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
            let mut memory = Memory::NEW;
            memory.peer_closed(first);
            memory.peer_closed(second);
            let expected = match (first, second) {
                (PeerClose::Assumed, PeerClose::CloseNotify) => second,
                _ => first,
            };
            assert_eq!(memory.peer_close(), Some(expected), "{first:?}, {second:?}");
        }
    }
}
