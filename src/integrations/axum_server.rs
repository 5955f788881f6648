//! axum-server.

use std::{
    fmt,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use ::axum_server::accept::{Accept, DefaultAcceptor};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

use crate::{
    handshake::acceptor::{self, GracefulAcceptor},
    stream::GracefulStream,
};

/// Performs the TLS handshakes of a [`Server`](::axum_server::Server) of axum-server, on top of
/// another acceptor.
///
/// The streams linger when they are closed, unless [another
/// policy](GracefulAcceptor::with_policy) is set. On TCP, put it on top of a
/// [`NoDelayAcceptor`](::axum_server::accept::NoDelayAcceptor).
///
/// # Errors
///
/// A failed handshake is an [`io::Error`] with a [`HandshakeError`](crate::HandshakeError) in it;
/// `Server::accept_error_handler` gets it.
// Compiled by the package `integrations`: it needs a framework.
#[cfg_attr(not(doctest), doc = include_str!("../doc/axum_server.md"))]
#[derive(Clone, Debug)]
#[cfg_attr(docsrs, doc(cfg(feature = "axum-server")))]
pub struct Acceptor<A = DefaultAcceptor> {
    tls: GracefulAcceptor,
    below: A,
}

impl Acceptor {
    /// Creates a new acceptor on top of axum-server's [`DefaultAcceptor`].
    #[must_use]
    pub fn new(tls: GracefulAcceptor) -> Self {
        Self {
            tls: tls.linger_unless_set(),
            below: DefaultAcceptor::new(),
        }
    }
}

impl<A> Acceptor<A> {
    /// Replaces the acceptor below TLS.
    #[must_use]
    pub fn acceptor<B>(self, below: B) -> Acceptor<B> {
        Acceptor {
            tls: self.tls,
            below,
        }
    }
}

impl<A, IO, S> Accept<IO, S> for Acceptor<A>
where
    A: Accept<IO, S>,
    A::Stream: AsyncRead + AsyncWrite + Unpin,
{
    type Stream = GracefulStream<TlsStream<A::Stream>>;
    type Service = A::Service;
    type Future = Accepting<A::Future, A::Stream, A::Service>;

    fn accept(&self, stream: IO, service: S) -> Self::Future {
        Accepting {
            tls: self.tls.clone(),
            below: Some(self.below.accept(stream, service)),
            handshake: None,
            service: None,
        }
    }
}

pin_project! {
    /// Future of [`Acceptor`].
    #[must_use = "futures do nothing unless polled"]
    pub struct Accepting<F, IO, S> {
        tls: GracefulAcceptor,
        #[pin]
        below: Option<F>,
        #[pin]
        handshake: Option<acceptor::Accept<IO>>,
        service: Option<S>,
    }
}

impl<F, IO, S> Future for Accepting<F, IO, S>
where
    F: Future<Output = io::Result<(IO, S)>>,
    IO: AsyncRead + AsyncWrite + Unpin,
{
    type Output = io::Result<(GracefulStream<TlsStream<IO>>, S)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(below) = this.below.as_mut().as_pin_mut() {
            let (io, service) = ready!(below.poll(cx))?;
            this.below.set(None);
            this.handshake.set(Some(this.tls.accept(io)));
            *this.service = Some(service);
        }
        let handshake = this.handshake.as_pin_mut();
        let stream = ready!(handshake.expect("polled after completion").poll(cx))?;
        let service = this.service.take().expect("polled after completion");
        Poll::Ready(Ok((stream, service)))
    }
}

impl<F, IO, S> fmt::Debug for Accepting<F, IO, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepting").finish_non_exhaustive()
    }
}
