//! tls-listener, and through it `axum::serve`.

use ::tls_listener::AsyncTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

use crate::{
    handshake::HandshakeError,
    handshake::acceptor::{Accept, GracefulAcceptor},
    stream::GracefulStream,
};

/// Performs the TLS handshakes of a [`TlsListener`](::tls_listener::TlsListener), which
/// `axum::serve` takes.
///
/// The streams linger when they are closed, unless [another
/// policy](GracefulAcceptor::with_policy) is set. The listener has a handshake timeout of its own;
/// whichever ends first counts.
// Compiled by the package `integrations`: it needs a framework.
#[cfg_attr(not(doctest), doc = include_str!("../doc/axum_serve.md"))]
#[cfg_attr(docsrs, doc(cfg(feature = "tls-listener")))]
impl<IO> AsyncTls<IO> for GracefulAcceptor
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    type Stream = GracefulStream<TlsStream<IO>>;
    type Error = HandshakeError;
    type AcceptFuture = Accept<IO>;

    fn accept(&self, stream: IO) -> Self::AcceptFuture {
        Self::accept(&self.clone().linger_unless_set(), stream)
    }
}
