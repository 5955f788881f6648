//! The tasks that wait for the transport of a `Gate`.

use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

/// A transport remembers one task that waits to write. Here it may be a writer or a reader.
#[derive(Default)]
pub(super) struct Tasks {
    /// Of the last read that had to wait.
    reader: Option<Waker>,
    /// Of the last write that had to wait.
    writer: Option<Waker>,
}

impl Tasks {
    pub(super) fn set_reader(&mut self, cx: &Context<'_>) {
        self.reader = Some(cx.waker().clone());
    }

    pub(super) fn set_writer(&mut self, cx: &Context<'_>) {
        self.writer = Some(cx.waker().clone());
    }

    pub(super) fn forget_writer(&mut self) {
        self.writer = None;
    }

    pub(super) fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
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
        let writer = self.writer.as_ref().filter(|w| !is_same(w, reader))?;
        let both = Both(reader.waker().clone(), writer.clone());
        Some(Arc::new(both).into())
    }
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
