//! Libraries that wait without having asked their transport, which none of the real ones does here.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf, duplex};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::spawn};

use super::{GatedStream, gate::Gate, gated_backend};
use crate::{PeerClose, ShutdownError, ShutdownExt};

/// A library without TLS.
struct Library {
    gate: Gate<DuplexStream>,
    /// How many reads are pending before the peer's `close_notify`.
    reads_pending: usize,
    makes_alerts: bool,
}

impl Library {
    /// The other end keeps the transport open.
    fn new(reads_pending: usize, makes_alerts: bool) -> (Self, DuplexStream) {
        let (io, other) = duplex(64);
        let library = Self {
            gate: Gate::new(io),
            reads_pending,
            makes_alerts,
        };
        (library, other)
    }
}

impl AsyncRead for Library {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.reads_pending {
            0 => Poll::Ready(Ok(())),
            _ => {
                self.reads_pending -= 1;
                Poll::Pending
            }
        }
    }
}

impl AsyncWrite for Library {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().gate).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().gate).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.makes_alerts {
            true => Pin::new(&mut self.get_mut().gate)
                .poll_write(cx, b"alert")
                .map_ok(drop),
            false => Poll::Pending,
        }
    }
}

impl GatedStream for Library {
    type Transport = DuplexStream;

    const PEEKS: bool = false;

    const REPEATS_WRITES: bool = false;

    fn gate(&self) -> &Gate<DuplexStream> {
        &self.gate
    }

    fn gate_mut(&mut self) -> &mut Gate<DuplexStream> {
        &mut self.gate
    }

    fn is_established(&self) -> bool {
        true
    }

    fn poll_peek(&mut self, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Pending
    }

    fn is_tls_error(_: &io::Error) -> bool {
        false
    }

    fn alert(&self, _: &io::Error) -> Option<u8> {
        None
    }
}

gated_backend!(impl[] Library);

#[test]
fn a_library_that_makes_no_alert_is_an_error_and_not_a_hang() {
    let (mut library, _other) = Library::new(0, false);
    let mut close = spawn(library.close_notify().no_deadline());
    let closed = assert_ready!(close.poll());
    assert!(matches!(closed, Err(ShutdownError::Send(_))), "{closed:?}");
}

#[test]
fn a_library_that_wants_to_be_called_again_is() {
    let (mut library, _other) = Library::new(1, true);
    let mut close = spawn(library.shutdown_bidirectional().no_deadline());
    assert_pending!(close.poll());
    assert!(close.is_woken());
    let closed = assert_ready_ok!(close.poll());
    assert_eq!(closed.peer(), PeerClose::CloseNotify);
}
