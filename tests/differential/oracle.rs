//! The rules that hold for each stream by itself: what is true after each poll.

mod ended;

use super::{
    calls::{Came, Failed, Kind},
    facts::Facts,
    script::{Call, Deadline},
    transport::World,
};

/// What rustls holds of application data that nobody reads, at least.
const HELD: usize = 16 << 10;

/// How far a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// It is not a close.
    Write,
    Read,
    // What is a call of this crate on every stream.
    Notify,
    Both,
    PeerClosed,
    /// `shutdown()` with policy `Linger`.
    Linger,
}

pub struct Oracle {
    kind: Kind,
    goal: Goal,
    /// A close that sends has ended without its alert being sent.
    unfinished: bool,
    /// A read has failed: the next may return 0.
    read_has_failed: bool,
    /// Somebody waits for something to read, as far as a lingering stream knows.
    reader_waits: bool,
    /// Something was read since a lingering `shutdown()` began.
    was_read_since: bool,
    has_lingered: bool,
    hello_was_read: bool,
    /// A refusal to renegotiate may be queued.
    may_refuse: bool,
    // When the current call, and its current poll, began.
    taken: usize,
    behind: usize,
    discard_limit: bool,
    /// Its deadline is zero.
    zero: bool,
    /// What the one `CloseProgress` had counted.
    progress_discarded: usize,
    polls: usize,
    /// In which poll the last byte of our alert was taken, and in which it was flushed.
    alert_left_at: Option<usize>,
    alert_sent_at: Option<usize>,
    received_at: Option<usize>,
    call_began_at: usize,
    /// A close had begun before this call: last data may come too late.
    closes_again: bool,
    /// More is unread than rustls holds: a plain stream does not see what is behind it.
    is_hidden: bool,
    /// This call is `shutdown()`.
    is_shutdown: bool,
    /// What `shutdown()` has failed with: it says the same again.
    shutdown_failed: Option<Failed>,
    has_timed_out: bool,
}

fn ensure(holds: bool, what: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

impl Oracle {
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            goal: Goal::Read,
            unfinished: false,
            read_has_failed: false,
            reader_waits: false,
            was_read_since: false,
            has_lingered: false,
            hello_was_read: false,
            may_refuse: false,
            taken: 0,
            behind: 0,
            discard_limit: false,
            zero: false,
            progress_discarded: 0,
            polls: 0,
            alert_left_at: None,
            alert_sent_at: None,
            received_at: None,
            call_began_at: 0,
            closes_again: false,
            is_hidden: false,
            is_shutdown: false,
            shutdown_failed: None,
            has_timed_out: false,
        }
    }

    fn goal(&self, call: Call) -> Goal {
        match call {
            Call::Write { .. } | Call::Flush => Goal::Write,
            Call::Read(_) | Call::FillBuf(_) => Goal::Read,
            Call::CloseNotify(_) | Call::CloseNotifyWith(_) | Call::PollCloseNotify => Goal::Notify,
            Call::PeerClosed | Call::PollPeerClosed => Goal::PeerClosed,
            _ if self.kind == Kind::Linger => Goal::Linger,
            Call::Shutdown => Goal::Notify,
            Call::Bidirectional { .. } | Call::PollBidirectional => Goal::Both,
        }
    }

    /// In debug builds rustls's own assertion unwinds if a plain stream reads a bad record behind
    /// close_notify. Such a read is tokio-rustls's, which nothing here can mend.
    pub fn unwinds(&self, call: Call, facts: &Facts, world: &World) -> bool {
        cfg!(debug_assertions)
            && self.kind == Kind::Plain
            && self.goal(call) == Goal::Read
            && facts.close_begun
            && world.speech.fails_at.is_some()
    }

    pub fn begin(&mut self, call: Call, facts: &Facts, world: &World) {
        self.is_shutdown = self.goal(call) == Goal::Linger || call == Call::Shutdown;
        let unread = world
            .speech
            .data
            .saturating_sub(facts.read + facts.discarded);
        self.is_hidden |= self.kind == Kind::Plain && unread >= HELD;
        self.goal = self.goal(call);
        self.zero = matches!(
            call,
            Call::CloseNotify(Deadline::Zero)
                | Call::Bidirectional {
                    deadline: Deadline::Zero,
                    ..
                }
        );
        self.discard_limit = matches!(
            call,
            Call::Bidirectional {
                discard_limit: Some(_),
                ..
            }
        );
        self.was_read_since |= self.has_lingered && self.goal == Goal::Read;
        self.has_lingered |= self.goal == Goal::Linger;
        self.taken = world.wire.taken;
        self.behind = world.wire.bytes_behind();
        self.call_began_at = self.polls;
        self.closes_again = facts.close_begun;
    }

    fn is_close(&self) -> bool {
        matches!(self.goal, Goal::Notify | Goal::Both | Goal::Linger)
    }

    /// What holds after each poll, ready or not.
    pub fn after_poll(
        &mut self,
        came: Option<Came>,
        is_woken: bool,
        facts: &mut Facts,
        world: &World,
    ) -> Result<(), String> {
        self.polls += 1;
        facts.close_begun |= self.is_close();
        if self.alert_left_at.is_none() && world.wire.alert_end.is_some() {
            self.alert_left_at = Some(self.polls);
        }
        if self.alert_sent_at.is_none() && world.alert_is_flushed() {
            self.alert_sent_at = Some(self.polls);
        }
        if self.received_at.is_none() && world.close_notify_was_read() {
            self.received_at = Some(self.polls);
        }
        if let Some(what) = world.wire.broken {
            return Err(what.to_owned());
        }
        ensure(
            world.wire.taken <= facts.most_on_wire(),
            "rule 3: more on the wire than was written",
        )?;
        ensure(
            world.wire.close_notifies <= 1,
            "rule 1: a second close_notify",
        )?;
        if !self.hello_was_read && world.hello_was_read() {
            self.hello_was_read = true;
            // A close that has sent its alert in this very call drops what rustls answers.
            let knows = self
                .alert_sent_at
                .is_some_and(|at| at < self.polls && at > self.call_began_at);
            self.may_refuse = !(self.is_close() && knows);
        }
        self.check_behind(facts, world)?;
        if self.goal == Goal::PeerClosed {
            ensure(
                world.wire.taken == self.taken,
                "rule 5: peer_closed() sends",
            )?;
        }
        match came {
            None if !is_woken => self.check_wakers(world),
            _ => Ok(()),
        }
    }

    /// Rule 1, with what `doc/plain_streams.md` excepts.
    fn check_behind(&self, facts: &Facts, world: &World) -> Result<(), String> {
        let behind = world.wire.bytes_behind();
        if behind == 0 {
            return Ok(());
        }
        ensure(
            self.kind == Kind::Plain,
            "rule 1: bytes behind close_notify",
        )?;
        // What tokio-rustls itself sends in its own writes and reads is not a close's doing.
        let is_ours = self.is_close() || self.goal == Goal::PeerClosed;
        if !is_ours || behind == self.behind {
            return Ok(());
        }
        ensure(
            self.unfinished && self.is_close(),
            match facts.has_written_after_close() || self.may_refuse {
                false => "rule 1: bytes behind close_notify, that nobody has written",
                true => "rule 1: what was written behind close_notify, no call was dropped before",
            },
        )?;
        ensure(
            Facts::may_be_behind(&world.wire.behind),
            "rule 1: behind close_notify stands what nobody has written",
        )
    }

    /// Rules 6 and 7: who is pending waits for what it needs, with the waker of this poll.
    fn check_wakers(&self, world: &World) -> Result<(), String> {
        let (reads, writes) = (world.reader.registered, world.writer.registered);
        let has_ended = world.close_notify_was_read() || world.end_was_read;
        let is_sent = world.alert_is_flushed();
        ensure(
            !self.zero || self.goal == Goal::Linger,
            "a call with a deadline of zero waits",
        )?;
        match self.goal {
            Goal::Write if world.takes_nothing() => ensure(
                writes,
                "rule 6: a write is pending without a waker, on a transport that takes nothing",
            ),
            Goal::Write | Goal::Notify => {
                ensure(writes, "rule 6: pending, and no waker on the write side")
            }
            Goal::Read | Goal::PeerClosed => {
                ensure(reads, "rule 6: pending, and no waker on the read side")
            }
            Goal::Both | Goal::Linger => {
                // A lingering stream asks a reader first, with the clock as its waker. It does that
                // also where our alert could not be sent, because the peer has closed and left.
                let is_over =
                    is_sent || self.goal == Goal::Linger && self.reader_waits && world.write_failed;
                ensure(
                    writes || is_over,
                    "rule 6: pending, and no waker on the write side",
                )?;

                let may_not_read = match self.goal {
                    Goal::Linger => has_ended && writes || self.reader_waits || self.was_read_since,
                    _ => writes && (has_ended || self.discard_limit),
                };
                ensure(
                    reads || may_not_read,
                    "rules 6 and 7: pending, and does not read",
                )
            }
        }
    }
}
