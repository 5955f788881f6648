//! One call of a close on a borrowed stream, bounded in time: what both futures are made of.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::{
    backend::rustls::Session,
    close::deadline::Deadline,
    close::machine::Goal,
    close::progress::{CloseProgress, record_close_failure},
    error::ShutdownError,
    tracker::observe::{self, CloseSpan},
};

const DEFAULT_DEADLINE: Duration = Duration::from_secs(5);

pin_project! {
    #[derive(Debug)]
    pub(crate) struct Call<'a, S: ?Sized> {
        stream: &'a mut S,
        last: &'a [u8],
        progress: CloseProgress,
        #[pin]
        deadline: Deadline,
        ended: bool,
        span: CloseSpan,
    }
}

impl<'a, S: Session> Call<'a, S> {
    pub(crate) fn new(stream: &'a mut S, last: &'a [u8]) -> Self {
        Self {
            stream,
            last,
            progress: CloseProgress::new(),
            deadline: Deadline::new(Some(DEFAULT_DEADLINE)),
            ended: false,
            span: CloseSpan::default(),
        }
    }

    /// To be set before the first poll.
    #[inline]
    pub(crate) fn set_deadline(&mut self, after: Option<Duration>) {
        self.deadline.set(after);
    }

    #[inline]
    pub(crate) fn set_discard_limit(&mut self, bytes: u64) {
        self.progress.set_discard_limit(bytes);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Polls until `goal` is reached, then hands over what is needed to tell how.
    pub(crate) fn poll<T>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        goal: Goal,
        tell: impl FnOnce(&CloseProgress, &mut S) -> T,
    ) -> Poll<Result<T, ShutdownError>> {
        let this = self.project();
        if observe::WANTED && this.stream.account().is_none() {
            this.span.start();
        }
        let result = match this.progress.poll(cx, *this.stream, goal, this.last) {
            Poll::Ready(result) => result,
            Poll::Pending => match this.deadline.poll_elapsed(cx) {
                Poll::Ready(()) => this.progress.time_out(goal),
                Poll::Pending => {
                    this.progress.set_untouched();
                    return Poll::Pending;
                }
            },
        };
        *this.ended = true;
        if let (Err(e), Some(account)) = (&result, this.stream.account()) {
            record_close_failure(account, e);
        }
        if this.span.is_observed() {
            this.span.stop();
            if let Err(e) = &result {
                this.span.record_error(e);
            }
            let outcome = this.progress.outcome(result.is_err());
            let discarded = this.progress.bytes_discarded();
            this.span.emit(this.stream.role(), outcome, discarded);
        }
        Poll::Ready(result.map(|()| tell(this.progress, *this.stream)))
    }
}
