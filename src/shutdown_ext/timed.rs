//! `Timed`: a call on a borrowed stream, with a deadline.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;

use super::close_progress::CloseProgress;
use crate::{close::deadline::Deadline, error::ShutdownError};

/// How long a call may take, unless it is set.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

pin_project! {
    /// A call of a close on a borrowed stream, bounded in time.
    #[derive(Debug)]
    pub(crate) struct Timed<'a, S: ?Sized> {
        stream: &'a mut S,
        pub(super) progress: CloseProgress,
        #[pin]
        deadline: Deadline,
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
            ended: false,
        }
    }

    /// To be set before the first poll.
    #[inline]
    pub(crate) fn set_deadline(&mut self, after: Option<Duration>) {
        self.deadline.set(after);
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
        let result = poll(this.stream, cx, this.progress);
        if result.is_ready() {
            *this.ended = true;
            return result;
        }
        let inner = &this.progress.inner;
        if inner.awaits_reactor() {
            // Bounded in itself, and needs no timer.
            return Poll::Pending;
        }
        // What has arrived is taken. Nothing is waited for.
        if inner.yields() && this.deadline.as_mut().gives_way() {
            return Poll::Pending;
        }
        ready!(this.deadline.poll_elapsed(cx));
        *this.ended = true;
        poll_last(&mut **this.stream, cx, this.progress, poll)
    }
}

/// The last poll: nothing is waited for. Apart from the others, so that they need not hold it twice.
#[cold]
fn poll_last<S: ?Sized, T>(
    stream: &mut S,
    cx: &mut Context<'_>,
    progress: &mut CloseProgress,
    mut poll: impl FnMut(&mut S, &mut Context<'_>, &mut CloseProgress) -> Poll<Result<T, ShutdownError>>,
) -> Poll<Result<T, ShutdownError>> {
    progress.inner.expire();
    poll(stream, cx, progress)
}
