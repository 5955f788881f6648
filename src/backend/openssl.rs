//! OpenSSL, and the stream type of tokio-openssl.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use openssl::ssl::{Error, ErrorCode};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_openssl::SslStream;

use super::buffered::{GatedStream, gate::Gate, gated_backend};
use crate::event::Role;

/// OpenSSL adds this to the code of an alert that was received and has no reason of its own.
const ALERT_OFFSET: i32 = 1000;

impl<IO: AsyncRead + AsyncWrite + Unpin> GatedStream for SslStream<Gate<IO>> {
    type Transport = IO;

    const PEEKS: bool = true;

    const REPEATS_WRITES: bool = true;

    fn gate(&self) -> &Gate<IO> {
        self.get_ref()
    }

    fn gate_mut(&mut self) -> &mut Gate<IO> {
        self.get_mut()
    }

    fn is_established(&self) -> bool {
        // The second holds on in another handshake within the session, and in a failed session.
        self.ssl().is_init_finished() || self.ssl().peer_finished(&mut []) > 0
    }

    fn is_handshaking(&self) -> bool {
        !self.ssl().is_init_finished()
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        Poll::Ready(match ready!(Pin::new(self).poll_peek(cx, &mut [0])) {
            Ok(bytes) => Ok(bytes),
            Err(e) if e.code() == ErrorCode::ZERO_RETURN => Ok(0),
            Err(e) => Err(e.into_io_error().unwrap_or_else(io::Error::other)),
        })
    }

    fn knows_end(&self) -> bool {
        // In a session that has failed, it returns `SSL_ERROR_ZERO_RETURN` for the second read.
        self.ssl().is_init_finished()
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
