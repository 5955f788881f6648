//! BoringSSL, and the stream type of tokio-boring.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use boring::ssl::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_boring::SslStream;

use super::buffered::{GatedStream, gate::Gate, gated_backend};
use crate::event::Role;

/// BoringSSL adds this to the code of an alert that was received.
const ALERT_OFFSET: i32 = 1000;

impl<IO: AsyncRead + AsyncWrite + Unpin> GatedStream for SslStream<Gate<IO>> {
    type Transport = IO;

    /// The crate `boring` has no `SSL_peek`.
    const PEEKS: bool = false;

    const REPEATS_WRITES: bool = true;

    fn gate(&self) -> &Gate<IO> {
        self.get_ref()
    }

    fn gate_mut(&mut self) -> &mut Gate<IO> {
        self.get_mut()
    }

    fn is_established(&self) -> bool {
        self.ssl().is_init_finished()
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.ssl().pending() {
            0 => {}
            bytes => return Poll::Ready(Ok(bytes)),
        }
        // It reads no further than one record and holds no whole one, only what it knows of the end.
        let mut nothing = [0];
        let mut nothing = ReadBuf::new(&mut nothing);
        let poll = Pin::new(self).poll_read(cx, &mut nothing);
        poll.map_ok(|()| nothing.filled().len())
    }

    fn is_resumed(&self) -> bool {
        self.ssl().session_reused()
    }

    fn role(&self) -> Role {
        match self.ssl().is_server() {
            true => Role::Server,
            false => Role::Client,
        }
    }

    fn is_tls_error(error: &io::Error) -> bool {
        ssl_error(error).is_some()
    }

    fn alert(&self, error: &io::Error) -> Option<u8> {
        let reasons = ssl_error(error)?.ssl_error()?.errors().iter();
        reasons
            .filter_map(|e| u8::try_from(e.reason_code().checked_sub(ALERT_OFFSET)?).ok())
            .next()
    }
}

fn ssl_error(error: &io::Error) -> Option<&Error> {
    error.get_ref()?.downcast_ref()
}

gated_backend!(impl[IO: AsyncRead + AsyncWrite + Unpin] SslStream<Gate<IO>>);
