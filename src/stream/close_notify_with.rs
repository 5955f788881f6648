//! The future `CloseNotifyWith`.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::FusedFuture;
use pin_project_lite::pin_project;

use super::GracefulStream;
use crate::{
    backend::PlainStream, error::ShutdownError, shutdown_ext::timed::Timed, state::ShutdownState,
};

pin_project! {
    /// Future of [`close_notify_with`](GracefulStream::close_notify_with).
    ///
    /// Its deadline defaults to 5 seconds.
    #[must_use = "futures do nothing unless polled"]
    pub struct CloseNotifyWith<'a, S> {
        #[pin]
        call: Timed<'a, GracefulStream<S>>,
        data: &'a [u8],
    }
}

impl<'a, S> CloseNotifyWith<'a, S> {
    pub(crate) fn new(stream: &'a mut GracefulStream<S>, data: &'a [u8]) -> Self {
        let call = Timed::new(stream);
        Self { call, data }
    }

    /// Sets how long the whole call may take. Defaults to 5 seconds.
    ///
    /// The clock starts where the call has to wait. Zero waits for nothing.
    pub fn deadline(mut self, after: Duration) -> Self {
        self.call.set_deadline(Some(after));
        self
    }

    /// Waits for as long as it takes. The runtime then needs no timer.
    pub fn no_deadline(mut self) -> Self {
        self.call.set_deadline(None);
        self
    }
}

impl<S: PlainStream> Future for CloseNotifyWith<'_, S> {
    type Output = Result<ShutdownState, ShutdownError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let data = *this.data;
        this.call.poll(cx, |stream, cx, progress| {
            stream.poll_close_notify_with(cx, data, progress)
        })
    }
}

impl<S: PlainStream> FusedFuture for CloseNotifyWith<'_, S> {
    fn is_terminated(&self) -> bool {
        self.call.has_ended()
    }
}

impl<S> fmt::Debug for CloseNotifyWith<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only how long the data are: they may be secret.
        f.debug_struct("CloseNotifyWith")
            .field("data", &self.data.len())
            .finish_non_exhaustive()
    }
}
