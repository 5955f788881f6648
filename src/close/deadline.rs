//! `Deadline`: costs nothing until something blocks. `Timed`: a call that has one.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    task::unconstrained,
    time::{Instant, Sleep, sleep},
};

use super::progress::CloseProgress;
use crate::error::ShutdownError;

/// How long a call may take, unless it is set.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

/// How often a call with a deadline of zero gives way: 32 reads each, more than any socket holds.
const TURNS_AT_ZERO: u16 = 1024;

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

pin_project! {
    /// A call of a close on a borrowed stream, bounded in time.
    #[derive(Debug)]
    pub(crate) struct Timed<'a, S: ?Sized> {
        stream: &'a mut S,
        pub(crate) progress: CloseProgress,
        #[pin]
        pub(crate) deadline: Deadline,
        turns_at_zero: u16,
        ended: bool,
    }
}

impl<'a, S: ?Sized> Timed<'a, S> {
    #[inline]
    pub(crate) fn new(stream: &'a mut S) -> Self {
        Self {
            stream,
            progress: CloseProgress::new(),
            deadline: Deadline::new(Some(DEFAULT_DEADLINE)),
            turns_at_zero: TURNS_AT_ZERO,
            ended: false,
        }
    }

    /// To be set before the first poll.
    #[inline]
    pub(crate) fn set_deadline(&mut self, after: Option<Duration>) {
        self.deadline.after = after;
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Polls, and once more when the deadline has passed: then nothing is waited for.
    #[inline]
    pub(crate) fn poll<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut poll: impl FnMut(
            &mut S,
            &mut Context<'_>,
            &mut CloseProgress,
        ) -> Poll<Result<T, ShutdownError>>,
    ) -> Poll<Result<T, ShutdownError>> {
        let mut this = self.project();
        let mut result = poll(this.stream, cx, this.progress);
        if result.is_pending() {
            if this.progress.awaits_reactor() {
                // Bounded in itself, and needs no timer.
                return Poll::Pending;
            }
            if this.progress.yields() && this.deadline.is_zero() && *this.turns_at_zero > 0 {
                // What has arrived is taken. Nothing is waited for.
                *this.turns_at_zero -= 1;
                return Poll::Pending;
            }
            ready!(this.deadline.as_mut().poll_elapsed(cx));
            this.progress.expire();
            result = poll(this.stream, cx, this.progress);
        }
        *this.ended = true;
        result
    }
}
