//! The transport that writes the timeline.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Secrets, direction::Direction};
use crate::timeline::{Side, Timeline, What};

/// A transport that writes to the timeline what is read and written.
///
/// Never reads past the end of a TLS record: the secrets that open a record are known by the time the
/// record before it has been processed.
pub(crate) struct Transport<IO> {
    io: IO,
    timeline: Arc<Timeline>,
    incoming: Direction,
    outgoing: Direction,
    /// A reset that was found by writing looks like FIN to who reads.
    write_failed: bool,
}

impl<IO> Transport<IO> {
    /// Begins in plaintext.
    pub(crate) fn new(io: IO, timeline: Arc<Timeline>, secrets: &Arc<Secrets>) -> Self {
        Self {
            io,
            incoming: Direction::new(Side::Server, timeline.clone(), secrets.clone()),
            outgoing: Direction::new(Side::Client, timeline.clone(), secrets.clone()),
            timeline,
            write_failed: false,
        }
    }

    /// TLS begins with the next byte, in both directions.
    pub(crate) fn begin_tls(&mut self) {
        self.incoming.begin_tls();
        self.outgoing.begin_tls();
    }

    fn end(&mut self, what: What, detail: Option<String>) {
        self.incoming.end();
        self.timeline.end(what, detail);
    }

    fn fail(&mut self, error: &io::Error) {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                self.end(What::Reset, None);
            }
            _ => self.end(What::Reset, Some(error.to_string())),
        }
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Transport<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let most = buf.remaining().min(this.incoming.wanted());
        let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
        let read = ready!(Pin::new(&mut this.io).poll_read(cx, &mut part));
        if let Err(e) = read {
            this.fail(&e);
            return Poll::Ready(Err(e));
        }
        let bytes = part.filled().len();
        match bytes {
            0 if most > 0 && this.write_failed => this.end(What::Reset, None),
            0 if most > 0 => this.end(What::Fin, None),
            _ => this.incoming.pass(part.filled()),
        }
        buf.advance(bytes);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Transport<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.io).poll_write(cx, buf));
        match &written {
            Ok(bytes) => this.outgoing.pass(&buf[..*bytes]),
            // What came before is still to be read.
            Err(_) => this.write_failed = true,
        }
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(cx)
    }
}
