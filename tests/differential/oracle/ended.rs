//! What is true when a call has ended.

use std::io::ErrorKind;

use tokio_tls_shutdown::{PeerClose, PeerStatus, ShutdownState};

use super::{Goal, HELD, Oracle, ensure};
use crate::{
    calls::{Came, Counted, Failed, Kind},
    facts::Facts,
    run::Polled,
    script::Call,
    transport::World,
};

impl Oracle {
    /// What holds when a call has ended, in whatever way.
    pub fn after_call(
        &mut self,
        call: Call,
        came: Came,
        polled: Polled,
        state: Option<ShutdownState>,
        facts: &mut Facts,
        world: &World,
    ) -> Result<(), String> {
        self.count(call, came, facts);
        let with = matches!(call, Call::CloseNotifyWith(_));
        let mut sent = false;
        match came {
            Came::Closing(state) => {
                ensure(
                    state != ShutdownState::NONE,
                    "rule 2: Ok, and nothing was sent",
                )?;
                sent = state.contains(ShutdownState::SENT);
                if !sent {
                    self.check_undelivered(world)?;
                }
                if state.contains(ShutdownState::RECEIVED) {
                    self.check_received(world)?;
                }
            }
            Came::Closed(peer, counted) => {
                sent = world.alert_is_flushed();
                if !sent {
                    self.check_undelivered(world)?;
                    // It has closed, also where what it had sent before is too much.
                    let has_closed =
                        matches!(peer, PeerClose::CloseNotify | PeerClose::DiscardLimit);
                    ensure(has_closed, "rule 2: closed, and not sent")?;
                }
                self.check_closed(peer, counted, polled, facts, world)?;
            }
            Came::Shut => {
                ensure(world.fin, "shut, and no FIN")?;
                sent = world.alert_is_flushed();
                if !sent {
                    self.check_undelivered(world)?;
                }
            }
            Came::Peer(PeerStatus::Readable) => ensure(
                facts.uncounted || facts.read + facts.discarded < world.speech.data,
                "rule 4: readable, and there is nothing to read",
            )?,
            Came::Peer(PeerStatus::Closed(PeerClose::CloseNotify)) => {
                self.check_received(world)?;
                ensure(
                    self.check_whole(facts, world).is_ok(),
                    "rule 4: peer_closed() says closed, and there is something to read",
                )?;
            }
            Came::Peer(PeerStatus::Closed(_)) => {
                ensure(world.end_was_read, "rule 4: closed by nobody")?;
            }
            Came::End if self.read_has_failed => {}
            Came::End if world.was_reset() && !world.close_notify_was_read() => {
                return Err(
                    "rule 4: the end of a stream that was reset, and no read said so".into(),
                );
            }
            Came::End => {
                self.check_received(world)?;
                self.check_whole(facts, world)?;
            }
            // Behind the `close_notify` of another call they are refused, as a write is.
            Came::Failed(Failed::Send(ErrorKind::BrokenPipe)) if with && self.closes_again => {}
            Came::Failed(failed) => self.check_failed(failed, polled, facts, world)?,
            Came::ReadFailed(kind) => self.check_read_failed(kind, world)?,
            Came::Wrote | Came::WriteFailed(_) => self.check_write(came, facts, world)?,
            _ => {}
        }
        if sent {
            ensure(
                world.alert_is_flushed(),
                "rule 2: sent, and not flushed to its end",
            )?;
        }
        if let Some(state) = state {
            let is_sent = state.contains(ShutdownState::SENT);
            ensure(
                !is_sent || world.alert_is_flushed(),
                "rule 2: state() says sent",
            )?;
            if state.contains(ShutdownState::RECEIVED) {
                self.check_received(world)?;
            }
        }
        ensure(
            !facts.wrong_data,
            "rule 4: what was read is not what was sent",
        )?;
        facts
            .check_data(&world.wire, sent, with)
            .map_err(|what| format!("rule 3: {what}"))?;
        // The clock of a lingering close goes on whatever is called.
        self.has_timed_out |= self.has_lingered && polled.advances > 0;
        if self.is_close() {
            self.unfinished = !sent;
            self.has_timed_out |= matches!(came, Came::Closed(PeerClose::TimedOut, _));
            if let (Came::Failed(failed), true) = (came, self.is_shutdown) {
                self.shutdown_failed.get_or_insert(failed);
            }
        }
        if self.goal == Goal::Read {
            self.reader_waits = matches!(came, Came::Dropped | Came::Stuck);
            self.read_has_failed |= matches!(came, Came::ReadFailed(_));
        }
        Ok(())
    }

    /// Counts what a call has discarded.
    fn count(&mut self, call: Call, came: Came, facts: &mut Facts) {
        match came {
            Came::Closed(_, counted) => {
                // A lingering stream counts from where it began to drain, a progress likewise.
                let is_running = self.goal == Goal::Linger || call == Call::PollBidirectional;
                let before = if is_running {
                    self.progress_discarded
                } else {
                    0
                };
                facts.discarded += counted.discarded.saturating_sub(before);
                if is_running {
                    self.progress_discarded = counted.discarded;
                }
            }
            _ if matches!(self.goal, Goal::Both | Goal::Linger) => facts.uncounted = true,
            _ => {}
        }
    }

    /// Our alert is not sent, and that may be.
    fn check_undelivered(&self, world: &World) -> Result<(), String> {
        ensure(
            world.close_notify_was_read() && world.write_failed,
            "rule 2: Ok without our close_notify, and no write has failed behind the peer's",
        )
    }

    fn check_received(&self, world: &World) -> Result<(), String> {
        ensure(
            world.close_notify_was_read(),
            "rule 4: received, and the peer has not sent it",
        )
    }

    /// Nothing of what the peer has sent is missing.
    fn check_whole(&self, facts: &Facts, world: &World) -> Result<(), String> {
        let (got, sent) = (facts.read + facts.discarded, world.speech.data);
        let is_whole = got == sent || facts.uncounted && got < sent;
        ensure(
            is_whole,
            &format!("rule 4: whole, but {got} of {sent} bytes"),
        )
    }

    fn check_closed(
        &self,
        peer: PeerClose,
        counted: Counted,
        polled: Polled,
        facts: &Facts,
        world: &World,
    ) -> Result<(), String> {
        ensure(
            counted.tickets <= world.speech.tickets,
            "more tickets than were sent",
        )?;
        match peer {
            PeerClose::CloseNotify => {
                self.check_received(world)?;
                self.check_whole(facts, world)?;
                self.check_first(counted)
            }
            PeerClose::Eof | PeerClose::Reset => {
                ensure(world.end_was_read, "rule 4: an end that nobody has read")
            }
            PeerClose::TimedOut => {
                let again = self.goal == Goal::Linger && self.has_timed_out;
                ensure(
                    self.zero || again || polled.advances > 0,
                    "timed out before its time",
                )
            }
            PeerClose::DiscardLimit => {
                ensure(self.discard_limit, "a discard limit that nobody has set")
            }
            _ => Err("a close that nobody has assumed".into()),
        }
    }

    fn check_first(&self, counted: Counted) -> Result<(), String> {
        let (Some(left), Some(received)) = (self.alert_left_at, self.received_at) else {
            return Ok(());
        };
        // Within one poll both may be.
        if received < left {
            // A plain stream does not remember what an earlier call has made.
            let forgets = self.kind == Kind::Plain && self.closes_again;
            return ensure(
                counted.peer_first || self.is_hidden || forgets,
                "the peer was first, and it says otherwise",
            );
        }
        ensure(
            received == left || !counted.peer_first,
            "we were first, and it says otherwise",
        )
    }

    fn has_failed(&self, world: &World) -> bool {
        world.speech.fails_at.is_some_and(|at| at < world.read)
    }

    fn check_failed(
        &self,
        failed: Failed,
        polled: Polled,
        facts: &Facts,
        world: &World,
    ) -> Result<(), String> {
        if self.is_shutdown && self.shutdown_failed == Some(failed) {
            return Ok(());
        }
        match failed {
            Failed::Tls => ensure(
                self.has_failed(world),
                "a failure that the peer has not sent",
            ),
            Failed::Send(_) | Failed::Io(_) => {
                ensure(world.write_failed, "a write that has not failed")?;
                let kind = match failed {
                    Failed::Send(kind) => Some(kind),
                    _ => world.failure_kind(),
                };
                ensure(
                    kind == world.failure_kind(),
                    "the error is not that of the transport",
                )?;
                self.check_send_failed(failed, facts, world)
            }
            Failed::SendTimedOut => {
                let again = self.has_timed_out;
                ensure(
                    self.zero || again || polled.advances > 0,
                    "timed out before its time",
                )?;
                // Readers that are asked have had their time by then.
                let is_unread =
                    !again && !world.inbound.is_empty() && !world.close_notify_was_read();
                ensure(
                    self.goal != Goal::Linger || !is_unread,
                    "rule 7: a lingering close has not read, for a reader that has ended",
                )
            }
            failed => Err(format!("{failed:?} cannot be")),
        }
    }

    /// A close_notify that has arrived counts, however our own write fails.
    fn check_send_failed(
        &self,
        failed: Failed,
        facts: &Facts,
        world: &World,
    ) -> Result<(), String> {
        let is_gone = matches!(
            failed,
            Failed::Send(
                ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
            )
        );
        let arrived = match is_gone {
            // It gives way, so that the reactor looks into the socket once more.
            true => world.close_notify_is_near(),
            false => world.close_notify_was_read(),
        };
        // Nobody reads for it, and rustls holds no more.
        let unread = world
            .speech
            .data
            .saturating_sub(facts.read + facts.discarded);
        let is_hidden = self.is_hidden || unread >= HELD && self.goal != Goal::Both;
        // A deadline of zero takes what has arrived, in at most 1024 turns of 32 reads.
        let is_bounded =
            self.zero && world.arrived > 1024 * 32 * world.script.read_size.min(1 << 20);
        ensure(
            !arrived || is_hidden || self.discard_limit || is_bounded || self.has_failed(world),
            "design rule 6: the peer's close_notify has arrived and does not count",
        )
    }

    fn check_read_failed(&self, kind: ErrorKind, world: &World) -> Result<(), String> {
        let is_right = match kind {
            ErrorKind::InvalidData => self.has_failed(world),
            _ => world.end_was_read,
        };
        ensure(
            is_right,
            &format!("a read fails with {kind:?}, and nothing has failed"),
        )
    }

    fn check_write(&self, came: Came, facts: &Facts, world: &World) -> Result<(), String> {
        if facts.close_begun && self.kind != Kind::Plain && !self.has_failed(world) {
            ensure(
                came == Came::WriteFailed(ErrorKind::BrokenPipe),
                &format!("rule 3: a write behind the close: {came:?}"),
            )?;
            return Ok(());
        }
        match came {
            Came::WriteFailed(kind) => ensure(
                world.write_failed || self.has_failed(world),
                &format!("a write fails with {kind:?}, and nothing has failed"),
            ),
            _ => Ok(()),
        }
    }
}
