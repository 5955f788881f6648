//! One call of the user's store: bounded in time, and a panic is an error.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
    time::Duration,
};

use tokio::time::timeout;

use super::store::StoreFuture;

/// Why a call has brought nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    TimedOut,
    Failed,
}

/// What the store is doing. That it is dropped is a call of the store, too, which may panic.
struct Running<'a, T>(Option<StoreFuture<'a, T>>);

impl<T> Running<'_, T> {
    fn end(&mut self) -> Result<(), Unanswered> {
        let future = self.0.take();
        catch_unwind(AssertUnwindSafe(|| drop(future))).map_err(|_panic| Unanswered::Failed)
    }
}

impl<T> Drop for Running<'_, T> {
    fn drop(&mut self) {
        let _ = self.end();
    }
}

pub(super) async fn bounded<'a, T>(
    limit: Duration,
    call: impl FnOnce() -> StoreFuture<'a, T>,
) -> Result<T, Unanswered> {
    // Only the store is inside, so nothing of ours can be left half done.
    let future = catch_unwind(AssertUnwindSafe(call)).map_err(|_panic| Unanswered::Failed)?;
    let mut running = Running(Some(future));
    let answer = poll_fn(|cx| {
        let Some(future) = &mut running.0 else {
            return Poll::Ready(Err(Unanswered::Failed));
        };
        let poll = AssertUnwindSafe(|| future.as_mut().poll(cx));
        match catch_unwind(poll) {
            Ok(Poll::Ready(Ok(answer))) => Poll::Ready(Ok(answer)),
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Err(_))) | Err(_) => Poll::Ready(Err(Unanswered::Failed)),
        }
    });
    let answer = match timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(Unanswered::TimedOut),
    };
    running.end()?;
    answer
}
