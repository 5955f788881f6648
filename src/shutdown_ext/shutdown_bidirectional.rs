//! The future `ShutdownBidirectional`.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::{ShutdownExt, timed::Timed};
use crate::{closed::Closed, error::ShutdownError};

pin_project! {
    /// Future of [`shutdown_bidirectional`](ShutdownExt::shutdown_bidirectional).
    ///
    /// Its deadline defaults to 5 seconds, its discard limit to 16 MiB.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ShutdownBidirectional<'a, S: ?Sized> {
        #[pin]
        call: Timed<'a, S>,
    }
}

impl<'a, S: ?Sized> ShutdownBidirectional<'a, S> {
    #[inline]
    pub(crate) fn new(stream: &'a mut S) -> Self {
        let call = Timed::new(stream);
        Self { call }
    }

    /// Sets how long the whole call may take. Defaults to 5 seconds.
    ///
    /// The clock starts where the call has to wait. Zero sends our `close_notify` if that is
    /// possible at once, takes what has already arrived, and waits for nothing.
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

    /// Sets how many bytes of application data are discarded before the call gives up with
    /// [`PeerClose::DiscardLimit`](crate::PeerClose::DiscardLimit). Defaults to 16 MiB.
    #[inline]
    pub fn discard_limit(mut self, bytes: u64) -> Self {
        self.call.progress.inner.set_discard_limit(bytes);
        self
    }
}

impl<S: ShutdownExt + ?Sized> Future for ShutdownBidirectional<'_, S> {
    type Output = Result<Closed, ShutdownError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.project().call.poll(cx, S::poll_shutdown_bidirectional)
    }
}

impl<S: ShutdownExt + ?Sized> FusedFuture for ShutdownBidirectional<'_, S> {
    fn is_terminated(&self) -> bool {
        self.call.has_ended()
    }
}
