//! The drain of `ClosePolicy::Linger`: how long, and for whom.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::{
    backend::rustls::Session, close::deadline::Deadline, close::machine::Goal,
    close::progress::CloseProgress, error::ShutdownError, policy::ClosePolicy,
};

#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    pub(crate) idle: Duration,
    pub(crate) deadline: Duration,
    pub(crate) discard_limit: u64,
}

impl From<Bounds> for ClosePolicy {
    fn from(bounds: Bounds) -> Self {
        Self::Linger {
            idle: bounds.idle,
            deadline: bounds.deadline,
            discard_limit: bounds.discard_limit,
        }
    }
}

/// The state of a stream that lingers when it is closed.
#[derive(Debug)]
pub(crate) struct Linger {
    pub(crate) bounds: Bounds,
    /// Made when the close begins.
    drain: Option<Pin<Box<Drain>>>,
    /// Who waits in a read.
    reader: Option<Waker>,
}

pin_project! {
    #[derive(Debug)]
    struct Drain {
        progress: CloseProgress,
        #[pin]
        idle: Deadline,
        #[pin]
        deadline: Deadline,
        waker: Option<Waker>,
        taken_over: bool,
    }
}

impl Linger {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            drain: None,
            reader: None,
        }
    }

    /// Somebody reads: what comes from now on is theirs.
    pub(crate) fn reads(&mut self, pending: bool, cx: &mut Context<'_>) {
        if !pending {
            self.reader = None;
        } else if !self.is_read_by(cx) {
            self.reader = Some(cx.waker().clone());
        }
        if let Some(drain) = &mut self.drain {
            let drain = drain.as_mut().project();
            *drain.taken_over = true;
            if let Some(waker) = drain.waker.take() {
                waker.wake();
            }
        }
    }

    fn is_read_by(&self, cx: &mut Context<'_>) -> bool {
        // As a clone, as the other is one: in release builds an `Arc` waker may have another vtable
        // than its clones.
        (self.reader.as_ref()).is_some_and(|reader| reader.will_wake(&cx.waker().clone()))
    }

    /// Tells whether somebody else than the caller waits for what comes.
    fn is_taken_over(&self, cx: &mut Context<'_>) -> bool {
        let drained = self.drain.as_ref().is_some_and(|drain| drain.taken_over);
        // A transport wakes one reader. Whoever closes may have read in the same task before.
        drained || self.reader.is_some() && !self.is_read_by(cx)
    }

    /// Sends our close_notify, and reads while that is blocked.
    pub(crate) fn poll_notify<S: Session>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<(), ShutdownError>> {
        let taken_over = self.is_taken_over(cx);
        let mut drain = self.drain();
        let this = drain.as_mut().project();
        let mut poll = this.progress.poll(cx, stream, Goal::Notify, &[]);
        if poll.is_pending() && !taken_over {
            poll = this.progress.poll(cx, stream, Goal::Bidirectional, &[]);
        }
        if poll.is_pending() && this.deadline.poll_elapsed(cx).is_ready() {
            return Poll::Ready(this.progress.time_out(Goal::Notify));
        }
        if poll.is_pending() {
            *this.waker = Some(cx.waker().clone());
        }
        poll
    }

    /// Reads until the peer has closed or a bound is reached.
    pub(crate) fn poll_drain<S: Session>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut S,
    ) -> Poll<Result<(), ShutdownError>> {
        if self.is_taken_over(cx) {
            return Poll::Ready(Ok(()));
        }
        let mut drain = self.drain();
        let mut this = drain.as_mut().project();
        let result = match this.progress.poll(cx, stream, Goal::Bidirectional, &[]) {
            Poll::Ready(result) => result,
            Poll::Pending => {
                if this.progress.has_read() {
                    this.idle.as_mut().restart();
                }
                let idle = this.idle.poll_elapsed(cx);
                let deadline = this.deadline.poll_elapsed(cx);
                if idle.is_pending() && deadline.is_pending() {
                    *this.waker = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                this.progress.time_out(Goal::Bidirectional)
            }
        };
        Poll::Ready(result.map(|()| {
            // The stream notes the outcome.
            let _ = this.progress.closed(stream);
        }))
    }

    fn drain(&mut self) -> Pin<&mut Drain> {
        let bounds = self.bounds;
        let drain = self.drain.get_or_insert_with(|| {
            Box::pin(Drain {
                progress: CloseProgress::new().discard_limit(bounds.discard_limit),
                idle: Deadline::new(Some(bounds.idle)),
                deadline: Deadline::new(Some(bounds.deadline)),
                waker: None,
                taken_over: false,
            })
        });
        drain.as_mut()
    }
}
