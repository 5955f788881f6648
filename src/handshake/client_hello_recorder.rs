//! `ClientHelloRecorder`: a transport that looks at the ClientHello as it passes.

use std::{
    fmt,
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::resumption::fleet::client_hello::{ClientHelloReader, Offer};

/// A transport that looks at the ClientHello as it passes, for servers that choose by it and have
/// [fleet sessions](crate::resumption::fleet).
///
/// Give it to a [`LazyConfigAcceptor`](tokio_rustls::LazyConfigAcceptor), and the handshake to
/// [`GracefulAcceptor::finish_recorded_accept`](crate::GracefulAcceptor::finish_recorded_accept).
/// All bytes pass unchanged. [`GracefulAcceptor::accept`](crate::GracefulAcceptor::accept) does
/// this by itself.
///
/// ```
/// use std::io;
/// use tokio::net::TcpStream;
/// use tokio_tls_shutdown::{ClientHelloRecorder, GracefulAcceptor, GracefulStream};
/// use tokio_tls_shutdown::tokio_rustls::{LazyConfigAcceptor, rustls, server::TlsStream};
///
/// async fn by_name(
///     choose: impl Fn(Option<&str>) -> GracefulAcceptor,
///     tcp: TcpStream,
/// ) -> io::Result<GracefulStream<TlsStream<TcpStream>>> {
///     let tcp = ClientHelloRecorder::new(tcp);
///     let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), tcp).await?;
///     let chosen = choose(start.client_hello().server_name());
///     Ok(chosen.finish_recorded_accept(start).await?)
/// }
/// ```
pub struct ClientHelloRecorder<IO> {
    io: IO,
    hello: ClientHelloReader,
}

impl<IO> ClientHelloRecorder<IO> {
    /// Creates a new recorder of a transport from which nothing was read.
    #[must_use]
    pub fn new(io: IO) -> Self {
        Self {
            io,
            hello: ClientHelloReader::new(),
        }
    }

    /// Returns the transport.
    #[must_use]
    pub fn into_inner(self) -> IO {
        self.io
    }

    pub(super) fn offer(&self) -> Offer {
        self.hello.offer()
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for ClientHelloRecorder<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.hello
            .push(buf.filled().get(before..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for ClientHelloRecorder<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}

impl<IO: fmt::Debug> fmt::Debug for ClientHelloRecorder<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientHelloRecorder")
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}
