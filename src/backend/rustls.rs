//! rustls 0.23 and the three stream types of tokio-rustls.
//!
//! rustls does not say whether a `close_notify` was sent, queues alerts behind it, and accepts
//! application data after it; `send` makes up for that. It reads only while little plaintext is
//! unread; `receive` reads one step at a time and processes each once. Processing the same input
//! twice to ask a question can slice out of range in rustls, so nothing here does.

mod receive;
mod send;

use std::{
    io::{self, BufRead, IoSlice, Write},
    pin::Pin,
    task::{Context, Poll, ready},
};

use rustls::{
    ClientConnection, ConnectionCommon, HandshakeKind, ProtocolVersion, ServerConnection,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsStream, client, server};

use super::{
    Alert, AlertState, Backend, BackendError, OverTransport, Plaintext, Received, Status,
    TransportEnd,
};
use crate::{error::TlsError, event::Role};

/// Runs the same code on the connection of either side.
macro_rules! on {
    ($connection:expr, $tls:ident => $do:expr) => {
        match $connection {
            Connection::Client($tls) => $do,
            Connection::Server($tls) => $do,
        }
    };
}

/// rustls's connection of either side.
pub enum Connection<'a> {
    Client(&'a mut ClientConnection),
    Server(&'a mut ServerConnection),
}

/// A stream of tokio-rustls, as a transport and a connection.
pub trait RustlsStream:
    OverTransport<Transport: AsyncRead + AsyncWrite + Unpin> + AsyncRead + AsyncWrite + Unpin
{
    /// What rustls shows of the session.
    type Connection: ?Sized;

    fn connection(&self) -> &Self::Connection;
    fn parts(&mut self) -> (&mut Self::Transport, Connection<'_>);

    /// Finishes a handshake that early data has left open, and sends early data again that the
    /// server has refused.
    ///
    /// tokio-rustls does that in every write of a client, and an empty one does nothing else. It
    /// does it also where another crate has turned on its feature `early-data`.
    fn poll_early_data(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self).poll_write(cx, &[]).map_ok(drop)
    }
}

impl<IO> OverTransport for client::TlsStream<IO> {
    type Transport = IO;

    fn transport(&self) -> &IO {
        self.get_ref().0
    }

    fn into_transport(self) -> IO {
        self.into_inner().0
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> RustlsStream for client::TlsStream<IO> {
    type Connection = ClientConnection;

    fn connection(&self) -> &ClientConnection {
        self.get_ref().1
    }

    #[inline]
    fn parts(&mut self) -> (&mut IO, Connection<'_>) {
        let (io, tls) = self.get_mut();
        (io, Connection::Client(tls))
    }
}

impl<IO> OverTransport for server::TlsStream<IO> {
    type Transport = IO;

    fn transport(&self) -> &IO {
        self.get_ref().0
    }

    fn into_transport(self) -> IO {
        self.into_inner().0
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> RustlsStream for server::TlsStream<IO> {
    type Connection = ServerConnection;

    fn connection(&self) -> &ServerConnection {
        self.get_ref().1
    }

    #[inline]
    fn parts(&mut self) -> (&mut IO, Connection<'_>) {
        let (io, tls) = self.get_mut();
        (io, Connection::Server(tls))
    }

    /// A server sends none.
    #[inline]
    fn poll_early_data(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl<IO> OverTransport for TlsStream<IO> {
    type Transport = IO;

    fn transport(&self) -> &IO {
        self.get_ref().0
    }

    fn into_transport(self) -> IO {
        match self {
            Self::Client(stream) => stream.into_transport(),
            Self::Server(stream) => stream.into_transport(),
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> RustlsStream for TlsStream<IO> {
    type Connection = rustls::CommonState;

    fn connection(&self) -> &rustls::CommonState {
        self.get_ref().1
    }

    #[inline]
    fn parts(&mut self) -> (&mut IO, Connection<'_>) {
        match self {
            Self::Client(stream) => stream.parts(),
            Self::Server(stream) => stream.parts(),
        }
    }

    #[inline]
    fn poll_early_data(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Client(stream) => stream.poll_early_data(cx),
            Self::Server(stream) => stream.poll_early_data(cx),
        }
    }
}

impl<S: RustlsStream> Backend for S {
    #[inline]
    fn status(&mut self, state: &AlertState) -> Result<Status, BackendError> {
        on!(self.parts().1, tls => status(tls, state))
    }

    #[inline]
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        last: &[u8],
        state: &mut AlertState,
    ) -> Poll<Result<(), BackendError>> {
        if matches!(state.alert, Alert::Unqueued | Alert::Waiting) {
            // From here on the application writes no more, also while the handshake continues.
            state.alert = Alert::Waiting;
            ready!(self.poll_early_data(cx)).map_err(handshake_error)?;
        }
        let (io, connection) = self.parts();
        on!(connection, tls => send::poll_send(tls, io, cx, last, state))
    }

    #[inline]
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        plaintext: Plaintext<'_, '_>,
        state: &mut AlertState,
    ) -> Poll<Result<Received, BackendError>> {
        let (io, connection) = self.parts();
        on!(connection, tls => if !state.handshaking && !tls.is_handshaking() {
            return receive::poll_receive(tls, io, cx, plaintext, state);
        });
        // Not by an empty write, which leaves our last message in the queue.
        state.handshaking = true;
        ready!(Pin::new(&mut *self).poll_flush(cx)).map_err(handshake_error)?;
        state.handshaking = false;
        let (io, connection) = self.parts();
        on!(connection, tls => receive::poll_receive(tls, io, cx, plaintext, state))
    }

    #[inline]
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        state: &mut AlertState,
    ) -> Poll<io::Result<usize>> {
        let (io, connection) = self.parts();
        match on!(&connection, tls => tls.protocol_version()) {
            Some(ProtocolVersion::TLSv1_2) => {
                on!(connection, tls => send::poll_write_tls12(tls, io, cx, bufs, state))
            }
            _ => match bufs {
                [buf] => Pin::new(self).poll_write(cx, buf),
                bufs => Pin::new(self).poll_write_vectored(cx, bufs),
            },
        }
    }

    fn poll_close_transport(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(self.parts().0).poll_shutdown(cx)) {
            // It is closed already.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }

    #[inline]
    fn unread(&mut self) -> &[u8] {
        on!(self.parts().1, tls => tls.reader().into_first_chunk()).unwrap_or(&[])
    }

    #[inline]
    fn consume(&mut self, bytes: usize) {
        on!(self.parts().1, tls => tls.reader().consume(bytes));
    }

    #[inline]
    fn tickets(&mut self) -> u32 {
        match self.parts().1 {
            Connection::Client(tls) => tls.tls13_tickets_received(),
            Connection::Server(_) => 0,
        }
    }

    fn is_resumed(&mut self) -> bool {
        on!(self.parts().1, tls => tls.handshake_kind()) == Some(HandshakeKind::Resumed)
    }

    fn role(&mut self) -> Role {
        match self.parts().1 {
            Connection::Client(_) => Role::Client,
            Connection::Server(_) => Role::Server,
        }
    }

    fn is_tls_error(error: &io::Error) -> bool {
        error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>())
    }
}

/// rustls 0.23 has no type for it, only this text.
pub(super) fn is_missing_close_notify(error: &io::Error) -> bool {
    let text = "peer closed connection without sending TLS close_notify";
    error.kind() == io::ErrorKind::UnexpectedEof
        && error
            .get_ref()
            .is_some_and(|inner| inner.to_string().starts_with(text))
}

#[inline]
fn status<Data>(
    tls: &mut ConnectionCommon<Data>,
    state: &AlertState,
) -> Result<Status, BackendError> {
    let (peer_closed, readable) = match tls.wants_read() {
        // Then nothing is unread, and the peer has not closed.
        true => (false, false),
        false => match tls.reader().into_first_chunk() {
            Ok([]) => (true, false),
            // Behind so much plaintext that rustls reads nothing, a plain stream cannot see it.
            // Then it counts as not closed.
            Ok(_) => (state.peer_closed || reads_no_more(tls), true),
            Err(_) => (false, false),
        },
    };
    check(tls)?;
    Ok(Status {
        established: !tls.is_handshaking(),
        peer_closed,
        readable,
    })
}

/// Returns `true` if rustls has processed the peer's `close_notify`: it then says so without
/// asking the transport.
fn reads_no_more<Data>(tls: &mut ConnectionCommon<Data>) -> bool {
    struct Blocked;

    impl io::Read for Blocked {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }
    }

    tls.read_tls(&mut Blocked).is_ok()
}

/// Returns the error that has ended the session. That is all that flushing the writer does, since
/// 0.23.46.
#[inline]
fn check<Data>(tls: &mut ConnectionCommon<Data>) -> Result<(), BackendError> {
    tls.writer().flush().map_err(|e| match e.downcast() {
        Ok(e) => tls_error(e),
        Err(e) => BackendError::Tls(TlsError::new(e, None)),
    })
}

fn tls_error(error: rustls::Error) -> BackendError {
    BackendError::Tls(into_tls_error(error))
}

fn into_tls_error(error: rustls::Error) -> TlsError {
    match error {
        // What rustls leaves behind where it unwinds in debug builds: see `receive::process`.
        rustls::Error::HandshakeNotComplete => {
            TlsError::new("the peer sent an invalid record", None)
        }
        rustls::Error::AlertReceived(alert) => {
            let code = u8::from(alert);
            TlsError::new(rustls::Error::AlertReceived(alert), Some(code))
        }
        error => TlsError::new(error, None),
    }
}

/// Returns the error of rustls that tokio-rustls has wrapped, or the error as it is.
pub(crate) fn unwrap_tls_error(error: io::Error) -> Result<TlsError, io::Error> {
    error.downcast().map(into_tls_error)
}

fn handshake_error(error: io::Error) -> BackendError {
    match unwrap_tls_error(error) {
        Ok(e) => BackendError::Tls(e),
        Err(e) => BackendError::Transport(e),
    }
}
