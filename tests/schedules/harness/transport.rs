//! A connection between two peers that does with every poll what is chosen, and watches the wire.

use std::{
    cell::{RefCell, RefMut},
    collections::VecDeque,
    hash::{Hash, Hasher},
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::choices::{Choices, Outcome};

/// A task that waits for a transport.
#[derive(Default)]
struct Waiting {
    waker: Option<Waker>,
    /// It was blocked for no reason and must be woken.
    owed: bool,
}

impl Waiting {
    fn wait(&mut self, cx: &Context<'_>, owed: bool) {
        self.waker = Some(cx.waker().clone());
        self.owed |= owed;
    }

    fn call(&mut self) {
        self.owed = false;
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

/// What goes from one peer to the other.
#[derive(Default)]
struct Link {
    unflushed: VecDeque<u8>,
    readable: VecDeque<u8>,
    /// So many bytes fit in.
    capacity: usize,
    /// What is written arrives when it is flushed.
    buffered: bool,
    /// What the writer has said is all.
    fin: bool,
    /// The reader has been told that it is all.
    cut: bool,
    reader: Waiting,
    writer: Waiting,
    wire: Observer,
}

impl Link {
    fn flush(&mut self) {
        if !self.unflushed.is_empty() {
            let bytes = std::mem::take(&mut self.unflushed);
            self.readable.extend(bytes);
            self.reader.call();
        }
    }
}

/// Follows the records of one direction. Of an encrypted alert it knows the length: no record of
/// data is as short.
#[derive(Default)]
pub struct Observer {
    tls13: bool,
    header: Vec<u8>,
    body: usize,
    is_alert: bool,
    plain: bool,
    pub alerts: usize,
    /// Everything up to the end of the alert was flushed.
    pub alert_is_flushed: bool,
    pub bytes_behind_alert: usize,
    pub written: u64,
}

impl Observer {
    fn see(&mut self, mut bytes: &[u8]) {
        self.written += bytes.len() as u64;
        while !self.plain && !bytes.is_empty() {
            if self.alerts > 0 && self.body == 0 {
                self.bytes_behind_alert += bytes.len();
                return;
            }
            if self.body == 0 {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                if let &[content_type, _, _, hi, lo] = &self.header[..] {
                    self.body = u16::from_be_bytes([hi, lo]).into();
                    self.is_alert = match self.tls13 {
                        true => self.body == 2 + 1 + 16,
                        false => content_type == 21,
                    };
                    self.header.clear();
                }
                continue;
            }
            let n = bytes.len().min(self.body);
            self.body -= n;
            bytes = &bytes[n..];
            if self.body == 0 && self.is_alert {
                self.alerts += 1;
            }
        }
    }
}

pub struct Connection {
    pub choices: Choices,
    /// `links[i]` is what peer `i` writes.
    links: [Link; 2],
    /// Nothing is chosen, everything works.
    perfect: bool,
    dead: bool,
    /// Polls since the task was polled that moved nothing.
    pub fruitless: usize,
    /// Bytes that were moved.
    pub moved: u64,
}

/// The hold on a connection that the schedule has.
#[derive(Clone)]
pub struct Hub(Rc<RefCell<Connection>>);

impl Hub {
    /// A connection that works until [`begin`](Self::begin).
    pub fn new(choices: Choices) -> Self {
        let link = || Link {
            capacity: usize::MAX,
            ..Link::default()
        };
        Self(Rc::new(RefCell::new(Connection {
            choices,
            links: [link(), link()],
            perfect: true,
            dead: false,
            fruitless: 0,
            moved: 0,
        })))
    }

    pub fn endpoint(&self, me: usize) -> Endpoint {
        Endpoint {
            hub: self.clone(),
            me,
        }
    }

    /// From here on everything is chosen.
    pub fn begin(&self, capacity: usize, buffered: bool, tls13: bool) {
        let mut this = self.get();
        this.perfect = false;
        for link in &mut this.links {
            link.capacity = capacity;
            link.buffered = buffered;
            link.wire.tls13 = tls13;
        }
    }

    pub fn get(&self) -> RefMut<'_, Connection> {
        self.0.borrow_mut()
    }

    /// TLS has ended: peer `me` continues in plaintext.
    pub fn goes_plain(&self, me: usize) {
        self.get().links[me].wire.plain = true;
    }
}

impl Connection {
    pub fn wire(&self, from: usize) -> &Observer {
        &self.links[from].wire
    }

    fn waiting(&mut self, i: usize) -> &mut Waiting {
        let link = &mut self.links[i / 2];
        match i % 2 {
            0 => &mut link.reader,
            _ => &mut link.writer,
        }
    }

    /// The tasks that were blocked for no reason.
    pub fn owed(&mut self) -> Vec<usize> {
        (0..4).filter(|&i| self.waiting(i).owed).collect()
    }

    pub fn call_back(&mut self, i: usize) {
        self.waiting(i).call();
    }

    fn outcome(&mut self, of: &[Outcome]) -> Outcome {
        match self.perfect {
            true => of[0],
            false => self.choices.outcome(of),
        }
    }

    fn reset(&mut self) {
        self.dead = true;
        for i in 0..4 {
            self.waiting(i).call();
        }
    }

    /// What is the same in two schedules that have reached the same point.
    pub fn hash(&self, to: &mut impl Hasher) {
        for link in &self.links {
            (
                link.unflushed.len(),
                link.readable.len(),
                link.fin,
                link.cut,
            )
                .hash(to);
            (link.reader.owed, link.reader.waker.is_some()).hash(to);
            (link.writer.owed, link.writer.waker.is_some()).hash(to);
            (link.wire.written, link.wire.alert_is_flushed).hash(to);
        }
        (self.dead, self.choices.fair).hash(to);
    }
}

/// One peer's side of the connection.
pub struct Endpoint {
    hub: Hub,
    me: usize,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Endpoint")
    }
}

impl AsyncRead for Endpoint {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut hub = self.hub.get();
        let from = 1 - self.me;
        hub.fruitless += 1;
        if hub.dead {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let link = &hub.links[from];
        if link.cut {
            return Poll::Ready(Ok(()));
        }
        let (nothing, fin) = (link.readable.is_empty(), link.fin);
        let outcome = match nothing {
            // The end is there to be read like the data before it.
            true if fin => hub.outcome(&[Outcome::All, Outcome::Block, Outcome::Reset]),
            true => hub.outcome(Outcome::NOTHING),
            false => hub.outcome(Outcome::ANY),
        };
        let link = &mut hub.links[from];
        let most = match outcome {
            Outcome::Block => {
                link.reader.wait(cx, !nothing || fin);
                return Poll::Pending;
            }
            Outcome::Reset => {
                hub.reset();
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Outcome::End => {
                link.cut = true;
                link.readable.clear();
                link.capacity = usize::MAX;
                link.writer.call();
                return Poll::Ready(Ok(()));
            }
            Outcome::One => 1,
            Outcome::All => usize::MAX,
        };
        let n = link.readable.len().min(buf.remaining()).min(most);
        for byte in link.readable.drain(..n) {
            buf.put_slice(&[byte]);
        }
        if n > 0 {
            link.writer.call();
            hub.fruitless -= 1;
            hub.moved += n as u64;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endpoint {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut hub = self.hub.get();
        hub.fruitless += 1;
        if hub.dead {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let link = &mut hub.links[self.me];
        let used = link.unflushed.len() + link.readable.len();
        if used >= link.capacity {
            link.flush();
            link.writer.wait(cx, false);
            return Poll::Pending;
        }
        let outcome = hub.outcome(Outcome::ANY);
        let link = &mut hub.links[self.me];
        let most = match outcome {
            Outcome::Block => {
                link.writer.wait(cx, true);
                return Poll::Pending;
            }
            Outcome::End => 0,
            Outcome::Reset => {
                hub.reset();
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Outcome::One => 1,
            Outcome::All => usize::MAX,
        };
        let room = link.capacity - used;
        let bytes: Vec<u8> = (bufs.iter().flat_map(|buf| buf.iter().copied()))
            .take(most.min(room))
            .collect();
        link.wire.see(&bytes);
        link.unflushed.extend(&bytes);
        if !link.buffered {
            link.flush();
        }
        if link.cut {
            link.unflushed.clear();
            link.readable.clear();
        }
        if !bytes.is_empty() {
            hub.fruitless -= 1;
            hub.moved += bytes.len() as u64;
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut hub = self.hub.get();
        hub.fruitless += 1;
        if hub.dead {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let outcome = hub.outcome(Outcome::FLUSH);
        let link = &mut hub.links[self.me];
        match outcome {
            Outcome::Block => {
                link.writer.wait(cx, true);
                return Poll::Pending;
            }
            Outcome::Reset => {
                hub.reset();
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            Outcome::All | Outcome::One | Outcome::End => link.flush(),
        }
        link.wire.alert_is_flushed = link.wire.alerts > 0;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.as_mut().poll_flush(cx))?;
        let mut hub = self.hub.get();
        let link = &mut hub.links[self.me];
        link.fin = true;
        link.reader.call();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        let Ok(mut hub) = self.hub.0.try_borrow_mut() else {
            return;
        };
        let link = &mut hub.links[self.me];
        link.flush();
        link.fin = true;
        link.reader.call();
        // There is no reader any longer: what is written is lost.
        let link = &mut hub.links[1 - self.me];
        link.cut = true;
        link.capacity = usize::MAX;
        link.writer.call();
    }
}
