//! Reading from and writing to a `GracefulStream`.

use std::{
    io::{self, IoSlice},
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use super::{GracefulStream, ShutdownStep, handshake_tasks::Task, linger};
use crate::{
    backend::{Alert, Backend, BackendError, PlainStream, Plaintext, Received, peer_close_of},
    close::{machine::Goal, progress::Progress},
    error::{ShutdownError, copy_of, is_not_tls},
    state::{PeerClose, ShutdownState},
    tracker::Side,
};

/// Error of a stream that its tracker has aborted.
pub(super) fn aborted() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "stream aborted: the deadline of its CloseTracker has passed",
    )
}

/// Error of data that come after our `close_notify`.
pub(super) fn write_after_close() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "write after close_notify")
}

impl<S: PlainStream> GracefulStream<S> {
    /// Fails if the tracker has aborted the stream.
    #[inline]
    fn check_aborted(&mut self) -> io::Result<()> {
        match self.record() {
            Some(record) if record.is_aborted() => Err(self.abort()),
            _ => Ok(()),
        }
    }

    /// Has the tracker wake a task that is blocked, and fails if it has aborted the stream.
    #[inline]
    fn poll_or_aborted<T>(
        &mut self,
        cx: &Context<'_>,
        side: Side,
        poll: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if poll.is_ready() {
            return poll;
        }
        match self.record() {
            Some(record) => match record.poll_aborted(cx, side) {
                true => Poll::Ready(Err(self.abort())),
                false => Poll::Pending,
            },
            None => Poll::Pending,
        }
    }

    #[cold]
    fn abort(&mut self) -> io::Error {
        let is_first = self.record().is_some_and(|record| record.abort());
        if is_first && !self.is_quiet() {
            self.try_close();
        }
        aborted()
    }

    /// Writes down why reading or writing has failed.
    #[cold]
    fn on_error(&mut self, error: &io::Error) {
        let Some(record) = self.record() else {
            return;
        };
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(ours) if ShutdownError::is_tls_failure(ours) => {
                return record.on_tls_failed(&ours.in_one_line());
            }
            _ if S::is_tls_error(error) || is_not_tls(error) => return record.on_tls_failed(error),
            _ => {}
        }
        match peer_close_of(error) {
            Some(how) => record.on_peer_closed(how),
            None => record.on_io_failed(error),
        }
    }

    /// Writes down that the session has failed, though a read was successful: there may be none that
    /// meets the error.
    #[cold]
    fn on_failed(&mut self) {
        let status = self.stream.status(&self.state.alert);
        if let (Err(BackendError::Tls(e)), Some(record)) = (status, self.record()) {
            record.on_tls_failed(&e);
        }
    }

    /// Returns `true` while early data keep the handshake open for the application to write more.
    /// Then a read waits until a write or a flush has finished it, as on the wrapped stream; if
    /// nothing may be written any more, the read has to do that itself.
    #[inline]
    fn is_early(&mut self) -> bool {
        !self.is_established && !self.is_closing() && !self.is_established()
    }

    /// Takes one step towards something to read. `None` if there is nothing yet.
    #[inline]
    fn poll_read_step(
        &mut self,
        cx: &mut Context<'_>,
        plaintext: Plaintext<'_, '_>,
    ) -> Poll<io::Result<Option<usize>>> {
        let received = match self.closes_behind_handshake() {
            // Which this may finish.
            true => ready!(self.poll_for_both(Task::Reader, cx, |this, cx| {
                let alert = &mut this.state.alert;
                this.stream.poll_receive(cx, plaintext, alert)
            })),
            false => {
                let alert = &mut self.state.alert;
                ready!(self.stream.poll_receive(cx, plaintext, alert))
            }
        };
        Poll::Ready(match received {
            Ok(Received::Data(bytes)) => Ok(Some(bytes)),
            Ok(Received::Other | Received::Full) => Ok(None),
            Ok(end) => self.read_end(end),
            Err(BackendError::Transport(e)) => Err(e),
            Err(BackendError::Tls(e)) => Err(ShutdownError::Tls(e).into()),
            Err(BackendError::Handshaking) => Err(ShutdownError::Handshaking.into()),
        })
    }

    /// The peer has ended its side.
    fn read_end(&mut self, end: Received) -> io::Result<Option<usize>> {
        let (how, result) = match end {
            Received::Eof => {
                let eof = ShutdownError::Unclean(PeerClose::Eof);
                (PeerClose::Eof, Err(eof.into()))
            }
            // The error once, then the end, as from a socket.
            Received::Reset(_) if mem::replace(&mut self.has_read_reset, true) => {
                (PeerClose::Reset, Ok(Some(0)))
            }
            Received::Reset(kind) => (PeerClose::Reset, Err(kind.into())),
            _ => (PeerClose::CloseNotify, Ok(Some(0))),
        };
        self.state.on_peer_closed(how);
        let exchange = self.state.exchange;
        if let Some(record) = self.record() {
            if exchange.has_alert_left() {
                record.on_alert_left();
            }
            record.on_peer_closed(how);
        }
        result
    }

    /// What every read does beside reading.
    #[inline]
    fn poll_read_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.extras.is_none() {
            return read(self, cx);
        }
        self.check_aborted()?;
        let poll = read(self, cx);
        if let Some(linger) = self.linger() {
            linger.on_read(poll.is_pending(), cx);
        }
        if let Poll::Ready(Err(e)) = &poll {
            self.on_error(e);
        }
        if mem::take(&mut self.state.alert.failed) {
            self.on_failed();
        }
        self.poll_or_aborted(cx, Side::Read, poll)
    }

    /// What every write and flush does beside writing.
    #[inline]
    fn poll_write_with<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.check_aborted()?;
        let poll = write(self, cx);
        self.state.alert.writer_waits = poll.is_pending();
        if self.extras.is_none() {
            return poll;
        }
        if let Poll::Ready(Err(e)) = &poll {
            if !self.is_closing() {
                self.on_error(e);
            }
        }
        self.poll_or_aborted(cx, Side::Write, poll)
    }
}

impl<S: PlainStream + AsyncRead + Unpin> AsyncRead for GracefulStream<S> {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().poll_read_with(cx, |this, cx| {
            if this.is_early() {
                return Pin::new(&mut *this.stream).poll_read(cx, buf);
            }
            loop {
                let step = this.poll_read_step(cx, Plaintext::Read(buf));
                if ready!(step)?.is_some() {
                    return Poll::Ready(Ok(()));
                }
            }
        })
    }
}

impl<S: PlainStream + AsyncBufRead + Unpin> AsyncBufRead for GracefulStream<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        let poll = this.poll_read_with(cx, |this, cx| {
            if this.is_early() {
                return Pin::new(&mut *this.stream).poll_fill_buf(cx).map_ok(drop);
            }
            loop {
                if ready!(this.poll_read_step(cx, Plaintext::Fill))?.is_some() {
                    return Poll::Ready(Ok(()));
                }
            }
        });
        poll.map_ok(|()| this.stream.unread())
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        Backend::consume(&mut *self.get_mut().stream, amount);
    }
}

impl<S: PlainStream + AsyncWrite + Unpin> AsyncWrite for GracefulStream<S> {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().poll_write_with(cx, |this, cx| {
            if this.is_closing() {
                return Poll::Ready(Err(write_after_close()));
            }
            let poll = this.stream.poll_write(cx, bufs, &mut this.state.alert);
            this.has_written |= matches!(poll, Poll::Ready(Ok(1..)));
            if this.is_closing() {
                // The library has closed by itself, because its keys are used up.
                this.try_close();
            }
            poll
        })
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut()
            .poll_write_with(cx, |this, cx| match this.state.alert.alert {
                Alert::Unqueued => Pin::new(&mut *this.stream).poll_flush(cx),
                Alert::Sent => Poll::Ready(Ok(())),
                _ => this
                    .poll_close(cx, &mut Progress::new(), Goal::Notify, &[])
                    .map_ok(drop)
                    .map_err(io::Error::from),
            })
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut failure = this.failure().map(copy_of);
        if this.step == ShutdownStep::Notify {
            failure = ready!(this.poll_last_byte(cx)).err();
            if let Some(e) = &failure {
                this.set_failure(e);
            }
            this.step = ShutdownStep::CloseTransport;
        }
        // Also where the alert has failed: the peer need not wait for more.
        if this.step == ShutdownStep::CloseTransport {
            let poll = this.stream.poll_close_transport(cx);
            if let Err(e) = ready!(this.poll_or_aborted(cx, Side::Write, poll)) {
                if failure.is_none() {
                    this.set_failure(&e);
                }
                failure.get_or_insert(e);
            }
            this.step = ShutdownStep::Done;
        }
        match failure {
            Some(failure) => Poll::Ready(Err(failure)),
            None if this.quiet => Poll::Ready(Ok(())),
            None => linger::poll_drain(this, cx).map_err(io::Error::from),
        }
    }
}

impl<S: PlainStream + AsyncWrite + Unpin> GracefulStream<S> {
    /// Returns why an earlier `shutdown()` could not close our side.
    fn failure(&self) -> Option<&io::Error> {
        self.extras.as_ref()?.failure.as_ref()
    }

    #[cold]
    fn set_failure(&mut self, error: &io::Error) {
        self.extras.get_or_insert_default().failure = Some(copy_of(error));
    }

    /// The first step of a shutdown: the last byte that we send.
    fn poll_last_byte(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_quiet() {
            ready!(Pin::new(&mut *self).poll_flush(cx))?;
            self.assume(ShutdownState::SENT);
            return Poll::Ready(Ok(()));
        }
        linger::poll_notify(self, cx).map_err(io::Error::from)
    }
}
