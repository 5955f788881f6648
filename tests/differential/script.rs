//! What happens in one run: what the peer says, what the transport does, and what is called. It
//! follows from the seed alone.

use std::io::ErrorKind;

use rand::{
    Rng, SeedableRng,
    rngs::SmallRng,
    seq::{IndexedRandom, SliceRandom},
};

use crate::support::{CASES, Case, Role};

/// A number that only depends on these two.
pub fn mix(seed: u64, n: usize) -> u64 {
    let mut z = seed ^ (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    Data(usize),
    /// TLS 1.3, from a server.
    Ticket,
    /// TLS 1.3.
    KeyUpdate {
        requests: bool,
    },
    /// TLS 1.2, from a server.
    HelloRequest,
    UserCanceled,
    CloseNotify,
    // From here on, what ends the session.
    BadRecord,
    PlainAlert,
    FatalAlert,
    Garbage(usize),
}

/// How the bytes of one saying become segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    Whole,
    /// The next saying is in the same segment.
    Joined,
    In(usize),
}

#[derive(Clone, Copy, Debug)]
pub struct PeerStep {
    pub said: Said,
    pub cut: Cut,
    /// Only once our close_notify has reached the peer.
    pub after_alert: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Silence,
    Fin,
    Reset(ErrorKind),
}

/// How much a write takes at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    All,
    One,
    /// Between one and so many.
    UpTo(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Failure {
    Err(ErrorKind),
    /// `Ok(0)` from a write.
    Zero,
}

/// When writes and flushes fail.
#[derive(Clone, Copy, Debug)]
pub struct Fails {
    /// From this byte of ours on.
    pub at: usize,
    pub how: Failure,
    /// So often, `None` for ever.
    pub times: Option<u8>,
    pub flush_only: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct Transport {
    pub seed: u64,
    /// What is written reaches the peer when it is flushed.
    pub buffered: bool,
    pub take: Take,
    pub read_size: usize,
    /// Writes block once in so many bytes, on average the half of it.
    pub gates: Option<usize>,
    /// A blocked write goes on only when we have read all that has arrived.
    pub gates_until_read: bool,
    /// How many of a hundred places have a flush that blocks once.
    pub flush_blocks: u64,
    pub fails: Option<Fails>,
    /// What arrives or is unblocked does so also while the task only gives way.
    pub ticks_on_yield: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deadline {
    None,
    Default,
    Zero,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Writes records of this size.
    Write {
        records: usize,
        size: usize,
    },
    Flush,
    /// Reads until it has so many bytes.
    Read(usize),
    /// Consumes at most so many bytes.
    FillBuf(usize),
    CloseNotify(Deadline),
    CloseNotifyWith(usize),
    Bidirectional {
        deadline: Deadline,
        discard_limit: Option<u64>,
    },
    PeerClosed,
    Shutdown,
    // The `poll_` variants, all with one `CloseProgress`.
    PollCloseNotify,
    PollBidirectional,
    PollPeerClosed,
}

#[derive(Clone, Copy, Debug)]
pub struct Step {
    pub call: Call,
    /// So often something arrives or is unblocked before the call.
    pub ticks: u8,
    /// The call is dropped when it has been pending so often.
    pub dropped_at: Option<u8>,
    /// The call is also polled where nothing has woken it.
    pub eager: bool,
}

#[derive(Clone, Debug)]
pub struct Script {
    pub case: Case,
    pub peer: Vec<PeerStep>,
    pub end: End,
    pub transport: Transport,
    pub steps: Vec<Step>,
}

fn size(rng: &mut SmallRng) -> usize {
    match rng.random_range(0..20) {
        0 => 0,
        1..4 => 1,
        4..14 => rng.random_range(2..600),
        14 | 15 => rng.random_range(600..16_384),
        16 => 16_384,
        17 => 16_385,
        18 => 40_960,
        _ => 17_000,
    }
}

const GONE: [ErrorKind; 3] = [
    ErrorKind::ConnectionReset,
    ErrorKind::BrokenPipe,
    ErrorKind::ConnectionAborted,
];

impl Script {
    pub fn new(seed: u64) -> Self {
        let rng = &mut SmallRng::seed_from_u64(mix(seed, 0));
        let case = *CASES.choose(rng).unwrap();
        Self {
            case,
            peer: peer(rng, case),
            end: match rng.random_range(0..6) {
                0..3 => End::Silence,
                3 | 4 => End::Fin,
                _ => End::Reset(*GONE.choose(rng).unwrap()),
            },
            transport: Transport::new(rng),
            steps: steps(rng),
        }
    }

    /// Whether it only has calls that a plain stream has too.
    pub fn is_common(&self) -> bool {
        let graceful = |step: &Step| matches!(step.call, Call::CloseNotifyWith(_) | Call::Shutdown);
        !self.steps.iter().any(graceful)
    }
}

fn peer(rng: &mut SmallRng, case: Case) -> Vec<PeerStep> {
    let mut said = Vec::new();
    for _ in 0..[0, 0, 1, 1, 2, 3, 6].choose(rng).copied().unwrap() {
        said.push(match rng.random_range(0..12) {
            0 | 1 if case.is_tls13() => Said::KeyUpdate {
                requests: rng.random_ratio(3, 4),
            },
            // rustls takes one for a mistake and more for an attack.
            0 | 1
                if !case.is_tls13()
                    && case.role == Role::Client
                    && !said.contains(&Said::HelloRequest) =>
            {
                Said::HelloRequest
            }
            2 | 3 if case.is_tls13() && case.role == Role::Client => Said::Ticket,
            4 if !said.contains(&Said::UserCanceled) => Said::UserCanceled,
            _ => Said::Data(size(rng)),
        });
    }
    match rng.random_range(0..12) {
        0 => said.push(Said::BadRecord),
        1 => said.push(
            [Said::PlainAlert, Said::FatalAlert]
                .choose(rng)
                .copied()
                .unwrap(),
        ),
        2 | 3 => {}
        _ => said.push(Said::CloseNotify),
    }
    // After the end: what nobody may take for more.
    match rng.random_range(0..8) {
        0 => said.push(Said::Garbage(rng.random_range(1..100))),
        1 => said.push(Said::Data(100)),
        2 => said.push(Said::BadRecord),
        _ => {}
    }
    if rng.random_ratio(1, 20) {
        said.shuffle(rng);
    }
    let waits = if rng.random_ratio(1, 3) {
        rng.random_range(0..=said.len())
    } else {
        said.len()
    };
    let steps = said.into_iter().enumerate().map(|(i, said)| PeerStep {
        said,
        cut: match rng.random_range(0..5) {
            0 | 1 => Cut::Whole,
            2 | 3 => Cut::Joined,
            _ => Cut::In(rng.random_range(2..6)),
        },
        after_alert: i >= waits,
    });
    steps.collect()
}

impl Transport {
    fn new(rng: &mut SmallRng) -> Self {
        let fails = rng.random_ratio(1, 4).then(|| Fails {
            at: match rng.random_range(0..3) {
                0 => 0,
                1 => rng.random_range(0..200),
                _ => rng.random_range(0..20_000),
            },
            how: match rng.random_range(0..6) {
                0 => Failure::Zero,
                1 => Failure::Err(ErrorKind::TimedOut),
                _ => Failure::Err(*GONE.choose(rng).unwrap()),
            },
            times: rng.random_ratio(1, 4).then(|| rng.random_range(1..3)),
            flush_only: rng.random_ratio(1, 5),
        });
        Self {
            seed: rng.random(),
            buffered: rng.random_ratio(1, 3),
            take: match rng.random_range(0..8) {
                0 => Take::One,
                1 | 2 => Take::UpTo(*[2, 30, 600, 20_000].choose(rng).unwrap()),
                _ => Take::All,
            },
            read_size: match rng.random_range(0..8) {
                0 => 1,
                1 | 2 => rng.random_range(2..2000),
                _ => usize::MAX,
            },
            gates: match rng.random_range(0..2) {
                0 => Some(*[2, 60, 1000, 30_000].choose(rng).unwrap()),
                _ => None,
            },
            gates_until_read: rng.random_ratio(1, 3),
            flush_blocks: *[0, 0, 30, 100].choose(rng).unwrap(),
            fails,
            ticks_on_yield: rng.random_ratio(2, 3),
        }
    }
}

fn deadline(rng: &mut SmallRng) -> Deadline {
    *[
        Deadline::None,
        Deadline::Default,
        Deadline::Default,
        Deadline::Zero,
    ]
    .choose(rng)
    .unwrap()
}

fn close(rng: &mut SmallRng, graceful: bool) -> Call {
    match rng.random_range(0..if graceful { 9 } else { 6 }) {
        0 | 1 => Call::CloseNotify(deadline(rng)),
        2 | 3 => Call::Bidirectional {
            deadline: deadline(rng),
            discard_limit: rng.random_ratio(1, 10).then(|| rng.random_range(0..20_000)),
        },
        4 => Call::PollCloseNotify,
        5 => Call::PollBidirectional,
        6 | 7 => Call::Shutdown,
        _ => Call::CloseNotifyWith(size(rng)),
    }
}

fn steps(rng: &mut SmallRng) -> Vec<Step> {
    let graceful = rng.random_ratio(1, 4);
    let mut calls = Vec::new();
    for _ in 0..rng.random_range(0..4) {
        calls.push(match rng.random_range(0..11) {
            0..4 => Call::Write {
                records: 1,
                size: size(rng).max(1),
            },
            4 => Call::Write {
                records: rng.random_range(2..90),
                size: rng.random_range(1..40),
            },
            5 => Call::Flush,
            6 | 7 => Call::Read(size(rng).max(1)),
            8 => Call::FillBuf(size(rng)),
            9 => Call::PeerClosed,
            _ => Call::PollPeerClosed,
        });
    }
    for _ in 0..rng.random_range(1..4) {
        let call = close(rng, graceful);
        calls.push(call);
        // Again, as after a call that was dropped.
        if rng.random_ratio(1, 3) {
            calls.push(call);
        }
        match rng.random_range(0..12) {
            0 => calls.push(Call::Read(size(rng).max(1))),
            1 => calls.push(Call::FillBuf(size(rng))),
            2 => calls.push(Call::PeerClosed),
            3 => calls.push(Call::Flush),
            4 => calls.push(Call::Write {
                records: 1,
                size: rng.random_range(1..100),
            }),
            _ => {}
        }
    }
    let dropped = rng.random_range(0..4) == 0;
    let steps = calls.into_iter().map(|call| Step {
        call,
        ticks: [0, 0, 0, 1, 2, 9].choose(rng).copied().unwrap(),
        dropped_at: rng
            .random_ratio(if dropped { 1 } else { 0 }, 2)
            .then(|| *[1, 1, 1, 2, 3, 7].choose(rng).unwrap()),
        eager: rng.random_ratio(1, 8),
    });
    steps.collect()
}
