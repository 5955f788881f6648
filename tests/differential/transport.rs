//! A transport that does what the script says, by the place in the bytes and not by the number of
//! polls, so that two streams that send and read the same see the same.

use std::{
    cell::{RefCell, RefMut},
    collections::VecDeque,
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    peer::Speech,
    script::{End, Failure, Script, Take, Transport, mix},
    side::Side,
    wire::WireReader,
};

pub struct World {
    pub script: Transport,
    /// The handshake is over.
    pub live: bool,
    ticks: usize,
    // What comes in.
    pub speech: Speech,
    end: End,
    /// The end has arrived, behind the last byte.
    ended: bool,
    pub inbound: VecDeque<u8>,
    /// How much has arrived, and how much of it was read.
    pub arrived: usize,
    pub read: usize,
    /// A read has found the end.
    pub end_was_read: bool,
    // What goes out.
    pub wire: WireReader,
    /// Up to where all was flushed.
    pub flushed: usize,
    gates: usize,
    next_gate: usize,
    write_blocked: bool,
    flush_blocked: bool,
    /// Where a flush has blocked and goes on.
    flush_passes: Option<usize>,
    failures: u8,
    /// A write or a flush has failed.
    pub write_failed: bool,
    pub fin: bool,
    task: Waker,
    pub reader: Side,
    pub writer: Side,
    /// Bytes that were moved.
    pub moved: usize,
    /// Polls of the transport.
    pub polls: usize,
}

impl World {
    fn new(script: &Script, speech: Speech, wire: WireReader, handshake: &[u8]) -> Self {
        let mut world = Self {
            script: script.transport,
            live: false,
            ticks: 0,
            speech,
            end: script.end,
            ended: false,
            inbound: handshake.iter().copied().collect(),
            arrived: 0,
            read: 0,
            end_was_read: false,
            wire,
            flushed: 0,
            gates: 0,
            next_gate: usize::MAX,
            write_blocked: false,
            flush_blocked: false,
            flush_passes: None,
            failures: 0,
            write_failed: false,
            fin: false,
            task: Waker::noop().clone(),
            reader: Side::default(),
            writer: Side::default(),
            moved: 0,
            polls: 0,
        };
        world.set_gate();
        world
    }

    fn set_gate(&mut self) {
        if let Some(distance) = self.script.gates {
            self.gates += 1;
            let distance = 1 + mix(self.script.seed, self.gates) as usize % distance;
            self.next_gate = self.wire.taken + distance;
        }
    }

    /// A poll of the task begins.
    pub fn begin_poll(&mut self, task: &Waker) {
        self.task = task.clone();
        self.reader.registered = false;
        self.writer.registered = false;
        self.polls = 0;
    }

    /// Our close_notify has reached the peer.
    fn alert_has_arrived(&self) -> bool {
        let visible = match self.script.buffered {
            true => self.flushed,
            false => self.wire.taken,
        };
        self.wire.alert_end.is_some_and(|end| end <= visible)
    }

    /// The last byte of our close_notify was taken and flushed.
    pub fn alert_is_flushed(&self) -> bool {
        self.wire.alert_end.is_some_and(|end| end <= self.flushed)
    }

    pub fn hello_was_read(&self) -> bool {
        self.speech.hello_end.is_some_and(|end| end <= self.read)
    }

    /// The peer's close_notify was read.
    pub fn close_notify_was_read(&self) -> bool {
        self.speech
            .close_notify_end
            .is_some_and(|end| end <= self.read)
    }

    /// The peer's close_notify is there to be read, or arrives while the task gives way.
    pub fn close_notify_is_near(&self) -> bool {
        let is_near = |end| {
            let mut to = self.arrived;
            let segments = self.speech.segments.iter().take(40);
            let mut coming = segments.take_while(|segment| !segment.after_alert);
            coming.any(|segment| {
                to += segment.bytes.len();
                to >= end
            })
        };
        self.close_notify_has_arrived()
            || self.script.ticks_on_yield && self.speech.close_notify_end.is_some_and(is_near)
    }

    /// The peer's close_notify is there to be read.
    pub fn close_notify_has_arrived(&self) -> bool {
        self.speech
            .close_notify_end
            .is_some_and(|end| end <= self.arrived)
    }

    /// Writes take nothing and say so, and no waker is taken.
    pub fn takes_nothing(&self) -> bool {
        self.write_failed
            && self
                .script
                .fails
                .is_some_and(|f| matches!(f.how, Failure::Zero))
    }

    /// A read has found a reset.
    pub fn was_reset(&self) -> bool {
        self.end_was_read && matches!(self.end, End::Reset(_))
    }

    /// With what the script fails writes.
    pub fn failure_kind(&self) -> Option<io::ErrorKind> {
        self.script.fails.map(|fails| match fails.how {
            Failure::Err(kind) => kind,
            Failure::Zero => io::ErrorKind::WriteZero,
        })
    }

    /// One thing happens. Returns `false` if nothing is left to happen.
    pub fn tick(&mut self) -> bool {
        self.ticks += 1;
        let first = mix(self.script.seed ^ 1, self.ticks) % 3;
        (first..first + 3).any(|event| match event % 3 {
            0 => self.deliver(),
            1 => self.open_gate(),
            _ => self.open_flush(),
        })
    }

    fn deliver(&mut self) -> bool {
        let waits = (self.speech.segments.front()).is_some_and(|segment| segment.after_alert);
        if waits && !self.alert_has_arrived() {
            return false;
        }
        match self.speech.segments.pop_front() {
            Some(segment) => {
                self.arrived += segment.bytes.len();
                self.inbound.extend(segment.bytes);
            }
            None if self.ended || self.end == End::Silence => return false,
            None => self.ended = true,
        }
        self.reader.wake();
        true
    }

    fn open_gate(&mut self) -> bool {
        let peer_waits = self.script.gates_until_read && !self.inbound.is_empty();
        if !self.write_blocked || peer_waits {
            return false;
        }
        self.write_blocked = false;
        self.set_gate();
        self.writer.wake();
        true
    }

    fn open_flush(&mut self) -> bool {
        if !self.flush_blocked {
            return false;
        }
        self.flush_blocked = false;
        self.flush_passes = Some(self.wire.taken);
        self.writer.wake();
        true
    }

    /// How a write or a flush fails here, if it does.
    fn failure(&mut self, is_flush: bool) -> Option<Failure> {
        let fails = self.script.fails?;
        let is_zero_flush = is_flush && matches!(fails.how, Failure::Zero);
        let is_exhausted = fails.times.is_some_and(|times| self.failures >= times);
        let is_other = fails.flush_only && !is_flush || is_zero_flush;
        if self.wire.taken < fails.at || is_exhausted || is_other {
            return None;
        }
        self.failures = self.failures.saturating_add(1);
        self.write_failed = true;
        Some(fails.how)
    }

    fn write(&mut self, cx: &Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        self.polls += 1;
        let len: usize = bufs.iter().map(|buf| buf.len()).sum();
        if !self.live {
            return Poll::Ready(Ok(len));
        }
        match self.failure(false) {
            Some(Failure::Err(kind)) => return Poll::Ready(Err(kind.into())),
            Some(Failure::Zero) => return Poll::Ready(Ok(0)),
            None => {}
        }
        let taken = self.wire.taken;
        let mut room = self.next_gate - taken;
        if room == 0 {
            self.write_blocked = true;
            self.writer.wait(cx, &self.task);
            return Poll::Pending;
        }
        room = room.min(match self.script.take {
            Take::All => usize::MAX,
            Take::One => 1,
            Take::UpTo(most) => 1 + mix(self.script.seed ^ 2, taken) as usize % most,
        });
        if let Some(fails) = self.script.fails {
            if !fails.flush_only && taken < fails.at {
                room = room.min(fails.at - taken);
            }
        }
        let bytes: Vec<u8> = bufs
            .iter()
            .flat_map(|buf| buf.iter().copied())
            .take(room)
            .collect();
        self.wire.see(&bytes);
        self.moved += bytes.len();
        Poll::Ready(Ok(bytes.len()))
    }

    fn flush(&mut self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        self.polls += 1;
        if !self.live {
            return Poll::Ready(Ok(()));
        }
        if let Some(Failure::Err(kind)) = self.failure(true) {
            return Poll::Ready(Err(kind.into()));
        }
        let taken = self.wire.taken;
        let blocks = mix(self.script.seed ^ 3, taken) % 100 < self.script.flush_blocks;
        if blocks && self.flush_passes != Some(taken) {
            self.flush_blocked = true;
            self.writer.wait(cx, &self.task);
            return Poll::Pending;
        }
        self.flushed = taken;
        Poll::Ready(Ok(()))
    }

    fn read(&mut self, cx: &Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.polls += 1;
        let size = if self.live {
            self.script.read_size
        } else {
            usize::MAX
        };
        let n = self.inbound.len().min(buf.remaining()).min(size);
        if n > 0 {
            buf.put_slice(&self.inbound.make_contiguous()[..n]);
            self.inbound.drain(..n);
            if self.live {
                self.read += n;
                self.moved += n;
            }
            return Poll::Ready(Ok(()));
        }
        match self.end {
            _ if !self.ended => {
                self.reader.wait(cx, &self.task);
                Poll::Pending
            }
            End::Reset(kind) => {
                self.end_was_read = true;
                Poll::Ready(Err(kind.into()))
            }
            End::Fin | End::Silence => {
                self.end_was_read = true;
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// The hold on a transport that the run has.
#[derive(Clone)]
pub struct Link(Rc<RefCell<World>>);

impl Link {
    pub fn new(script: &Script, speech: Speech, wire: WireReader, handshake: &[u8]) -> Self {
        Self(Rc::new(RefCell::new(World::new(
            script, speech, wire, handshake,
        ))))
    }

    pub fn get(&self) -> RefMut<'_, World> {
        self.0.borrow_mut()
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint(self.clone())
    }
}

pub struct Endpoint(Link);

impl AsyncRead for Endpoint {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.get().read(cx, buf)
    }
}

impl AsyncWrite for Endpoint {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.get().write(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.get().write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.get().flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.get().fin = true;
        Poll::Ready(Ok(()))
    }
}
