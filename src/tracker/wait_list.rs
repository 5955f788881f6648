//! Tasks that wait for something to become true, which stays true until they have looked.
//!
//! What `tokio::sync::Notify` would do, on locks that the model checker knows, and never with a
//! waker in a lock.

use std::{
    collections::BTreeMap,
    mem,
    sync::PoisonError,
    task::{Context, Poll, Waker},
};

use crate::{
    foreign,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

#[derive(Default)]
pub(super) struct WaitList {
    /// In the order of their first poll, so that waking is fair, and the same in each run of the
    /// model checker.
    wakers: Mutex<BTreeMap<u64, Waker>>,
    next: AtomicU64,
}

/// The place of one task in a list, empty before its first poll.
#[derive(Debug, Default)]
pub(super) struct Ticket(Option<u64>);

impl WaitList {
    /// Returns `Ready` if `is_ready()`; if not, the caller is woken by the next
    /// [`wake_all`](Self::wake_all).
    pub(super) fn poll(
        &self,
        cx: &Context<'_>,
        ticket: &mut Ticket,
        is_ready: impl Fn() -> bool,
    ) -> Poll<()> {
        if is_ready() {
            return Poll::Ready(());
        }
        let number = *(ticket.0).get_or_insert_with(|| self.next.fetch_add(1, Ordering::Relaxed));
        // Cloned before the lock is taken, and the old one dropped after: both run foreign code.
        let waker = cx.waker().clone();
        let before = self.lock().insert(number, waker);
        drop(before);
        // Once more. Who makes it ready does that first and then takes the list: either the waker
        // was in that list, or the lock of it orders that change before this look.
        match is_ready() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    }

    /// Wakes all that wait. What they wait for must be true by now.
    pub(super) fn wake_all(&self) {
        let wakers = mem::take(&mut *self.lock());
        for waker in wakers.into_values() {
            foreign::call(|| waker.wake());
        }
    }

    /// Forgets a task that waits no longer.
    pub(super) fn remove(&self, ticket: &mut Ticket) {
        if let Some(number) = ticket.0.take() {
            let waker = self.lock().remove(&number);
            drop(waker);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Waker>> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }
}
