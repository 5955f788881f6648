//! Two tasks at random: one reads and one writes, flushes and closes, over a transport that blocks. No
//! task is left without a wake-up, none spins, and all that was accepted arrives before our alert.
//!
//! `RANDOM_TASKS_RUNS` is how many scripts each library runs in each case and setting.

use std::{env, pin::Pin, task::Poll};

use rand::{Rng, SeedableRng, rngs::StdRng};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};
use tokio_test::task::{Spawn, spawn};
use tokio_tls_shutdown::GracefulStream;

use crate::{
    libraries::S2n,
    library::Library,
    scenarios::{Tls, rig},
    support::{Case, Peer, Step, Version, Wire},
};

scenarios! {
    no_task_is_lost_or_spins,
}

/// How often a task may be woken in a row and find nothing to do.
const IDLE: usize = 30;

/// What the writer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Write {
    Data,
    Flush,
    Shutdown,
}

/// What a script may meet beside a transport that blocks writes.
#[derive(Clone, Copy, Debug)]
struct Setting {
    flushes_block: bool,
    key_updates: bool,
}

struct Run<L: Library> {
    rng: StdRng,
    read_half: ReadHalf<GracefulStream<Tls<L>>>,
    write_half: WriteHalf<GracefulStream<Tls<L>>>,
    wire: Wire,
    peer: Peer,
    /// The task that reads, while a read is pending.
    reader: Option<Spawn<()>>,
    writer: Option<(Spawn<()>, Write)>,
    /// What the peer has sent and the transport has not delivered.
    inbound: Vec<u8>,
    peer_sent: usize,
    peer_has_closed: bool,
    read: usize,
    has_read_all: bool,
    accepted: usize,
    has_shut_down: bool,
    peer_received: usize,
}

impl<L: Library> Run<L> {
    fn new(case: Case, seed: u64) -> Self {
        let rig = rig::<L>(case);
        let (read_half, write_half) = split(rig.stream);
        Self {
            rng: StdRng::seed_from_u64(seed),
            read_half,
            write_half,
            wire: rig.wire,
            peer: rig.peer,
            reader: None,
            writer: None,
            inbound: Vec::new(),
            peer_sent: 0,
            peer_has_closed: false,
            read: 0,
            has_read_all: false,
            accepted: 0,
            has_shut_down: false,
            peer_received: 0,
        }
    }

    /// Polls the read that is pending. Returns `true` if it has ended.
    fn poll_reader(&mut self) -> Result<bool, String> {
        let Some(task) = &mut self.reader else {
            return Ok(false);
        };
        let mut buf = [0; 3000];
        let mut buf = ReadBuf::new(&mut buf);
        let half = Pin::new(&mut self.read_half);
        match task.enter(|cx, _| half.poll_read(cx, &mut buf)) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(e)) => return Err(format!("a read fails: {e}")),
            Poll::Ready(Ok(())) => {}
        }
        self.read += buf.filled().len();
        self.has_read_all |= buf.filled().is_empty();
        self.reader = None;
        Ok(true)
    }

    /// Polls the write that is pending. Returns `true` if it has ended.
    fn poll_writer(&mut self) -> Result<bool, String> {
        let Some((task, write)) = &mut self.writer else {
            return Ok(false);
        };
        let half = Pin::new(&mut self.write_half);
        let poll = task.enter(|cx, _| match write {
            Write::Data => half.poll_write(cx, &[7; 20_000]),
            Write::Flush => half.poll_flush(cx).map_ok(|()| 0),
            Write::Shutdown => half.poll_shutdown(cx).map_ok(|()| 0),
        });
        match poll {
            Poll::Pending => return Ok(false),
            Poll::Ready(Err(e)) => return Err(format!("{write:?} fails: {e}")),
            Poll::Ready(Ok(bytes)) => self.accepted += bytes,
        }
        self.has_shut_down |= *write == Write::Shutdown;
        self.writer = None;
        Ok(true)
    }

    fn reader_is_woken(&self) -> bool {
        self.reader.as_ref().is_some_and(Spawn::is_woken)
    }

    fn writer_is_woken(&self) -> bool {
        self.writer
            .as_ref()
            .is_some_and(|(task, _)| task.is_woken())
    }

    /// Polls who is woken until no one is. Reads again for as long as there should be more, if it
    /// `reads_on`.
    fn settle(&mut self, reads_on: bool) -> Result<(), String> {
        let mut idle = 0;
        while self.reader_is_woken() || self.writer_is_woken() {
            let before = (self.wire.outbound_len(), self.read);
            let mut has_ended = false;
            if self.reader_is_woken() {
                has_ended |= self.poll_reader()?;
            }
            if self.writer_is_woken() {
                has_ended |= self.poll_writer()?;
            }
            let expects_more = !self.has_read_all && self.read < self.peer_sent;
            if reads_on && self.reader.is_none() && expects_more {
                self.reader = Some(spawn(()));
                has_ended |= self.poll_reader()?;
            }
            let moved = before != (self.wire.outbound_len(), self.read);
            idle = if has_ended || moved { 0 } else { idle + 1 };
            if idle > IDLE {
                return Err("a task spins".into());
            }
        }
        Ok(())
    }

    fn peer_says(&mut self, say: impl FnOnce(&mut Peer)) {
        if !self.peer_has_closed {
            say(&mut self.peer);
            self.inbound.extend(self.peer.take_queue());
        }
    }

    fn step(&mut self, setting: Setting, case: Case) -> Result<(), String> {
        match self.rng.random_range(0..13) {
            // A read begins, goes on, is given up, or moves to another task.
            0..=2 if !self.has_read_all => {
                if self.reader.is_none() || self.rng.random_bool(0.2) {
                    self.reader = Some(spawn(()));
                }
                self.poll_reader()?;
            }
            3 if self.rng.random_bool(0.5) => self.reader = None,
            4..=6 if !self.has_shut_down => {
                if self.writer.is_none() {
                    let write = match self.rng.random_range(0..12) {
                        0..=7 => Write::Data,
                        11 if !stops_at_alerts::<L>(case) => Write::Shutdown,
                        _ => Write::Flush,
                    };
                    self.writer = Some((spawn(()), write));
                }
                self.poll_writer()?;
            }
            7 => {
                self.wire.unblock_writes();
                let rooms = [0, 3, 100, 20_000, 70_000];
                self.wire
                    .set_room(rooms[self.rng.random_range(0..rooms.len())]);
            }
            8 => {
                let bytes = [1, 100, 5000][self.rng.random_range(0..3)];
                if !self.peer_has_closed {
                    self.peer_sent += bytes;
                }
                self.peer_says(|peer| peer.write(&vec![1; bytes]));
            }
            9 => {
                let bytes = self.rng.random_range(0..=self.inbound.len());
                let piece: Vec<u8> = self.inbound.drain(..bytes).collect();
                self.wire.feed(&piece);
            }
            10 if setting.key_updates => {
                self.peer_says(|peer| peer.0.refresh_traffic_keys().unwrap());
            }
            11 if setting.flushes_block => match self.rng.random_bool(0.5) {
                true => self.wire.every_flush(Step::Block),
                false => self.wire.unblock_flushes(),
            },
            12 if self.rng.random_bool(0.2) && !stops_at_alerts::<L>(case) => {
                self.peer_says(|peer| peer.0.send_close_notify());
                self.peer_has_closed = true;
            }
            _ => {}
        }
        if self.rng.random_bool(0.5) {
            self.settle(false)?;
        }
        self.deliver();
        Ok(())
    }

    /// The peer reads what the transport has taken.
    fn deliver(&mut self) {
        let outbound = self.wire.take_outbound();
        self.peer_received += self.peer.receive(&outbound).len();
        self.inbound.extend(self.peer.take_queue());
    }

    /// The transport blocks no more: all that waits has to end.
    fn finish(&mut self) -> Result<(), String> {
        let inbound = std::mem::take(&mut self.inbound);
        self.wire.feed(&inbound);
        self.wire.unblock_writes();
        self.wire.unblock_flushes();
        self.settle(true)?;
        if let Some((_, write)) = &self.writer {
            return Err(format!("{write:?} is never woken"));
        }
        let expects_more = self.read < self.peer_sent || self.peer_has_closed;
        if self.reader.is_some() && expects_more {
            return Err(format!(
                "a read is never woken: {} of {}",
                self.read, self.peer_sent
            ));
        }
        self.deliver();
        if self.has_shut_down && !self.peer.is_closed() {
            return Err("no close_notify has arrived".into());
        }
        if self.has_shut_down && self.peer_received != self.accepted {
            return Err(format!(
                "{} of {} arrived",
                self.peer_received, self.accepted
            ));
        }
        Ok(())
    }
}

/// s2n reads nothing after our alert of TLS 1.2, and writes nothing after the peer's.
fn stops_at_alerts<L: Library>(case: Case) -> bool {
    L::NAME == S2n::NAME && case.version == Version::Tls12
}

fn run<L: Library>(case: Case, seed: u64, setting: Setting) -> Result<(), String> {
    let mut run = Run::<L>::new(case, seed);
    for _ in 0..run.rng.random_range(20..100) {
        run.step(setting, case)?;
    }
    run.finish()
}

fn no_task_is_lost_or_spins<L: Library>(case: Case) {
    let runs = env::var("RANDOM_TASKS_RUNS").map_or(10, |runs| runs.parse().unwrap());
    for (flushes_block, key_updates) in [(false, false), (false, true), (true, false), (true, true)]
    {
        if key_updates && !case.is_tls13() {
            continue;
        }
        let setting = Setting {
            flushes_block,
            key_updates,
        };
        for seed in 0..runs {
            if let Err(e) = run::<L>(case, seed, setting) {
                panic!("{} {case:?} {setting:?} seed {seed}: {e}", L::NAME);
            }
        }
    }
}
