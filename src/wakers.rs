//! Wakers of the tasks that use one stream.

use std::{
    sync::Arc,
    task::{Context, Wake, Waker},
};

/// Returns `true` if `waker` wakes the task of `cx`.
pub(crate) fn is_same(waker: &Waker, cx: &Context<'_>) -> bool {
    // Clones: in release builds the vtable of an `Arc` waker may differ from that of its clones.
    waker.will_wake(&cx.waker().clone())
}

/// Returns what wakes the task of `cx` and the other, or `None` if there is no other.
pub(crate) fn both(cx: &Context<'_>, other: Option<&Waker>) -> Option<Waker> {
    let other = other.filter(|other| !is_same(other, cx))?;
    let both = Both(cx.waker().clone(), other.clone());
    Some(Arc::new(both).into())
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
