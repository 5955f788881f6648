//! Who waits for one side of the transport.

use std::task::{Context, Waker};

/// Who waits, and whether it has said so in the current poll of the task.
#[derive(Default)]
pub struct Side {
    waker: Option<Waker>,
    pub registered: bool,
}

impl Side {
    pub fn wait(&mut self, cx: &Context<'_>, task: &Waker) {
        // Clones, because the vtable of an `Arc` waker may differ from that of its clones.
        let waker = cx.waker().clone();
        self.registered = waker.will_wake(task);
        self.waker = Some(waker);
    }

    pub fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
