//! One schedule from the handshake to the end, and the rules that must hold in each.

use std::{
    cell::RefCell,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

use rustls::{ClientConfig, ServerConfig, client::Resumption};
use tokio_rustls::rustls;
use tokio_test::task::spawn;
use tokio_tls_shutdown::{RecordAligned, tokio_rustls};

use super::{
    choices::{Choices, Choosing},
    peers::{Api, Close, End, Hand, Log, Script, data},
    transport::Hub,
};
use crate::support::{CASES, Case};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// What is written arrives.
    Plain,
    /// What is flushed arrives.
    Buffered,
    /// So many bytes fit into each direction.
    Narrow(usize),
}

/// Two peers and what lies between them.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub case: Case,
    pub wire: Wire,
    /// The first is the case's.
    pub peers: [Script; 2],
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} {:?} {:?}",
            self.case.version, self.case.role, self.wire
        )?;
        for peer in self.peers {
            write!(f, ", {:?} {:?} {}", peer.api, peer.close, peer.data)?;
        }
        Ok(())
    }
}

const fn script(api: Api, close: Close, data: usize) -> Script {
    Script { api, close, data }
}

/// Every scenario, in an order that stays.
pub fn scenarios() -> Vec<Scenario> {
    use {Api::*, Close::*};
    let pairs = [
        (
            Wire::Plain,
            script(Polls, Bidirectional, 3),
            script(Polls, Bidirectional, 0),
        ),
        (
            Wire::Buffered,
            script(Polls, Both, 0),
            script(Graceful, NotifyWith, 3),
        ),
        (
            Wire::Plain,
            script(Graceful, Shutdown, 3),
            script(Graceful, Bidirectional, 3),
        ),
        (
            Wire::Buffered,
            script(Graceful, NotifyWith, 3),
            script(Graceful, Shutdown, 0),
        ),
        (
            Wire::Plain,
            script(Futures, Bidirectional, 3),
            script(Plain, Shutdown, 3),
        ),
        (
            Wire::Plain,
            script(Polls, Notify, 3),
            script(Plain, Shutdown, 0),
        ),
        (
            Wire::Plain,
            script(Graceful, Reuse, 0),
            script(Graceful, Reuse, 3),
        ),
        // Both have more to say than fits in between, and close at the same time.
        (
            Wire::Narrow(500),
            script(Futures, Bidirectional, 5_000),
            script(Graceful, Both, 5_000),
        ),
        (
            Wire::Narrow(4096),
            script(Polls, Bidirectional, 40_000),
            script(Graceful, Notify, 40_000),
        ),
        (
            Wire::Buffered,
            script(Polls, Both, 0),
            script(Futures, Notify, 3),
        ),
    ];
    let mut scenarios = Vec::new();
    for (wire, first, second) in pairs {
        for case in CASES {
            scenarios.push(Scenario {
                case,
                wire,
                peers: [first, second],
            });
        }
    }
    scenarios
}

/// What has become of one schedule.
pub struct Run {
    /// What was chosen, and of how many.
    pub made: Vec<u8>,
    pub of: Vec<u8>,
    /// What the connection and the peers were like before the poll that each choice belongs to.
    pub before: Vec<u64>,
    pub ends: [End; 2],
    pub fair: bool,
}

#[derive(Default)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    future: Option<Pin<Box<dyn Future<Output = End>>>>,
    woken: Arc<Flag>,
    end: Option<End>,
}

impl Task {
    fn new(future: impl Future<Output = End> + 'static) -> Self {
        Self {
            future: Some(Box::pin(future)),
            woken: Arc::new(Flag(true.into())),
            end: None,
        }
    }

    fn is_woken(&self) -> bool {
        self.future.is_some() && self.woken.0.load(Ordering::Relaxed)
    }

    /// With a waker that no poll before has seen: only the newest counts.
    fn poll(&mut self) {
        self.woken = Arc::default();
        let waker = Waker::from(self.woken.clone());
        let future = self.future.as_mut().unwrap();
        if let Poll::Ready(end) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            self.future = None;
            self.end = Some(end);
        }
    }
}

/// Says how to run a schedule again, if it fails.
struct Replay<'a> {
    scenario: &'a Scenario,
    hub: &'a Hub,
}

impl Drop for Replay<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let number =
                (scenarios().iter()).position(|s| s.to_string() == self.scenario.to_string());
            let made = self.hub.get().choices.made.clone();
            let made: Vec<_> = made.iter().map(u8::to_string).collect();
            eprintln!(
                "failed: {}\nto run it again: SCHEDULE={}:{} cargo test --test schedules replay -- --ignored --nocapture",
                self.scenario,
                number.unwrap_or_default(),
                made.join(","),
            );
        }
    }
}

fn configs(case: Case) -> (ClientConfig, ServerConfig) {
    static MADE: LazyLock<[(ClientConfig, ServerConfig); 4]> = LazyLock::new(|| {
        CASES.map(|case| {
            let mut client = case.client_config();
            // Every handshake is as long as the others.
            client.resumption = Resumption::disabled();
            let mut server = case.server_config();
            server.send_tls13_tickets = 2;
            (client, server)
        })
    });
    let i = CASES.iter().position(|&c| c == case).unwrap();
    MADE[i].clone()
}

fn ready<T>(handshake: impl Future<Output = T>) -> T {
    let mut handshake = spawn(handshake);
    for _ in 0..100 {
        if let Poll::Ready(done) = handshake.poll() {
            return done;
        }
    }
    panic!("the handshake hangs");
}

pub fn run(scenario: &Scenario, choosing: Choosing) -> Run {
    let hub = Hub::new(Choices::new(choosing));
    let _replay = Replay {
        scenario,
        hub: &hub,
    };
    let logs: [Rc<RefCell<Log>>; 2] = Default::default();
    let hands = [0, 1].map(|me| Hand {
        hub: hub.clone(),
        me,
        log: logs[me].clone(),
    });
    let Scenario { case, wire, peers } = *scenario;
    let (client, server) = configs(case);
    let [first, second] = hands;
    let ends = [0, 1].map(|me| hub.endpoint(me));
    let tasks = match peers[0].close {
        Close::Reuse => {
            let [a, b] = ends.map(RecordAligned::new);
            let (a, b) = ready(case.pair_with(client, server, a, b));
            [
                Task::new(first.run_and_reuse(a, peers[0])),
                Task::new(second.run_and_reuse(b, peers[1])),
            ]
        }
        _ => {
            let [a, b] = ends;
            let (a, b) = ready(case.pair_with(client, server, a, b));
            [
                Task::new(first.run(a, peers[0])),
                Task::new(second.run(b, peers[1])),
            ]
        }
    };
    let (capacity, buffered) = match wire {
        Wire::Plain => (usize::MAX, false),
        Wire::Buffered => (usize::MAX, true),
        Wire::Narrow(bytes) => (bytes, false),
    };
    hub.begin(capacity, buffered, case.is_tls13());
    World {
        scenario,
        hub: hub.clone(),
        logs,
        tasks,
        before: Vec::new(),
        last: 1,
        fruitless_polls: 0,
        callbacks: 0,
    }
    .run()
}

struct World<'a> {
    scenario: &'a Scenario,
    hub: Hub,
    logs: [Rc<RefCell<Log>>; 2],
    tasks: [Task; 2],
    before: Vec<u64>,
    /// Who was polled last.
    last: usize,
    fruitless_polls: usize,
    callbacks: usize,
}

impl World<'_> {
    fn run(mut self) -> Run {
        loop {
            let key = self.key();
            let chosen = self.hub.get().choices.made.len();
            if !self.turn() {
                break;
            }
            let made = self.hub.get().choices.made.len();
            self.before.extend(std::iter::repeat_n(key, made - chosen));
            for me in [0, 1] {
                self.check_wire(me);
            }
        }
        let ends = [0, 1].map(|me| {
            let end = self.tasks[me].end.clone();
            end.unwrap_or_else(|| panic!("nothing wakes peer {me}: {:?}", self.logs[me]))
        });
        let fair = self.hub.get().choices.fair;
        for me in [0, 1] {
            self.check_end(me, &ends[me], fair);
        }
        let choices = &mut self.hub.get().choices;
        Run {
            made: std::mem::take(&mut choices.made),
            of: std::mem::take(&mut choices.of),
            before: self.before,
            ends,
            fair,
        }
    }

    /// Polls a peer that was woken, or calls one back. Returns `false` if there is none.
    fn turn(&mut self) -> bool {
        let next = 1 - self.last;
        let woken: Vec<_> = [next, self.last]
            .into_iter()
            .filter(|&me| self.tasks[me].is_woken())
            .collect();
        let owed = self.hub.get().owed();
        let of = woken.len() + owed.len();
        if of == 0 {
            return false;
        }
        let i = self.hub.get().choices.choose(of);
        match woken.get(i) {
            Some(&me) => self.poll(me),
            None => {
                self.callbacks += 1;
                self.hub.get().call_back(owed[i - woken.len()]);
            }
        }
        true
    }

    fn poll(&mut self, me: usize) {
        self.last = me;
        let (moved, detours) = {
            let mut hub = self.hub.get();
            hub.fruitless = 0;
            (hub.moved, hub.choices.detours)
        };
        self.tasks[me].poll();
        let hub = self.hub.get();
        // A call that is dropped and called again polls the transport once more.
        let most = 12 + 4 * (hub.choices.detours - detours);
        assert!(hub.fruitless <= most, "a busy loop in one poll");
        if hub.moved == moved {
            self.fruitless_polls += 1;
        }
        let most = 20 + 2 * self.callbacks + 2 * usize::try_from(hub.moved).unwrap();
        assert!(self.fruitless_polls <= most, "a busy loop");
    }

    /// The same for two schedules that have reached the same point.
    fn key(&mut self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.hub.get().hash(&mut hasher);
        self.last.hash(&mut hasher);
        for me in [0, 1] {
            let (task, log) = (&self.tasks[me], self.logs[me].borrow());
            (task.is_woken(), task.future.is_some()).hash(&mut hasher);
            (
                log.accepted,
                log.read.len(),
                log.calls_before > 0,
                &log.note,
            )
                .hash(&mut hasher);
        }
        hasher.finish()
    }

    fn is_ours(&self, me: usize) -> bool {
        self.scenario.peers[me].api != Api::Plain
    }

    /// One close_notify, and not one byte of TLS behind it.
    fn check_wire(&self, me: usize) {
        if self.is_ours(me) {
            let hub = self.hub.get();
            let wire = hub.wire(me);
            assert!(wire.alerts <= 1, "peer {me}: a second alert");
            assert_eq!(
                wire.bytes_behind_alert, 0,
                "peer {me}: bytes behind its alert"
            );
        }
    }

    fn check_end(&self, me: usize, end: &End, fair: bool) {
        let (log, other) = (self.logs[me].borrow(), self.logs[1 - me].borrow());
        let said = data(1 - me, self.scenario.peers[1 - me].data);
        assert!(
            said.starts_with(&log.read),
            "peer {me} has read what was not said"
        );
        if fair {
            assert_eq!(*end, End::Clean, "peer {me}, and neither was cut off");
        }
        assert_ne!(*end, End::Failed("never"), "peer {me}");
        let hub = self.hub.get();
        if *end == End::Clean {
            assert_eq!(
                hub.wire(1 - me).alerts,
                1,
                "peer {me}: clean without close_notify"
            );
            let got = log.read.len() + usize::try_from(log.discarded).unwrap();
            // A call does not count what one before has discarded.
            let counted = got == other.accepted || log.calls_before > 0 && got < other.accepted;
            assert!(counted, "peer {me}: clean, but {got} of {}", other.accepted);
        }
    }
}
