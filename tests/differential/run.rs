//! One script on one stream: calls are made, polled when they are woken, and dropped.

use std::{
    cell::RefCell,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use tokio_tls_shutdown::{ClosePolicy, CloseProgress, GracefulStream};

use super::{
    calls::{Came, Kind, Subject, perform},
    facts::Facts,
    handshake::Recorded,
    oracle::Oracle,
    peer::Speech,
    script::{Call, Deadline, Script, Step},
    transport::Link,
    wire::{Item, WireReader},
};

/// How often a call may give way and move nothing: its 128 turns for the reactor, and some.
const FRUITLESS_TURNS: usize = 135;

/// Polls of the transport in one poll of the task that move nothing.
const FRUITLESS_POLLS: usize = 12;

/// How often the clock goes on where nothing else happens: beyond every deadline.
const ADVANCES: usize = 8;
const ADVANCE: Duration = Duration::from_millis(1100);

const LINGER: ClosePolicy = ClosePolicy::Linger {
    idle: Duration::from_secs(2),
    deadline: Duration::from_secs(4),
    discard_limit: 16 << 20,
};

/// Why a run has failed: which call, and what is wrong.
#[derive(Clone, Debug)]
pub struct Violation {
    pub kind: Kind,
    pub step: usize,
    pub call: Option<Call>,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            step,
            call,
            what,
        } = self;
        write!(f, "{kind:?} stream, step {step} {call:?}: {what}")
    }
}

/// What one stream has made of a script.
#[derive(Debug)]
pub struct Outcome {
    /// What has come of each call, and how often it was pending.
    pub trace: Vec<(Came, usize)>,
    /// All bytes of application data that were accepted, read and discarded by then.
    pub totals: Vec<[usize; 2]>,
    pub before: Vec<Item>,
    pub behind: Vec<Item>,
    pub closed: bool,
    /// How much application data the peer has sent.
    pub sent: usize,
}

#[derive(Default)]
pub struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The clock of a thread's runs. It stands still unless a run moves it.
pub struct Clock(Runtime);

impl Clock {
    pub fn new() -> Self {
        let mut builder = Builder::new_current_thread();
        Self(builder.enable_time().start_paused(true).build().unwrap())
    }

    fn advance(&self, by: Duration) {
        self.0.block_on(tokio::time::advance(by));
    }
}

/// Runs a script on one kind of stream.
pub fn run(script: &Script, kind: Kind, clock: &Clock) -> Result<Outcome, Violation> {
    let _guard = clock.0.enter();
    let recorded = Recorded::of(script.case);
    let speech = Speech::new(&script.peer, recorded.tx.clone());
    let wire = WireReader::new(recorded.rx.clone());
    let link = Link::new(script, speech, wire, &recorded.peer_says);
    let plain = recorded.shake_hands(script.case.role, link.endpoint());
    assert!(
        link.get().inbound.is_empty(),
        "a part of the handshake is unread"
    );
    link.get().live = true;
    match kind {
        Kind::Plain => Runner::new(script, kind, link, clock).run(plain),
        Kind::Graceful => Runner::new(script, kind, link, clock).run(GracefulStream::new(plain)),
        Kind::Linger => {
            let mut stream = GracefulStream::new(plain);
            stream.set_policy(LINGER);
            Runner::new(script, kind, link, clock).run(stream)
        }
    }
}

struct Runner<'a> {
    script: &'a Script,
    kind: Kind,
    link: Link,
    clock: &'a Clock,
    facts: RefCell<Facts>,
    oracle: Oracle,
    trace: Vec<(Came, usize)>,
    totals: Vec<[usize; 2]>,
}

/// How a call was polled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Polled {
    pub pendings: usize,
    /// The clock went on.
    pub advances: usize,
    fruitless: usize,
}

impl<'a> Runner<'a> {
    fn new(script: &'a Script, kind: Kind, link: Link, clock: &'a Clock) -> Self {
        Self {
            script,
            kind,
            link,
            clock,
            facts: RefCell::default(),
            oracle: Oracle::new(kind),
            trace: Vec::new(),
            totals: Vec::new(),
        }
    }

    fn run<S: Subject>(mut self, mut stream: S) -> Result<Outcome, Violation> {
        let mut progress = CloseProgress::new();
        let steps = self.script.steps.iter().copied();
        // At the end whoever has not read everything does.
        let last = Step {
            call: Call::Read(usize::MAX),
            ticks: 0,
            dropped_at: None,
            eager: false,
        };
        for (i, step) in steps.chain([last]).enumerate() {
            self.step(&mut stream, &mut progress, step)
                .map_err(|what| Violation {
                    kind: self.kind,
                    step: i,
                    call: Some(step.call),
                    what,
                })?;
        }
        let world = self.link.get();
        Ok(Outcome {
            trace: self.trace,
            totals: self.totals,
            before: world.wire.before.clone(),
            behind: world.wire.behind.clone(),
            closed: world.wire.alert_end.is_some(),
            sent: world.speech.data,
        })
    }

    fn step<S: Subject>(
        &mut self,
        stream: &mut S,
        progress: &mut CloseProgress,
        step: Step,
    ) -> Result<(), String> {
        for _ in 0..step.ticks {
            self.link.get().tick();
        }
        if self
            .oracle
            .unwinds(step.call, &self.facts.borrow(), &self.link.get())
        {
            self.push(Came::Skipped, 0);
            return Ok(());
        }
        self.oracle
            .begin(step.call, &self.facts.borrow(), &self.link.get());
        let mut polled = Polled::default();
        let came = {
            let facts = &self.facts;
            let call = perform(stream, progress, facts, self.kind, step.call);
            let mut call = std::pin::pin!(call);
            poll(
                call.as_mut(),
                step,
                &self.link,
                self.clock,
                self.script,
                &mut polled,
                |poll, woken| {
                    let mut facts = facts.borrow_mut();
                    self.oracle
                        .after_poll(poll, woken, &mut facts, &self.link.get())
                },
            )?
        };
        let state = stream.known_state();
        self.oracle.after_call(
            step.call,
            came,
            polled,
            state,
            &mut self.facts.borrow_mut(),
            &self.link.get(),
        )?;
        self.push(came, polled.pendings);
        Ok(())
    }

    fn push(&mut self, came: Came, pendings: usize) {
        self.trace.push((came, pendings));
        let facts = self.facts.borrow();
        self.totals
            .push([facts.accepted(), facts.read + facts.discarded]);
    }
}

/// Polls a call until it is ready, dropped, or nothing more happens.
fn poll(
    mut call: Pin<&mut impl Future<Output = Came>>,
    step: Step,
    link: &Link,
    clock: &Clock,
    script: &Script,
    polled: &mut Polled,
    mut check: impl FnMut(Option<Came>, bool) -> Result<(), String>,
) -> Result<Came, String> {
    loop {
        // With a waker that no poll before has seen: only the newest counts.
        let flag = Arc::new(Flag::default());
        let waker = Waker::from(flag.clone());
        link.get().begin_poll(&waker);
        let moved = link.get().moved;
        let poll = catch_unwind(AssertUnwindSafe(|| {
            call.as_mut().poll(&mut Context::from_waker(&waker))
        }))
        .map_err(|panic| {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            format!("rule 8: it panics: {}", text.unwrap_or_default())
        })?;
        let has_moved = link.get().moved != moved;
        let calls = match step.call {
            Call::Write { records, .. } => records,
            _ => 1,
        };
        if link.get().polls > calls * FRUITLESS_POLLS && !has_moved {
            return Err("rule 6: a busy loop in one poll".into());
        }
        let is_woken = || flag.0.load(Ordering::Relaxed);
        let came = match poll {
            Poll::Ready(came) => Some(came),
            Poll::Pending => None,
        };
        check(came, is_woken())?;
        if let Some(came) = came {
            return Ok(came);
        }
        polled.pendings += 1;
        if step
            .dropped_at
            .is_some_and(|at| usize::from(at) <= polled.pendings)
        {
            return Ok(Came::Dropped);
        }
        if is_woken() {
            polled.fruitless = if has_moved { 0 } else { polled.fruitless + 1 };
            if polled.fruitless > FRUITLESS_TURNS {
                return Err("rule 6: it spins".into());
            }
            if script.transport.ticks_on_yield {
                link.get().tick();
            }
            continue;
        }
        while !is_woken() {
            if link.get().tick() {
                if step.eager {
                    break;
                }
            } else if polled.advances < ADVANCES && may_time_out(step.call) {
                polled.advances += 1;
                clock.advance(ADVANCE);
            } else {
                return Ok(Came::Stuck);
            }
        }
    }
}

fn may_time_out(call: Call) -> bool {
    match call {
        Call::CloseNotify(deadline) | Call::Bidirectional { deadline, .. } => {
            deadline != Deadline::None
        }
        Call::CloseNotifyWith(_) | Call::Shutdown | Call::PollBidirectional => true,
        _ => false,
    }
}
