//! The future `CloseNotify`.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use crate::{
    backend::rustls::Session, close::call::Call, close::machine::Goal,
    close::progress::CloseProgress, error::ShutdownError, outcome::ShutdownState,
};

pin_project! {
    /// Future of [`close_notify`](crate::ShutdownExt::close_notify) and
    /// [`close_notify_with`](crate::ShutdownExt::close_notify_with).
    ///
    /// Its deadline is 5 seconds unless set.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct CloseNotify<'a, S: ?Sized> {
        #[pin]
        call: Call<'a, S>,
    }
}

impl<'a, S: Session> CloseNotify<'a, S> {
    pub(crate) fn new(stream: &'a mut S, last: &'a [u8]) -> Self {
        let call = Call::new(stream, last);
        Self { call }
    }

    /// Sets how long the whole call may take, from its first poll; 5 seconds unless set. Zero tries
    /// once and does not wait.
    #[inline]
    pub fn deadline(mut self, after: Duration) -> Self {
        self.call.set_deadline(Some(after));
        self
    }

    /// Waits for as long as it takes, and needs no timer of the runtime.
    #[inline]
    pub fn no_deadline(mut self) -> Self {
        self.call.set_deadline(None);
        self
    }
}

impl<S: Session> Future for CloseNotify<'_, S> {
    type Output = Result<ShutdownState, ShutdownError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let tell = |progress: &CloseProgress, _: &mut S| progress.state();
        self.project().call.poll(cx, Goal::Notify, tell)
    }
}

impl<S: Session> FusedFuture for CloseNotify<'_, S> {
    fn is_terminated(&self) -> bool {
        self.call.has_ended()
    }
}
