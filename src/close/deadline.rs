//! `Deadline`: costs nothing until something blocks.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep},
};

pin_project! {
    /// A deadline whose clock starts when something has to wait.
    #[derive(Debug)]
    pub(crate) struct Deadline {
        after: Option<Duration>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Deadline {
    /// Creates a new deadline. `None` never passes.
    pub(crate) const fn new(after: Option<Duration>) -> Self {
        Self { after, sleep: None }
    }

    /// To be set before the clock starts.
    #[inline]
    pub(crate) fn set(&mut self, after: Option<Duration>) {
        self.after = after;
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.after.is_some_and(|after| after.is_zero())
    }

    /// To be called where something has blocked: the first call starts the clock.
    pub(crate) fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(after) = *this.after else {
            return Poll::Pending;
        };
        // A timer would round up.
        if after.is_zero() {
            return Poll::Ready(());
        }
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
