//! The tasks that wait for the transport of a `Gate`.

use std::task::{Context, Waker};

use crate::wakers::{both, is_same};

/// Who uses the TLS stream. A library also writes in a read, and reads in a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Reader,
    Writer,
}

/// A transport remembers one task that waits to read and one that waits to write. Each may be the
/// reader or the writer of the TLS stream.
#[derive(Default)]
pub(super) struct Tasks {
    /// Of the last read that had to wait.
    reader: Option<Waker>,
    /// Of the last write that had to wait.
    writer: Option<Waker>,
    /// Of the last write that had to wait for something to read.
    reading_writer: Option<Waker>,
}

impl Tasks {
    pub(super) fn set_reader(&mut self, cx: &Context<'_>) {
        self.reader = Some(cx.waker().clone());
    }

    pub(super) fn set_writer(&mut self, cx: &Context<'_>) {
        self.writer = Some(cx.waker().clone());
    }

    pub(super) fn set_reading_writer(&mut self, cx: &Context<'_>) {
        self.reading_writer = Some(cx.waker().clone());
    }

    pub(super) fn forget_writer(&mut self) {
        self.writer = None;
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }

    pub(super) fn wake_reading_writer(&mut self) {
        if let Some(writer) = self.reading_writer.take() {
            writer.wake();
        }
    }

    /// Wakes the reader, unless it is the task of `cx`.
    pub(super) fn wake_reader(&mut self, cx: &Context<'_>) {
        let is_other = |reader: &mut Waker| !is_same(reader, cx);
        if let Some(reader) = self.reader.take_if(is_other) {
            reader.wake();
        }
    }

    /// Returns what wakes the task that writes and the other, which may wait for the transport to
    /// take more, or is to send what is queued once the task that has written does not come back.
    pub(super) fn who_write(&self, task: Task, cx: &Context<'_>) -> Option<Waker> {
        match task {
            Task::Reader => both(cx, self.writer.as_ref()),
            Task::Writer => both(cx, self.reader.as_ref()),
        }
    }

    /// Returns what wakes the task that reads and the other, if that waits for something to read.
    pub(super) fn who_read(&self, task: Task, cx: &Context<'_>) -> Option<Waker> {
        match task {
            Task::Reader => both(cx, self.reading_writer.as_ref()),
            Task::Writer => both(cx, self.reader.as_ref()),
        }
    }
}
