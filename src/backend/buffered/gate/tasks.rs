//! The tasks that wait for the transport of a `Gate`.

use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

/// A transport remembers one task that waits to read and one that waits to write. Each may be the
/// reader or the writer of the TLS stream: a library also writes in a read, and reads in a write.
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

    /// Returns what wakes a reader and the writer, where that is another task: the reader may stop
    /// to poll, and the writer waits for the transport all the same.
    pub(super) fn with_writer(&self, reader: &Context<'_>) -> Option<Waker> {
        both(reader, self.writer.as_ref())
    }

    /// Returns what wakes a writer that reads and the reader, where that is another task.
    pub(super) fn with_reader(&self, writer: &Context<'_>) -> Option<Waker> {
        both(writer, self.reader.as_ref())
    }

    /// Returns what wakes a reader and a writer that waits for something to read, where that is
    /// another task.
    pub(super) fn with_reading_writer(&self, reader: &Context<'_>) -> Option<Waker> {
        both(reader, self.reading_writer.as_ref())
    }
}

fn both(cx: &Context<'_>, other: Option<&Waker>) -> Option<Waker> {
    let other = other.filter(|other| !is_same(other, cx))?;
    let both = Both(cx.waker().clone(), other.clone());
    Some(Arc::new(both).into())
}

/// Compares clones: in release builds the vtable of an `Arc` waker may differ from that of its
/// clones.
fn is_same(waker: &Waker, cx: &Context<'_>) -> bool {
    waker.will_wake(&cx.waker().clone())
}

struct Both(Waker, Waker);

impl Wake for Both {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake_by_ref();
        self.1.wake_by_ref();
    }
}
