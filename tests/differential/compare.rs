//! Two kinds of streams come to the same, except where the documentation says that they differ.

use std::io::ErrorKind;

use tokio_tls_shutdown::PeerClose;

use super::{
    calls::{Came, Counted, Failed, Kind},
    run::Outcome,
    script::{Call, Deadline, Script},
    wire::{Item, WireReader},
};

/// What rustls holds of application data that nobody reads.
const HELD: usize = 16 << 10;

/// Where two streams may differ, and why. What follows such a place is not compared: the two no
/// longer have the same before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// A write or a flush behind the close: `BrokenPipe` and no byte on a `GracefulStream`, `Ok` on
    /// a plain stream (`GracefulStream`, "a write after `close_notify` fails").
    WriteAfterClose,
    /// Behind more than 16 KiB of unread data a plain stream does not see that the peer has closed
    /// (doc/plain_streams.md).
    HiddenClose,
    /// A `GracefulStream` reads the error of a reset once and then the end, as from a socket; a
    /// plain stream reads the transport again.
    ReadAfterReset,
    /// Writes fail, and a call has found that out. A `GracefulStream` remembers it, and how the peer
    /// has closed; a call that was dropped reports it when it is repeated. A plain stream does not
    /// remember: its next call tries again, and discards again what nobody has read
    /// (doc/plain_streams.md).
    TriesAgain,
    /// What is queued behind our alert, such as a refusal to renegotiate that a read has brought
    /// about, is sent by the next call on a plain stream, which may then be blocked or fail
    /// (doc/plain_streams.md). A `GracefulStream` drops it.
    SendsMore,
    /// A bidirectional close of a `GracefulStream` receives before it sends. What rustls answers to
    /// that, such as a KeyUpdate, then stands in front of our alert, where a plain stream drops it
    /// behind its own (doc/plain_streams.md). A peer that has closed is known when writes fail, and the
    /// transport may block at another step when the time has run out.
    ReceivesFirst,
    /// The peer has sent what ends the session. A `GracefulStream` first gives what stood in front
    /// of it, and says the same at each read; tokio-rustls drops what the same read brought, and
    /// reads the transport again. In a debug build a plain stream is not even read: see
    /// `Oracle::unwinds`.
    FailedSession,
    /// A TLS 1.2 write of a `GracefulStream` takes no more than what it can see queued. Where a write
    /// was dropped or has failed, the two have accepted another part of it.
    Tls12Write,
    /// A transport that takes nothing (`Ok(0)`) is an error of a TLS 1.2 write of a `GracefulStream`.
    /// tokio-rustls, and with it a TLS 1.3 write, takes it as blocked and keeps the data.
    WriteZero,
    /// What `shutdown()` with `Linger` bounds by its own times and limits, or does with the clock: a
    /// bidirectional close without a deadline, or with another, ends elsewhere.
    LingerBounds,
    /// A call was pending more often on one stream than on the other, so that something else has
    /// arrived meanwhile. That is nobody's promise: TLS 1.2 writes of a `GracefulStream` wait while
    /// more than 61 records are queued, and tokio-rustls reads ahead where `GracefulStream` does
    /// not.
    Schedule,
}

/// How far two outcomes were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Compared {
    Whole,
    Until(Difference),
}

/// Compares what `other` came to with a `GracefulStream`.
pub fn compare(
    script: &Script,
    graceful: &Outcome,
    other: &Outcome,
    kind: Kind,
) -> Result<Compared, String> {
    let mut close_begun = false;
    let mut hidden = false;
    let mut read_failed = false;
    let calls = script
        .steps
        .iter()
        .map(|step| step.call)
        .chain([Call::Read(usize::MAX)]);
    for (i, call) in calls.enumerate() {
        let (theirs, their_pendings) = other.trace[i];
        if theirs == Came::Skipped {
            return Ok(Compared::Until(Difference::FailedSession));
        }
        let (ours, our_pendings) = graceful.trace[i];
        let read_before = if i == 0 { 0 } else { graceful.totals[i - 1][1] };
        hidden |= is_close(call) && graceful.sent - read_before > HELD;
        let same = is_same(ours, theirs, kind) && graceful.totals[i] == other.totals[i];
        let allowed = if is_write(call) && close_begun && kind == Kind::Plain {
            Some(Difference::WriteAfterClose)
        } else if same && our_pendings == their_pendings {
            None
        } else if kind == Kind::Linger && is_shutdown(call) {
            // Compared only where neither was bounded.
            let free = matches!(
                (call, ours, theirs),
                (
                    Call::Bidirectional { deadline: Deadline::Default, discard_limit: None },
                    Came::Closed(a, _),
                    Came::Closed(b, _),
                ) if a != PeerClose::TimedOut && b != PeerClose::TimedOut
            );
            (!free || our_pendings != their_pendings).then_some(Difference::LingerBounds)
        } else if our_pendings != their_pendings {
            Some(Difference::Schedule)
        } else if is_both(call) && is_of_another_order(ours, theirs) {
            Some(Difference::ReceivesFirst)
        } else if hidden {
            Some(Difference::HiddenClose)
        } else if read_failed && ours == Came::End {
            Some(Difference::ReadAfterReset)
        } else if has_failed(ours) || has_failed(theirs) {
            Some(Difference::FailedSession)
        } else if ours == Came::WriteFailed(ErrorKind::WriteZero) && theirs == Came::Wrote {
            Some(Difference::WriteZero)
        } else if is_write(call) && ours == theirs && !script.case.is_tls13() {
            Some(Difference::Tls12Write)
        } else if close_begun && script.transport.fails.is_some() {
            Some(Difference::TriesAgain)
        } else if close_begun && is_close(call) && theirs == Came::Failed(Failed::SendTimedOut) {
            Some(Difference::SendsMore)
        } else {
            return Err(format!(
                "step {i} {call:?}: GracefulStream {ours:?} {:?} pending {our_pendings}, \
                 {kind:?} {theirs:?} {:?} pending {their_pendings}",
                graceful.totals[i], other.totals[i],
            ));
        };
        if let Some(difference) = allowed {
            return Ok(Compared::Until(difference));
        }
        if has_failed(ours) {
            return Ok(Compared::Until(Difference::FailedSession));
        }
        if kind == Kind::Linger && is_shutdown(call) {
            // From here on one has closed the transport, and drains once.
            return Ok(Compared::Until(Difference::LingerBounds));
        }
        close_begun |= is_close(call);
        read_failed |= matches!(ours, Came::ReadFailed(_));
    }
    // Behind close_notify a plain stream has what tokio-rustls answers when it reads: refusals, and a
    // fatal alert. A `GracefulStream` has nothing there.
    let only_alerts = other
        .behind
        .iter()
        .all(|item| matches!(item, Item::Alert(..)));
    let receives_first = script.steps.iter().any(|step| is_both(step.call));
    // An answer may have taken the room of our alert.
    let closed = graceful.closed == other.closed;
    let is_cut = !graceful.closed && script.transport.gates.is_some();
    match only_alerts {
        true if closed && spoken(&graceful.before) == spoken(&other.before) => Ok(Compared::Whole),
        true if receives_first && (closed || is_cut) && unasked(graceful) == unasked(other) => {
            Ok(Compared::Until(Difference::ReceivesFirst))
        }
        _ if script.transport.fails.is_some() => Ok(Compared::Until(Difference::TriesAgain)),
        _ => Err(format!(
            "GracefulStream and {kind:?}: not the same on the wire"
        )),
    }
}

fn is_write(call: Call) -> bool {
    matches!(call, Call::Write { .. } | Call::Flush)
}

fn is_both(call: Call) -> bool {
    matches!(call, Call::Bidirectional { .. } | Call::PollBidirectional)
}

/// What is `shutdown()` on a lingering stream.
fn is_shutdown(call: Call) -> bool {
    is_both(call) || call == Call::Shutdown
}

/// The session was found to have failed.
fn has_failed(came: Came) -> bool {
    matches!(
        came,
        Came::Failed(Failed::Tls) | Came::ReadFailed(ErrorKind::InvalidData)
    )
}

/// What only the order of sending and receiving may have changed.
fn is_of_another_order(ours: Came, theirs: Came) -> bool {
    matches!(
        (ours, theirs),
        (
            Came::Closed(PeerClose::CloseNotify, _),
            Came::Failed(Failed::Send(_))
        ) | (Came::Failed(Failed::SendTimedOut), _)
            | (_, Came::Failed(Failed::SendTimedOut))
    )
}

fn is_close(call: Call) -> bool {
    is_both(call)
        || matches!(
            call,
            Call::CloseNotify(_)
                | Call::PollCloseNotify
                | Call::CloseNotifyWith(_)
                | Call::Shutdown
        )
}

fn is_same(ours: Came, theirs: Came, kind: Kind) -> bool {
    match (ours, theirs) {
        (Came::Closed(a, ours), Came::Closed(b, theirs)) => {
            // Who was first a plain stream does not remember: `Closed::peer_closed_first`.
            let counts = |counted: Counted| (counted.discarded, counted.tickets);
            a == b && (counts(ours) == counts(theirs) || kind == Kind::Linger)
        }
        (ours, theirs) => ours == theirs,
    }
}

/// What the peer has been told that is no answer.
fn unasked(outcome: &Outcome) -> (Vec<u8>, Vec<Item>) {
    let (data, others) = spoken(&outcome.before);
    let is_answer = |item: &Item| match item {
        Item::KeyUpdate => true,
        Item::Alert(..) => !item.is_close_notify(),
        _ => false,
    };
    (
        data,
        others.into_iter().filter(|item| !is_answer(item)).collect(),
    )
}

/// What the peer has been told, however it was cut into records.
fn spoken(items: &[Item]) -> (Vec<u8>, Vec<Item>) {
    let others = items.iter().filter(|item| !matches!(item, Item::Data(_)));
    (WireReader::data(items), others.cloned().collect())
}
