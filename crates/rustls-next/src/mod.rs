//! rustls 0.24, whose buffers are its caller's: a stream, and how it is closed.
//!
//! Nothing here looks into a queue of rustls, because it has none: our `close_notify` is the end of
//! what it has appended to `out`, and what it appends later goes where nobody looks.

mod connection;
mod stream;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustls::{Error, HandshakeKind};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub use self::stream::TlsStream;
use super::{
    Alert, AlertState, Backend, BackendError, OverTransport, Plaintext, Received, Status,
    end_of_transport,
};
use crate::{error::TlsError, event::Role};

/// How many bytes may wait to be written when application data are taken. As in rustls 0.23.
const LIMIT: usize = 64 * 1024;
/// How much application data are kept for a reader.
const KEPT: usize = 1 << 14;
/// How much one read of the transport takes.
const READ: usize = 4096;

fn tls_error(error: Error) -> BackendError {
    let alert = match error {
        Error::AlertReceived(alert) => Some(u8::from(alert)),
        _ => None,
    };
    BackendError::Tls(TlsError::new(error, alert))
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Writes until at most `most` bytes wait.
    fn poll_shorten(&mut self, cx: &mut Context<'_>, most: usize) -> Poll<io::Result<()>> {
        while self.out.len() - self.written > most {
            let written = Pin::new(&mut self.io).poll_write(cx, &self.out[self.written..]);
            match ready!(written)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.written += bytes,
            }
        }
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Finishes the handshake, up to the last byte of ours.
    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.is_handshaking() {
            ready!(self.poll_shorten(cx, 0))?;
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            match ready!(self.poll_read_once(cx)) {
                Ok(Received::Other) => {}
                Ok(Received::Reset(kind)) => return Poll::Ready(Err(kind.into())),
                Ok(_) => return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
                Err(BackendError::Transport(e)) => return Poll::Ready(Err(e)),
                Err(e) => {
                    // The fatal alert, if there is room for it.
                    let _ = self.poll_shorten(cx, 0);
                    return Poll::Ready(Err(io::Error::other(format!("{e:?}"))));
                }
            }
        }
        ready!(self.poll_shorten(cx, 0))?;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Reads the transport once, and processes what has come.
    fn poll_read_once(&mut self, cx: &mut Context<'_>) -> Poll<Result<Received, BackendError>> {
        if let Some(e) = &self.failed {
            return Poll::Ready(Err(tls_error(e.clone())));
        }
        let mut chunk = [std::mem::MaybeUninit::uninit(); READ];
        let mut chunk = ReadBuf::uninit(&mut chunk);
        if let Err(e) = ready!(Pin::new(&mut self.io).poll_read(cx, &mut chunk)) {
            let end = end_of_transport(&e);
            return Poll::Ready(end.ok_or(BackendError::Transport(e)));
        }
        if chunk.filled().is_empty() {
            return Poll::Ready(Ok(Received::Eof));
        }
        self.input.append(chunk.filled());
        // Behind our alert nothing is sent.
        let mut nowhere = Vec::new();
        let out = match self.closed {
            true => &mut nowhere,
            false => &mut self.out,
        };
        let unread = self.plain.len();
        let processed = self.connection.read(&mut self.input, out, &mut self.plain);
        Poll::Ready(match processed {
            Ok(()) => Ok(Received::Other),
            // What came before it is good. The next step finds the error again.
            Err(e) if self.plain.len() > unread => {
                self.failed = Some(e);
                Ok(Received::Other)
            }
            Err(e) => {
                self.failed = Some(e.clone());
                if !self.closed {
                    // The fatal alert, if there is room for it.
                    let _ = self.poll_shorten(cx, 0);
                }
                Err(tls_error(e))
            }
        })
    }

    fn take(&mut self, bytes: usize) {
        self.read += bytes;
        if self.read == self.plain.len() {
            self.plain.clear();
            self.read = 0;
        }
    }

    /// Finds what can be had without reading the transport.
    fn take_unread(&mut self, plaintext: &mut Plaintext<'_, '_>) -> Option<Received> {
        let unread = &self.plain[self.read..];
        if unread.is_empty() {
            return self.input.has_ended().then_some(Received::CloseNotify);
        }
        let bytes = match plaintext {
            Plaintext::Read(buf) => {
                let bytes = unread.len().min(buf.remaining());
                buf.put_slice(&unread[..bytes]);
                bytes
            }
            Plaintext::Discard => unread.len(),
            Plaintext::Fill => return Some(Received::Data(unread.len())),
            Plaintext::Keep if self.input.has_ended() => return Some(Received::CloseNotify),
            Plaintext::Keep => return (unread.len() >= KEPT).then_some(Received::Full),
        };
        self.take(bytes);
        Some(Received::Data(bytes))
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Backend for TlsStream<IO> {
    fn status(&mut self, _: &AlertState) -> Result<Status, BackendError> {
        match &self.failed {
            Some(e) => Err(tls_error(e.clone())),
            None => Ok(Status {
                established: !self.connection.is_handshaking(),
                peer_closed: self.input.has_ended(),
                readable: self.read < self.plain.len(),
            }),
        }
    }

    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        last: &[u8],
        state: &mut AlertState,
    ) -> Poll<Result<(), BackendError>> {
        if !self.closed {
            if self.connection.is_handshaking() {
                return Poll::Ready(Err(BackendError::Handshaking));
            }
            state.alert = Alert::Waiting;
            let made = self.connection.write(last, &mut self.out);
            state.last_queued = !last.is_empty();
            made.map_err(tls_error)?;
            self.connection.close(&mut self.out).map_err(tls_error)?;
            self.closed = true;
        }
        if state.alert != Alert::Sent {
            state.alert = Alert::Queued(self.out.len() - self.written);
            ready!(self.poll_shorten(cx, 0)).map_err(BackendError::Transport)?;
            state.alert = Alert::Unflushed;
            ready!(Pin::new(&mut self.io).poll_flush(cx)).map_err(BackendError::Transport)?;
            state.alert = Alert::Sent;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        mut plaintext: Plaintext<'_, '_>,
        state: &mut AlertState,
    ) -> Poll<Result<Received, BackendError>> {
        if let Some(received) = self.take_unread(&mut plaintext) {
            state.peer_closed = self.input.has_ended();
            return Poll::Ready(Ok(received));
        }
        let kept = self.plain.len();
        let step = ready!(self.poll_read_once(cx))?;
        state.peer_closed = self.input.has_ended();
        Poll::Ready(Ok(match (step, &plaintext) {
            (Received::Other, Plaintext::Keep) if self.plain.len() > kept => {
                Received::Data(self.plain.len() - kept)
            }
            (Received::Other, _) => self.take_unread(&mut plaintext).unwrap_or(step),
            (end, _) => end,
        }))
    }

    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        _: &mut AlertState,
    ) -> Poll<io::Result<usize>> {
        match bufs.iter().find(|buf| !buf.is_empty()) {
            Some(buf) => Pin::new(self).poll_write(cx, buf),
            None => Poll::Ready(Ok(0)),
        }
    }

    fn poll_close_transport(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(&mut self.io).poll_shutdown(cx)) {
            // It is closed already.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }

    fn unread(&mut self) -> &[u8] {
        &self.plain[self.read..]
    }

    fn consume(&mut self, bytes: usize) {
        self.take(bytes.min(self.plain.len() - self.read));
    }

    fn tickets(&mut self) -> u32 {
        self.connection.tickets()
    }

    fn is_resumed(&mut self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    fn role(&mut self) -> Role {
        self.role
    }

    fn is_tls_error(error: &io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Error>())
    }
}

impl<IO> OverTransport for TlsStream<IO> {
    type Transport = IO;

    fn transport(&self) -> &IO {
        &self.io
    }

    fn into_transport(self) -> IO {
        self.io
    }
}
