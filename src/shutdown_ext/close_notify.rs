//! The future `CloseNotify`.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{ShutdownExt, timed::Timed};
use crate::{error::ShutdownError, state::ShutdownState};

pin_project! {
    /// Future of [`close_notify`](ShutdownExt::close_notify).
    ///
    /// Its deadline defaults to 5 seconds.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct CloseNotify<'a, S: ?Sized> {
        #[pin]
        call: Timed<'a, S>,
    }
}

impl<'a, S: ?Sized> CloseNotify<'a, S> {
    #[inline]
    pub(crate) fn new(stream: &'a mut S) -> Self {
        let call = Timed::new(stream);
        Self { call }
    }

    /// Sets how long the whole call may take. Defaults to 5 seconds.
    ///
    /// The clock starts where the call has to wait. Zero waits for nothing.
    #[inline]
    pub fn deadline(mut self, after: Duration) -> Self {
        self.call.set_deadline(Some(after));
        self
    }

    /// Waits for as long as it takes. The runtime then needs no timer.
    #[inline]
    pub fn no_deadline(mut self) -> Self {
        self.call.set_deadline(None);
        self
    }
}

impl<S: ShutdownExt + ?Sized> Future for CloseNotify<'_, S> {
    type Output = Result<ShutdownState, ShutdownError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll(cx, S::poll_close_notify)
    }
}

impl<S: ShutdownExt + ?Sized> FusedFuture for CloseNotify<'_, S> {
    fn is_terminated(&self) -> bool {
        self.call.has_ended()
    }
}
