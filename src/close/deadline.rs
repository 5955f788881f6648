//! `Deadline`: costs nothing until something blocks.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::{coop::has_budget_remaining, unconstrained},
    time::{Instant, Sleep, sleep},
};

/// How often a deadline of zero gives way: 32 reads each, more than any socket holds.
const TURNS_AT_ZERO: u16 = 1024;

pin_project! {
    /// A deadline whose clock starts when something has to wait.
    #[derive(Debug)]
    pub(crate) struct Deadline {
        after: Option<Duration>,
        #[pin]
        sleep: Option<Sleep>,
        turns_at_zero: u16,
    }
}

impl Deadline {
    /// Creates a new deadline. `None` never passes.
    pub(crate) const fn new(after: Option<Duration>) -> Self {
        Self {
            after,
            sleep: None,
            turns_at_zero: TURNS_AT_ZERO,
        }
    }

    /// To be set before the clock starts.
    #[inline]
    pub(crate) fn set(&mut self, after: Option<Duration>) {
        self.after = after;
    }

    /// Returns `true` if it is zero, and nothing is waited for but the next turn of the task.
    pub(crate) fn gives_way(self: Pin<&mut Self>) -> bool {
        let this = self.project();
        let gives_way = this.after.is_some_and(|after| after.is_zero()) && *this.turns_at_zero > 0;
        *this.turns_at_zero -= u16::from(gives_way);
        gives_way
    }

    /// To be called where something has blocked: the first call starts the clock.
    pub(crate) fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(after) = self.after else {
            return Poll::Pending;
        };
        // A timer would round up.
        if after.is_zero() {
            // A task that has spent its budget finds every transport of tokio blocked.
            if has_budget_remaining() || !self.gives_way() {
                return Poll::Ready(());
            }
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut this = self.project();
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep(after)));
        }
        match this.sleep.as_pin_mut() {
            // Unconstrained, or a task that has spent its budget on reading would never see that the
            // time is over: tokio's `Timeout` guards against that too.
            Some(sleep) => Pin::new(&mut unconstrained(sleep)).poll(cx),
            None => Poll::Pending,
        }
    }

    /// Starts the clock again if it runs.
    pub(crate) fn restart(self: Pin<&mut Self>) {
        let this = self.project();
        if let (Some(sleep), Some(after)) = (this.sleep.as_pin_mut(), *this.after) {
            if let Some(then) = Instant::now().checked_add(after) {
                sleep.reset(then);
            }
        }
    }
}
