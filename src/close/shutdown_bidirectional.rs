//! The future `ShutdownBidirectional`.

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
    close::progress::CloseProgress, error::ShutdownError, outcome::Closed,
};

pin_project! {
    /// Future of [`shutdown_bidirectional`](crate::ShutdownExt::shutdown_bidirectional).
    ///
    /// Its deadline is 5 seconds and its discard limit 16 MiB unless set.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ShutdownBidirectional<'a, S: ?Sized> {
        #[pin]
        call: Call<'a, S>,
    }
}

impl<'a, S: Session> ShutdownBidirectional<'a, S> {
    pub(crate) fn new(stream: &'a mut S) -> Self {
        let call = Call::new(stream, &[]);
        Self { call }
    }

    /// Sets how long the whole call may take, from its first poll; 5 seconds unless set. Zero sends
    /// our close_notify if that is possible at once, takes what has already come, and waits for
    /// nobody.
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

    /// Sets how many bytes of application data are thrown away before the call gives up on the
    /// peer with [`PeerClose::DiscardLimit`](crate::PeerClose::DiscardLimit); 16 MiB unless set.
    #[inline]
    pub fn discard_limit(mut self, bytes: u64) -> Self {
        self.call.set_discard_limit(bytes);
        self
    }
}

impl<S: Session> Future for ShutdownBidirectional<'_, S> {
    type Output = Result<Closed, ShutdownError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let tell = CloseProgress::closed::<S>;
        self.project().call.poll(cx, Goal::Bidirectional, tell)
    }
}

impl<S: Session> FusedFuture for ShutdownBidirectional<'_, S> {
    fn is_terminated(&self) -> bool {
        self.call.has_ended()
    }
}
