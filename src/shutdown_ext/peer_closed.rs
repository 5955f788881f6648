//! The future `WaitPeerClosed`.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::FusedFuture;

use super::{ShutdownExt, close_progress::CloseProgress};
use crate::{error::ShutdownError, state::PeerStatus};

/// Future of [`peer_closed`](ShutdownExt::peer_closed).
///
/// It has no deadline, and needs no timer of the runtime.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct WaitPeerClosed<'a, S: ?Sized> {
    stream: &'a mut S,
    progress: CloseProgress,
    ended: bool,
}

impl<'a, S: ?Sized> WaitPeerClosed<'a, S> {
    pub(crate) fn new(stream: &'a mut S) -> Self {
        Self {
            stream,
            progress: CloseProgress::new(),
            ended: false,
        }
    }
}

impl<S: ShutdownExt + ?Sized> Future for WaitPeerClosed<'_, S> {
    type Output = Result<PeerStatus, ShutdownError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let poll = this.stream.poll_peer_closed(cx, &mut this.progress);
        this.ended = poll.is_ready();
        poll
    }
}

impl<S: ShutdownExt + ?Sized> FusedFuture for WaitPeerClosed<'_, S> {
    fn is_terminated(&self) -> bool {
        self.ended
    }
}
