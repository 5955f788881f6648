//! The drain of `ClosePolicy::Linger`: how long, and for whom.
//!
//! A stream that lingers discards what arrives, unless someone else reads it. Only a reader that
//! waits has left a trace, its waker, and a waker does not tell whether there still is a reader: the
//! read may have been given up, or may have belonged to an earlier owner. So the drain asks: it
//! wakes the reader and gives it time to read. A reader that does is alive and gets the rest.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use pin_project_lite::pin_project;

use super::GracefulStream;
use crate::{
    backend::PlainStream,
    close::{deadline::Deadline, machine::Goal, progress::Progress},
    error::ShutdownError,
    foreign,
    policy::ClosePolicy,
    wakers::is_same,
};

/// How long a reader in another task has to answer. One that is alive answers at its next turn; one
/// that is gone costs the close this much once.
const READER_GRACE: Duration = Duration::from_millis(100);

/// The bounds of [`ClosePolicy::Linger`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    idle: Duration,
    deadline: Duration,
    discard_limit: u64,
}

impl Bounds {
    pub(super) fn of(policy: ClosePolicy) -> Option<Self> {
        match policy {
            ClosePolicy::Linger {
                idle,
                deadline,
                discard_limit,
            } => Some(Self {
                idle,
                deadline,
                discard_limit,
            }),
            ClosePolicy::Notify | ClosePolicy::Quiet => None,
        }
    }
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
    pub(super) bounds: Bounds,
    /// Made when the close begins.
    drain: Option<Pin<Box<Drain>>>,
    /// The waker of the last read, if that had to wait.
    reader: Option<Waker>,
}

pin_project! {
    #[derive(Debug)]
    struct Drain {
        progress: Progress,
        #[pin]
        idle: Deadline,
        #[pin]
        deadline: Deadline,
        // How long a reader has to answer, or to read again.
        #[pin]
        grace: Deadline,
        reading: Reading,
        // Of the task that shuts down, which a reader wakes.
        waker: Option<Waker>,
        is_over: bool,
    }
}

/// Whether someone else reads, as far as this shutdown has found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    Unknown,
    /// A reader in our own task was woken: it reads before or after us in the next turn.
    AskedSameTask,
    /// A reader in another task was woken.
    AskedOtherTask,
    Yes,
}

impl Linger {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            drain: None,
            reader: None,
        }
    }

    /// The application has read, or waits for something to read.
    pub(super) fn on_read(&mut self, is_pending: bool, cx: &Context<'_>) {
        if !is_pending {
            self.reader = None;
        } else if !is_reader(self.reader.as_ref(), cx) {
            self.reader = Some(cx.waker().clone());
        }
        if let Some(drain) = &mut self.drain {
            let mut drain = drain.as_mut().project();
            // Never less, or a reader that lives would be asked again and again.
            let grace = self.bounds.idle.max(READER_GRACE);
            drain.grace.set(Deadline::new(Some(grace)));
            if mem::replace(drain.reading, Reading::Yes) != Reading::Yes {
                if let Some(waker) = drain.waker.take() {
                    foreign::call(|| waker.wake());
                }
            }
        }
    }

    fn drain(&mut self) -> Pin<&mut Drain> {
        let bounds = self.bounds;
        let drain = self.drain.get_or_insert_with(|| {
            Box::pin(Drain {
                progress: {
                    let mut progress = Progress::new();
                    progress.set_discard_limit(bounds.discard_limit);
                    progress
                },
                idle: Deadline::new(Some(bounds.idle)),
                deadline: Deadline::new(Some(bounds.deadline)),
                grace: Deadline::new(Some(READER_GRACE)),
                reading: Reading::Unknown,
                waker: None,
                is_over: false,
            })
        });
        drain.as_mut()
    }

    /// Finds out whether someone else reads. `Pending` while a reader has time to answer.
    fn poll_is_read(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let reader = self.reader.take();
        let mut drain = self.drain().project();
        match *drain.reading {
            Reading::Yes if drain.grace.as_mut().poll_elapsed(cx).is_pending() => {
                self.reader = reader;
                Poll::Ready(true)
            }
            // One that has read nothing for so long may have gone since.
            Reading::Yes | Reading::Unknown => {
                let Some(reader) = reader else {
                    *drain.reading = Reading::Unknown;
                    return Poll::Ready(false);
                };
                let is_same_task = is_reader(Some(&reader), cx);
                *drain.reading = match is_same_task {
                    true => Reading::AskedSameTask,
                    false => Reading::AskedOtherTask,
                };
                // This state is out of its place meanwhile, and would be lost with a panic.
                foreign::call(|| reader.wake());
                if !is_same_task {
                    *drain.waker = Some(cx.waker().clone());
                    let mut grace = drain.grace;
                    grace.set(Deadline::new(Some(READER_GRACE)));
                    ready!(grace.poll_elapsed(cx));
                }
                Poll::Pending
            }
            Reading::AskedSameTask => {
                *drain.reading = Reading::Unknown;
                Poll::Ready(false)
            }
            Reading::AskedOtherTask => {
                *drain.waker = Some(cx.waker().clone());
                ready!(drain.grace.poll_elapsed(cx));
                *drain.reading = Reading::Unknown;
                Poll::Ready(false)
            }
        }
    }
}

fn is_reader(reader: Option<&Waker>, cx: &Context<'_>) -> bool {
    reader.is_some_and(|reader| is_same(reader, cx))
}

/// Sends our `close_notify`, and reads while that is blocked if the stream lingers.
pub(super) fn poll_notify<S: PlainStream>(
    stream: &mut GracefulStream<S>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), ShutdownError>> {
    let Some(mut linger) = take(stream) else {
        let mut progress = Progress::new();
        return stream
            .poll_close(cx, &mut progress, Goal::Notify, &[])
            .map_ok(drop);
    };
    let poll = linger.poll_notify(stream, cx);
    put_back(stream, linger);
    poll
}

/// Reads and discards until the peer has closed or a bound is reached, if the stream lingers.
pub(super) fn poll_drain<S: PlainStream>(
    stream: &mut GracefulStream<S>,
    cx: &mut Context<'_>,
) -> Poll<Result<(), ShutdownError>> {
    let Some(mut linger) = take(stream) else {
        return Poll::Ready(Ok(()));
    };
    let poll = linger.poll_drain(stream, cx);
    put_back(stream, linger);
    poll
}

fn take<S>(stream: &mut GracefulStream<S>) -> Option<Linger> {
    stream.extras.as_mut()?.linger.take()
}

fn put_back<S>(stream: &mut GracefulStream<S>, linger: Linger) {
    if let Some(extras) = &mut stream.extras {
        extras.linger = Some(linger);
    }
}

impl Linger {
    fn poll_notify<S: PlainStream>(
        &mut self,
        stream: &mut GracefulStream<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ShutdownError>> {
        let may_be_read = self.reader.is_some() || self.drain().reading != Reading::Unknown;
        let goal = match may_be_read {
            true => Goal::Notify,
            false => Goal::NotifyAndDiscard,
        };
        let mut poll = stream.poll_close(cx, self.drain().project().progress, goal, &[]);
        if poll.is_pending() && may_be_read && self.poll_is_read(cx) == Poll::Ready(false) {
            let progress = self.drain().project().progress;
            poll = stream.poll_close(cx, progress, Goal::NotifyAndDiscard, &[]);
        }
        let drain = self.drain().project();
        if poll.is_pending() && !drain.progress.awaits_reactor() {
            if drain.deadline.poll_elapsed(cx).is_pending() {
                *drain.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            drain.progress.expire();
            poll = stream.poll_close(cx, drain.progress, Goal::Notify, &[]);
        }
        poll.map_ok(drop)
    }

    fn poll_drain<S: PlainStream>(
        &mut self,
        stream: &mut GracefulStream<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ShutdownError>> {
        if self.drain().is_over {
            return Poll::Ready(Ok(()));
        }
        if ready!(self.poll_is_read(cx)) {
            // The rest is theirs. A later `shutdown()` asks again.
            *self.drain().project().reading = Reading::Unknown;
            return Poll::Ready(Ok(()));
        }
        self.poll_discard(stream, cx)
    }

    /// Discards what arrives, within the bounds.
    fn poll_discard<S: PlainStream>(
        &mut self,
        stream: &mut GracefulStream<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), ShutdownError>> {
        let mut drain = self.drain().project();
        let mut poll = stream.poll_close(cx, drain.progress, Goal::Bidirectional, &[]);
        if poll.is_pending() {
            if drain.progress.awaits_reactor() {
                return Poll::Pending;
            }
            if drain.progress.has_received_any() {
                drain.idle.as_mut().restart();
            }
            let idle = drain.idle.poll_elapsed(cx);
            if drain.deadline.poll_elapsed(cx).is_pending() && idle.is_pending() {
                *drain.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            drain.progress.expire();
            poll = stream.poll_close(cx, drain.progress, Goal::Bidirectional, &[]);
        }
        if let Poll::Ready(Ok(_)) = poll {
            *drain.is_over = true;
            // The stream remembers it.
            let _ = stream.closed(drain.progress);
        }
        poll.map_ok(drop)
    }
}
