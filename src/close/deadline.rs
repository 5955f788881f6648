//! A deadline that costs nothing until something blocks.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

pin_project! {
    #[derive(Debug)]
    pub(crate) struct Deadline {
        after: Option<Duration>,
        #[pin]
        sleep: Option<Sleep>,
    }
}

impl Deadline {
    /// `None` never ends.
    pub(crate) fn new(after: Option<Duration>) -> Self {
        Self { after, sleep: None }
    }

    /// Changes it, before it has begun.
    pub(crate) fn set(&mut self, after: Option<Duration>) {
        self.after = after;
    }

    /// To be called where something has blocked: the first call starts the clock.
    pub(crate) fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let Some(after) = *this.after else {
            return Poll::Pending;
        };
        // A timer rounds up, and none is needed here.
        if after.is_zero() {
            return Poll::Ready(());
        }
        if this.sleep.is_none() {
            this.sleep.set(Some(sleep(after)));
        }
        match this.sleep.as_pin_mut() {
            Some(sleep) => sleep.poll(cx),
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
