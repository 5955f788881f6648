//! s2n-tls, and the stream type of s2n-tls-tokio.

use std::{
    io,
    task::{Context, Poll},
};

use s2n_tls::{
    connection::Connection,
    enums::Version,
    error::{Error, ErrorType},
};
use s2n_tls_tokio::TlsStream;
use tokio::io::{AsyncRead, AsyncWrite};

use super::buffered::{GatedStream, gate::Gate, gated_backend};

/// The code of `close_notify` (RFC 8446 section 6).
const CLOSE_NOTIFY: u8 = 0;

impl<IO, C> GatedStream for TlsStream<Gate<IO>, C>
where
    IO: AsyncRead + AsyncWrite + Unpin,
    C: AsRef<Connection> + AsMut<Connection> + Unpin,
{
    type Transport = IO;

    const PEEKS: bool = false;

    const REPEATS_WRITES: bool = false;

    fn gate(&self) -> &Gate<IO> {
        self.get_ref()
    }

    fn gate_mut(&mut self) -> &mut Gate<IO> {
        self.get_mut()
    }

    /// There is no stream before the end of the handshake.
    fn is_established(&self) -> bool {
        true
    }

    fn poll_peek(&mut self, _: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.as_ref().peek_len() {
            0 if self.as_ref().alert() == Some(CLOSE_NOTIFY) => Poll::Ready(Ok(0)),
            0 => Poll::Pending,
            bytes => Poll::Ready(Ok(bytes)),
        }
    }

    fn reads_after_close(&self) -> bool {
        // As its documentation of `s2n_shutdown_send` says.
        matches!(self.as_ref().actual_protocol_version(), Ok(Version::TLS13))
    }

    fn is_resumed(&self) -> bool {
        self.as_ref().resumed()
    }

    fn is_tls_error(error: &io::Error) -> bool {
        let kind = kind(error);
        kind.is_some_and(|kind| !matches!(kind, ErrorType::IOError | ErrorType::ConnectionClosed))
    }

    fn alert(&self, _: &io::Error) -> Option<u8> {
        self.as_ref().alert()
    }
}

fn kind(error: &io::Error) -> Option<ErrorType> {
    let inner: &Error = error.get_ref()?.downcast_ref()?;
    Some(inner.kind())
}

pub(super) fn is_missing_close_notify(error: &io::Error) -> bool {
    matches!(kind(error), Some(ErrorType::ConnectionClosed))
}

gated_backend!(impl[
    IO: AsyncRead + AsyncWrite + Unpin,
    C: AsRef<Connection> + AsMut<Connection> + Unpin
] TlsStream<Gate<IO>, C>);
