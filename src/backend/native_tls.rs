//! native-tls, and the stream type of tokio-native-tls: OpenSSL, Secure Transport or SChannel.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_native_tls::TlsStream;

use super::buffered::{GatedStream, gate::Gate, gated_backend};

impl<IO: AsyncRead + AsyncWrite + Unpin> GatedStream for TlsStream<Gate<IO>> {
    type Transport = IO;

    const PEEKS: bool = false;

    const REPEATS_WRITES: bool = true;

    fn gate(&self) -> &Gate<IO> {
        self.get_ref().get_ref().get_ref()
    }

    fn gate_mut(&mut self) -> &mut Gate<IO> {
        self.get_mut().get_mut().get_mut()
    }

    /// There is no stream before the end of the handshake.
    fn is_established(&self) -> bool {
        true
    }

    fn poll_peek(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match self.get_ref().buffered_read_size() {
            Ok(0) => {}
            Ok(bytes) => return Poll::Ready(Ok(bytes)),
            Err(e) => return Poll::Ready(Err(io::Error::other(e))),
        }
        if cfg!(any(windows, target_vendor = "apple")) {
            // They may hold records that are not decrypted, which a read would take.
            return Poll::Pending;
        }
        // OpenSSL has nothing left but what it knows of the end.
        let mut nothing = [0];
        let mut nothing = ReadBuf::new(&mut nothing);
        let poll = Pin::new(self).poll_read(cx, &mut nothing);
        poll.map_ok(|()| nothing.filled().len())
    }

    fn knows_end(&self) -> bool {
        // On OpenSSL a read behind one that has failed returns 0.
        cfg!(any(windows, target_vendor = "apple"))
    }

    fn is_tls_error(error: &io::Error) -> bool {
        // That of a library that native-tls does not name. Those of the transport are told apart by
        // the `Gate`.
        error.kind() == io::ErrorKind::Other && error.get_ref().is_some()
    }

    /// native-tls shows no alerts.
    fn alert(&self, _: &io::Error) -> Option<u8> {
        None
    }
}

gated_backend!(impl[IO: AsyncRead + AsyncWrite + Unpin] TlsStream<Gate<IO>>);
