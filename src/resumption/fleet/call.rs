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

pub(super) async fn bounded<'a, T>(
    limit: Duration,
    call: impl FnOnce() -> StoreFuture<'a, T>,
) -> Result<T, Unanswered> {
    // Only the store is inside, so nothing of ours can be left half done.
    let mut future = catch_unwind(AssertUnwindSafe(call)).map_err(|_panic| Unanswered::Failed)?;
    let answer = poll_fn(|cx| {
        let poll = AssertUnwindSafe(|| future.as_mut().poll(cx));
        match catch_unwind(poll) {
            Ok(Poll::Ready(Ok(answer))) => Poll::Ready(Ok(answer)),
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(Err(_))) | Err(_) => Poll::Ready(Err(Unanswered::Failed)),
        }
    });
    match timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_elapsed) => Err(Unanswered::TimedOut),
    }
}
