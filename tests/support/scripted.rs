//! A transport that does what the test has written down, and counts what it is asked.

use std::{
    collections::VecDeque,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What one poll of the transport does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// All that is asked for.
    All,
    /// At most this many bytes.
    Take(usize),
    /// `Pending`.
    Block,
    /// `Ok(0)` for a write, the end for a read.
    Zero,
    Fail(io::ErrorKind),
}

/// The test's hold on a [`Scripted`] transport.
#[derive(Clone, Default)]
pub struct Wire(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inbound: VecDeque<u8>,
    /// What reads do once `inbound` is empty; `Block` unless set.
    at_end: Option<Step>,
    /// Bytes that one read gives at most; no limit unless set.
    read_size: Option<usize>,
    outbound: Vec<u8>,
    writes: VecDeque<Step>,
    flushes: VecDeque<Step>,
    every_write: Option<Step>,
    every_flush: Option<Step>,
    /// Bytes that writes take before they block; no limit unless set.
    room: Option<usize>,
    shutdown: Option<Step>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    counts: Counts,
}

/// How often each method of the transport was polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes that were fed.
    pub fed: usize,
    pub reads: usize,
    pub writes: usize,
    pub flushes: usize,
    pub shutdowns: usize,
}

impl Wire {
    pub fn transport(&self) -> Scripted {
        Scripted(self.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Makes `bytes` arrive, and wakes the reader.
    pub fn feed(&self, bytes: &[u8]) {
        let mut state = self.state();
        state.inbound.extend(bytes);
        state.counts.fed += bytes.len();
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
    }

    /// Reads give at most `bytes` each.
    pub fn read_size(&self, bytes: usize) {
        self.state().read_size = Some(bytes);
    }

    /// Once all that was fed is read, reads do `step` (`Zero` for the end), and the reader wakes.
    pub fn at_end(&self, step: Step) {
        let mut state = self.state();
        state.at_end = Some(step);
        if let Some(waker) = state.reader.take() {
            waker.wake();
        }
    }

    /// The next writes do these, then all is taken.
    pub fn on_write(&self, steps: impl IntoIterator<Item = Step>) {
        self.state().writes.extend(steps);
    }

    /// The next flushes do these, then they succeed.
    pub fn on_flush(&self, steps: impl IntoIterator<Item = Step>) {
        self.state().flushes.extend(steps);
    }

    /// Every write without a step of its own does this.
    pub fn every_write(&self, step: Step) {
        self.state().every_write = Some(step);
    }

    /// Writes take so many bytes in all, then they block.
    pub fn set_room(&self, bytes: usize) {
        self.state().room = Some(bytes);
    }

    /// Every flush without a step of its own does this.
    pub fn every_flush(&self, step: Step) {
        self.state().every_flush = Some(step);
    }

    /// Closing the write side does this.
    pub fn on_shutdown(&self, step: Step) {
        self.state().shutdown = Some(step);
    }

    /// Wakes a writer that was blocked, and takes everything from now on.
    pub fn unblock_writes(&self) {
        let mut state = self.state();
        state.writes.clear();
        state.every_write = None;
        state.room = None;
        if let Some(waker) = state.writer.take() {
            waker.wake();
        }
    }

    /// Wakes a writer that was blocked, and changes nothing.
    pub fn wake_writer(&self) {
        if let Some(waker) = self.state().writer.take() {
            waker.wake();
        }
    }

    /// The same for flushes.
    pub fn unblock_flushes(&self) {
        let mut state = self.state();
        state.flushes.clear();
        state.every_flush = None;
        if let Some(waker) = state.writer.take() {
            waker.wake();
        }
    }

    /// Takes what was written since the last call.
    pub fn take_outbound(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().outbound)
    }

    /// Makes room for this many bytes of output, so that a write does not allocate.
    pub fn reserve(&self, bytes: usize) {
        self.state().outbound.reserve(bytes);
    }

    pub fn outbound_len(&self) -> usize {
        self.state().outbound.len()
    }

    /// Takes what was fed and not read.
    pub fn take_inbound(&self) -> Vec<u8> {
        std::mem::take(&mut self.state().inbound).into()
    }

    pub fn unread(&self) -> usize {
        self.state().inbound.len()
    }

    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    pub fn reset_counts(&self) {
        self.state().counts = Counts::default();
    }
}

#[derive(Clone)]
pub struct Scripted(Wire);

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

impl Scripted {
    pub fn wire(&self) -> &Wire {
        &self.0
    }
}

impl AsyncRead for Scripted {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        state.counts.reads += 1;
        let size = state.read_size.unwrap_or(usize::MAX);
        let n = state.inbound.len().min(buf.remaining()).min(size);
        if n > 0 {
            let (first, second) = state.inbound.as_slices();
            let first = &first[..first.len().min(n)];
            buf.put_slice(first);
            buf.put_slice(&second[..n - first.len()]);
            state.inbound.drain(..n);
            return Poll::Ready(Ok(()));
        }
        match state.at_end.unwrap_or(Step::Block) {
            Step::Fail(kind) => Poll::Ready(Err(kind.into())),
            Step::Block => {
                state.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            Step::All | Step::Take(_) | Step::Zero => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Scripted {
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
        let mut state = self.0.state();
        state.counts.writes += 1;
        let step = match state.room {
            Some(0) => Some(Step::Block),
            _ => state.writes.pop_front().or(state.every_write),
        };
        let most = match step.unwrap_or(Step::All) {
            Step::All => usize::MAX,
            Step::Take(n) => n,
            Step::Zero => 0,
            Step::Fail(kind) => return Poll::Ready(Err(kind.into())),
            Step::Block => {
                state.writer = Some(cx.waker().clone());
                return Poll::Pending;
            }
        };
        let before = state.outbound.len();
        let most = most.min(state.room.unwrap_or(usize::MAX));
        for buf in bufs {
            let room = most - (state.outbound.len() - before);
            state
                .outbound
                .extend_from_slice(&buf[..buf.len().min(room)]);
        }
        let taken = state.outbound.len() - before;
        state.room = state.room.map(|room| room - taken);
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        state.counts.flushes += 1;
        let step = state.flushes.pop_front().or(state.every_flush);
        match step.unwrap_or(Step::All) {
            Step::Fail(kind) => Poll::Ready(Err(kind.into())),
            Step::Block => {
                state.writer = Some(cx.waker().clone());
                Poll::Pending
            }
            Step::All | Step::Take(_) | Step::Zero => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.0.state();
        state.counts.shutdowns += 1;
        match state.shutdown {
            Some(Step::Fail(kind)) => Poll::Ready(Err(kind.into())),
            Some(Step::Block) => Poll::Pending,
            _ => Poll::Ready(Ok(())),
        }
    }
}
