//! The calls of an application, in any order, while any records arrive.
//!
//! The bytes of an input decide what the peer sends, in which pieces it arrives, when our writes are
//! blocked, and what the application calls. [`ours`] makes these calls of this crate, [`plain`] those
//! of tokio-rustls that come nearest. Neither looks at the results: it is a failure to panic or to
//! hang. What the results must be is in `after_close_notify` and in the tests.

mod identity;
mod ours;
mod plain;
mod records;

use std::{fmt, io::ErrorKind, sync::LazyLock};

use arbitrary::Unstructured;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    runtime::{Builder, Runtime},
};
use tokio_rustls::TlsStream;
use tokio_test::task::{Spawn, spawn};
use tokio_tls_shutdown::RecordAligned;

use self::{ours::Ours, records::Flight};
use crate::support::{CASES, Rig, Scripted, Step, Wire};

/// More calls only repeat themselves.
const MOST_STEPS: usize = 40;
/// How often a task that wakes itself is polled: a close gives way at most 128 times, and a plain
/// stream whose session has failed wakes itself for ever.
const TURNS: usize = 300;

/// For calls that have a deadline. Its clock stands still unless a tracker drains.
static TIMER: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_current_thread();
    builder.enable_time().start_paused(true).build().unwrap()
});

/// What an application may call. On a stream that does not have it, the nearest there is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Call {
    CloseNotify,
    /// With a deadline of zero.
    CloseNotifyAtOnce,
    CloseNotifyWith(usize),
    Bidirectional {
        discard_limit: u64,
    },
    PeerClosed,
    ReceivedCloseNotify,
    /// The `poll_` variants, with a progress that is kept.
    PollCloseNotify,
    PollBidirectional,
    PollPeerClosed,
    Read(usize),
    ReadExact(usize),
    ReadToEnd,
    /// And consumes this many 255ths of what is there.
    FillBuf(u8),
    Write(usize),
    Flush,
    Shutdown,
    State,
    SetState(u8),
    SetPolicy(u8),
    SetQuiet(bool),
    Track,
    /// The tracker aborts its streams.
    Abort,
    /// The stream is wrapped, or the wrapper taken off.
    Rewrap,
    CloseOnDrop,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Arrive(Amount),
    Writes(Pace),
    End(End),
    Call(Call),
}

#[derive(Clone, Copy, Debug)]
enum Amount {
    Bytes(usize),
    /// To the end of a record, and this many bytes more or less.
    Record(isize),
    All,
}

#[derive(Clone, Copy, Debug)]
enum Pace {
    All,
    Blocked,
    FlushBlocked,
    Take(usize),
    Fail,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Fin,
    Reset,
}

/// Returns one of `choices`, the first if the input is used up.
fn pick<T: Copy>(u: &mut Unstructured<'_>, choices: &[T]) -> T {
    u.choose(choices).map_or(choices[0], |&choice| choice)
}

fn number(u: &mut Unstructured<'_>, most: usize) -> usize {
    u.int_in_range(0..=most).unwrap_or(0)
}

/// A length at which something may change: nothing, a byte, a record, rustls's buffers.
fn length(u: &mut Unstructured<'_>) -> usize {
    match pick(u, &[0, 1, 2, 3]) {
        0 => number(u, 20),
        1 => number(u, 2000),
        2 => pick(u, &[16_383, 16_384, 16_385, 1500, 4096]),
        _ => number(u, 40_000),
    }
}

impl Call {
    fn any(u: &mut Unstructured<'_>) -> Self {
        match number(u, 31) {
            0 | 1 => Self::CloseNotify,
            2 => Self::CloseNotifyAtOnce,
            3 => Self::CloseNotifyWith(length(u)),
            4 | 5 => Self::Bidirectional {
                discard_limit: pick(u, &[u64::MAX, 0, 1, 16_384, 20_000]),
            },
            6 | 7 => Self::PeerClosed,
            8 => Self::ReceivedCloseNotify,
            9 => Self::PollCloseNotify,
            10 => Self::PollBidirectional,
            11 => Self::PollPeerClosed,
            12 | 13 => Self::Read(length(u)),
            14 | 15 => Self::ReadExact(number(u, 20)),
            16 => Self::ReadToEnd,
            17 | 18 => Self::FillBuf(pick(u, &[0, 1, 128, 255])),
            19 | 20 => Self::Write(length(u)),
            21 => Self::Flush,
            22 | 23 => Self::Shutdown,
            24 => Self::State,
            25 => Self::SetState(pick(u, &[0, 1, 2])),
            26 => Self::SetPolicy(pick(u, &[0, 1, 2, 3])),
            27 => Self::SetQuiet(pick(u, &[true, false])),
            28 => Self::Track,
            29 => Self::Abort,
            30 => Self::Rewrap,
            _ => Self::CloseOnDrop,
        }
    }
}

impl Event {
    fn any(u: &mut Unstructured<'_>) -> Self {
        match number(u, 9) {
            0..=3 => Self::Arrive(match pick(u, &[0, 1, 2, 3]) {
                0 => Amount::Bytes(1 + number(u, 40)),
                1 => Amount::Bytes(length(u)),
                2 => Amount::Record(pick(u, &[0, 1, -1, 5, -5])),
                _ => Amount::All,
            }),
            4 => Self::Writes(match pick(u, &[0, 1, 2, 3, 4]) {
                0 => Pace::All,
                1 => Pace::Blocked,
                2 => Pace::FlushBlocked,
                3 => Pace::Take(1 + number(u, 50)),
                // Seldom: after it little can happen.
                _ if number(u, 3) == 3 => Pace::Fail,
                _ => Pace::All,
            }),
            5 if number(u, 7) == 7 => Self::End(pick(u, &[End::Fin, End::Reset])),
            _ => Self::Call(Call::any(u)),
        }
    }
}

/// A stream that takes the calls.
trait Target {
    fn call(&mut self, call: Call);
}

/// What the peer has sent, on its way to a stream.
struct Scene {
    wire: Wire,
    flight: Flight,
    arrived: usize,
    trace: bool,
}

impl Scene {
    fn say(&self, what: impl fmt::Debug) {
        if self.trace {
            println!("{what:?}");
        }
    }

    fn arrive(&mut self, amount: Amount) {
        let left = self.flight.bytes.len() - self.arrived;
        let bytes = match amount {
            Amount::Bytes(bytes) => bytes.min(left),
            Amount::Record(off) => {
                let ends = &self.flight.ends;
                let next = ends.iter().find(|&&end| end > self.arrived);
                let end = next.map_or(0, |end| end.saturating_add_signed(off));
                end.saturating_sub(self.arrived).min(left)
            }
            Amount::All => left,
        };
        let end = self.arrived + bytes;
        self.wire.feed(&self.flight.bytes[self.arrived..end]);
        self.arrived = end;
    }

    fn pace(&self, pace: Pace) {
        match pace {
            Pace::All => {
                self.wire.unblock_writes();
                self.wire.unblock_flushes();
            }
            Pace::Blocked => self.wire.every_write(Step::Block),
            Pace::FlushBlocked => self.wire.every_flush(Step::Block),
            Pace::Take(bytes) => self.wire.every_write(Step::Take(bytes)),
            Pace::Fail => self
                .wire
                .every_write(Step::Fail(ErrorKind::ConnectionReset)),
        }
    }

    fn end(&self, end: End) {
        match end {
            End::Fin => self.wire.at_end(Step::Zero),
            End::Reset => self.wire.at_end(Step::Fail(ErrorKind::ConnectionReset)),
        }
    }

    fn play(&mut self, u: &mut Unstructured<'_>, target: &mut impl Target) {
        for _ in 0..MOST_STEPS {
            if u.is_empty() {
                break;
            }
            let event = Event::any(u);
            self.say(event);
            match event {
                Event::Arrive(amount) => self.arrive(amount),
                Event::Writes(pace) => self.pace(pace),
                Event::End(end) => self.end(end),
                Event::Call(call) => target.call(call),
            }
            self.wire.take_outbound();
        }
        self.say("the rest arrives");
        self.arrive(Amount::All);
        for call in [
            Call::PeerClosed,
            Call::Bidirectional {
                discard_limit: 50_000,
            },
        ] {
            target.call(call);
        }
        self.pace(Pace::All);
        self.end(End::Fin);
        for call in [Call::ReadToEnd, Call::CloseNotify, Call::Shutdown] {
            target.call(call);
        }
    }
}

/// A finished handshake, and what the peer sends after it.
fn scene<IO: AsyncRead + AsyncWrite + Unpin>(
    u: &mut Unstructured<'_>,
    trace: bool,
    make: impl FnOnce(Scripted) -> IO,
) -> (TlsStream<IO>, Scene) {
    let case = pick(u, &CASES);
    let tickets = pick(u, &[0, 0, 1, 3]);
    let (client, server) = identity::configs(case, tickets);
    let rig = Rig::over(case, client, server, make);
    // Seldom few bytes at a time, because it takes long.
    let read_size = match number(u, 15) {
        0 => Some(1),
        1 => Some(5),
        2 | 3 => Some(100),
        4 | 5 => Some(1000),
        _ => None,
    };
    if let Some(size) = read_size {
        rig.wire.read_size(size);
    }
    if trace {
        println!("{case:?}, {tickets} tickets");
    }
    let Rig {
        stream, wire, peer, ..
    } = rig;
    let flight = Flight::any(u, case, peer.0, trace);
    let scene = Scene {
        wire,
        flight,
        arrived: 0,
        trace,
    };
    (stream, scene)
}

/// Makes the calls of `data` of this crate.
pub fn ours(data: &[u8], trace: bool) {
    let _entered = TIMER.enter();
    let u = &mut Unstructured::new(data);
    if pick(u, &[false, false, false, true]) {
        let (stream, mut scene) = scene(u, trace, RecordAligned::new);
        let mut ours = Ours::new(stream, u);
        scene.play(u, &mut ours);
        if let Some(stream) = ours.into_graceful() {
            let _ = stream.into_transport();
        }
    } else {
        let (stream, mut scene) = scene(u, trace, |transport| transport);
        let mut ours = Ours::new(stream, u);
        scene.play(u, &mut ours);
    }
}

/// Makes those of tokio-rustls that come nearest, while the same arrives.
pub fn plain(data: &[u8], trace: bool) {
    let _entered = TIMER.enter();
    let u = &mut Unstructured::new(data);
    // What `ours` decides with it.
    let _ = pick(u, &[false, false, false, true]);
    let (stream, mut scene) = scene(u, trace, |transport| transport);
    let _ = ours::Kind::any(u);
    scene.play(u, &mut plain::Plain(stream));
}

/// As a fuzz target: tokio-rustls may panic where rustls does, this crate may not.
pub fn calls(data: &[u8]) {
    let _ = std::panic::catch_unwind(|| plain(data, false));
    ours(data, false);
}

/// Polls for as long as the task wakes itself.
fn poll<F: Future>(future: F) {
    let mut task: Spawn<F> = spawn(future);
    for _ in 0..TURNS {
        if task.poll().is_ready() || !task.is_woken() {
            return;
        }
    }
}
