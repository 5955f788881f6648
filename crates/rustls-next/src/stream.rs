//! A stream of rustls 0.24, which has no tokio-rustls yet.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{
    ClientConfig, Connection, Error, ServerConfig, Tcp, pki_types::ServerName, server::ServerSide,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    LIMIT, Plaintext,
    connection::{Input, Session},
};
use crate::{
    backend::{Alert, AlertState, Backend, BackendError, Received},
    error::ShutdownError,
    event::Role,
    state::PeerClose,
};

/// A TLS stream of rustls 0.24.
pub struct TlsStream<IO> {
    pub(super) io: IO,
    pub(super) role: Role,
    pub(super) connection: Box<dyn Session>,
    pub(super) input: Input,
    /// Application data that were received.
    pub(super) plain: Vec<u8>,
    /// How much of them was read.
    pub(super) read: usize,
    /// What is to be sent.
    pub(super) out: Vec<u8>,
    /// How much of it was.
    pub(super) written: usize,
    /// Our `close_notify` is the end of `out`, or was.
    pub(super) closed: bool,
    pub(super) failed: Option<Error>,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Performs the handshake of a client.
    ///
    /// # Errors
    ///
    /// Those of the transport and of rustls.
    pub async fn connect(
        config: Arc<ClientConfig>,
        name: ServerName<'static>,
        io: IO,
    ) -> io::Result<Self> {
        let mut out = Vec::new();
        let connection = config.connect(name).build(&mut out);
        let connection = Box::new(connection.map_err(io::Error::other)?);
        Self::open(connection, out, io, Role::Client).await
    }

    /// Performs the handshake of a server.
    ///
    /// # Errors
    ///
    /// Those of the transport and of rustls.
    pub async fn accept(config: Arc<ServerConfig>, io: IO) -> io::Result<Self> {
        let connection = Connection::<ServerSide, Tcp>::new(config);
        let connection = Box::new(connection.map_err(io::Error::other)?);
        Self::open(connection, Vec::new(), io, Role::Server).await
    }

    /// Returns a mutable reference to the transport.
    ///
    /// Reading from it or writing to it directly breaks the TLS session.
    pub fn get_mut(&mut self) -> &mut IO {
        &mut self.io
    }

    async fn open(
        connection: Box<dyn Session>,
        out: Vec<u8>,
        io: IO,
        role: Role,
    ) -> io::Result<Self> {
        let mut tls = Self {
            io,
            role,
            connection,
            input: Input::default(),
            plain: Vec::new(),
            read: 0,
            out,
            written: 0,
            closed: false,
            failed: None,
        };
        poll_fn(|cx| tls.poll_handshake(cx)).await?;
        Ok(tls)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut state = AlertState {
            alert: match this.closed {
                true => Alert::Sent,
                false => Alert::Unqueued,
            },
            ..AlertState::default()
        };
        loop {
            let received = this.poll_receive(cx, Plaintext::Read(buf), &mut state);
            return Poll::Ready(match ready!(received) {
                Ok(Received::Other | Received::Full) => continue,
                Ok(Received::Data(_) | Received::CloseNotify) => Ok(()),
                Ok(Received::Eof) => Err(ShutdownError::Unclean(PeerClose::Eof).into()),
                Ok(Received::Reset(kind)) => Err(kind.into()),
                Err(BackendError::Transport(e)) => Err(e),
                Err(BackendError::Tls(e)) => Err(ShutdownError::Tls(e).into()),
                Err(BackendError::Handshaking) => Err(ShutdownError::Handshaking.into()),
            });
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(this.poll_shorten(cx, LIMIT))?;
        let buf = &buf[..buf.len().min(LIMIT)];
        let written = this.connection.write(buf, &mut this.out);
        written.map_err(io::Error::other)?;
        match this.poll_shorten(cx, 0) {
            Poll::Ready(Err(e)) => Poll::Ready(Err(e)),
            _ => Poll::Ready(Ok(buf.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_shorten(cx, 0))?;
        Pin::new(&mut this.io).poll_flush(cx)
    }

    /// Sends `close_notify`, and closes the write side of the transport.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.closed {
            let closed = this.connection.close(&mut this.out);
            closed.map_err(io::Error::other)?;
            this.closed = true;
        }
        ready!(Pin::new(&mut *this).poll_flush(cx))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}
