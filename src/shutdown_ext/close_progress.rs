//! `CloseProgress`: the state of a close that its caller keeps.

use std::task::{Context, Poll};

#[cfg(doc)]
use crate::state::PeerClose;
use crate::{
    backend::Backend,
    close::{
        close_state::CloseState,
        machine::{Done, Goal},
        progress::Progress,
    },
    error::ShutdownError,
    state::ShutdownState,
    tracker::{
        CloseOutcome,
        observe::{self, CloseSpan},
    },
};

/// State of a close in progress, for use with the `poll_` methods of [`ShutdownExt`].
///
/// A plain TLS stream cannot store it, so the caller keeps one beside each stream and passes it to
/// every call. The futures have one of their own.
///
/// The discard limit defaults to 16 MiB. There is no deadline: see [`ShutdownExt`] for how to bound
/// a `poll_` method.
///
/// [`ShutdownExt`]: crate::ShutdownExt
///
/// ```
/// use std::{io, pin::Pin, task::{Context, Poll, ready}};
/// use tokio::io::AsyncWrite;
/// use tokio_tls_shutdown::{CloseProgress, ShutdownExt, tokio_rustls::server::TlsStream};
///
/// struct Connection<IO> {
///     tls: TlsStream<IO>,
///     progress: CloseProgress,
/// }
///
/// impl<IO: tokio::io::AsyncRead + AsyncWrite + Unpin> Connection<IO> {
///     fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
///         ready!(self.tls.poll_close_notify(cx, &mut self.progress))?;
///         Pin::new(self.tls.get_mut().0).poll_shutdown(cx)
///     }
/// }
/// ```
#[derive(Debug)]
pub struct CloseProgress {
    pub(crate) inner: Progress,
    /// For a stream that cannot remember.
    state: CloseState,
    span: CloseSpan,
}

impl Default for CloseProgress {
    fn default() -> Self {
        Self::new()
    }
}

impl CloseProgress {
    /// Creates a new progress, of a close that has not begun.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            inner: Progress::new(),
            state: CloseState::NEW,
            span: CloseSpan::of_call(),
        }
    }

    /// Sets how many bytes of application data a bidirectional close discards before it gives up
    /// with [`PeerClose::DiscardLimit`]. Defaults to 16 MiB.
    #[must_use]
    pub const fn discard_limit(mut self, bytes: u64) -> Self {
        self.inner.set_discard_limit(bytes);
        self
    }

    /// Returns which alerts were exchanged, as far as the last poll has seen.
    #[must_use]
    pub fn state(&self) -> ShutdownState {
        self.inner.exchange().state()
    }

    /// Polls a stream that cannot remember, and emits what tracing and metrics want to know when
    /// the call ends.
    #[inline(always)]
    pub(super) fn poll<B: Backend>(
        &mut self,
        cx: &mut Context<'_>,
        backend: &mut B,
        goal: Goal,
    ) -> Poll<Result<Done, ShutdownError>> {
        if observe::WANTED && goal != Goal::PeerClosed {
            self.span.start();
        }
        let poll = self.inner.poll(cx, backend, goal, &[], &mut self.state);
        if observe::WANTED && self.span.is_observed() {
            if let Poll::Ready(result) = &poll {
                self.emit(backend, result);
            }
        }
        poll
    }

    #[cold]
    fn emit<B: Backend>(&mut self, backend: &mut B, result: &Result<Done, ShutdownError>) {
        // The next poll is another call.
        let mut span = std::mem::replace(&mut self.span, CloseSpan::of_call());
        span.stop();
        let peer = self.inner.peer_close();
        let was_sent = self.inner.exchange().has_sent();
        let outcome = match result {
            Ok(_) => CloseOutcome::of_peer(peer, was_sent),
            Err(e) => {
                span.record_error(&e.in_one_line());
                CloseOutcome::Failed
            }
        };
        span.emit(backend.role(), outcome, self.inner.bytes_discarded());
    }
}
