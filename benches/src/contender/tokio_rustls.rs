//! Ways to close a tokio-rustls stream: ours, by hand, and `shutdown()`.

use std::{future::Future, io, marker::PhantomData, sync::Arc, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tls_shutdown::{
    ShutdownExt,
    tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream},
};

use super::Contender;
use crate::tls::{Version, server_name};

/// tokio-rustls, closed in one of these ways.
pub struct Way<C> {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
    close: PhantomData<C>,
}

/// `close_notify()` and `shutdown_bidirectional()`, with their deadline of 5 seconds.
pub struct Graceful;

/// The same without a deadline.
pub struct Unbounded;

/// What can be done by hand, and is right: rustls's `send_close_notify()` and a flush, then reading
/// to the end, with a bound and a count of what is discarded, and how the peer has ended is told.
pub struct Recipe;

/// How the peer has ended, by hand.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    CloseNotify,
    Eof,
    Reset,
    TooMuch,
}

/// How much is discarded by hand.
const LIMIT: u64 = 16 * 1024 * 1024;

/// The same in a timeout of 5 seconds.
pub struct RecipeInTime;

/// `shutdown()`, which sends FIN too, then `read_to_end()`.
pub struct Plain;

const DEADLINE: Duration = Duration::from_secs(5);

/// How a tokio-rustls stream is closed.
pub trait Closes {
    const NAME: &'static str;

    fn close_notify<IO>(tls: &mut TlsStream<IO>) -> impl Future<Output = ()>
    where
        IO: AsyncRead + AsyncWrite + Unpin;

    fn shutdown_bidirectional<IO>(tls: &mut TlsStream<IO>) -> impl Future<Output = ()>
    where
        IO: AsyncRead + AsyncWrite + Unpin;
}

impl Closes for Graceful {
    const NAME: &'static str = "tokio-tls-shutdown";

    async fn close_notify<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        tls.close_notify().await.expect("a close");
    }

    async fn shutdown_bidirectional<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        let closed = tls.shutdown_bidirectional().await.expect("a close");
        assert!(closed.is_clean());
    }
}

impl Closes for Unbounded {
    const NAME: &'static str = "tokio-tls-shutdown, no deadline";

    async fn close_notify<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        tls.close_notify().no_deadline().await.expect("a close");
    }

    async fn shutdown_bidirectional<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        let close = tls.shutdown_bidirectional().no_deadline();
        assert!(close.await.expect("a close").is_clean());
    }
}

impl Closes for Recipe {
    const NAME: &'static str = "tokio-rustls by hand";

    async fn close_notify<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        match tls {
            TlsStream::Client(tls) => tls.get_mut().1.send_close_notify(),
            TlsStream::Server(tls) => tls.get_mut().1.send_close_notify(),
        }
        tls.flush().await.expect("a flush");
    }

    async fn shutdown_bidirectional<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        let (ended, discarded) = by_hand(tls).await.expect("a close");
        assert_eq!(ended, Ended::CloseNotify);
        std::hint::black_box(discarded);
    }
}

async fn by_hand<IO: AsyncRead + AsyncWrite + Unpin>(
    tls: &mut TlsStream<IO>,
) -> io::Result<(Ended, u64)> {
    match tls {
        TlsStream::Client(tls) => tls.get_mut().1.send_close_notify(),
        TlsStream::Server(tls) => tls.get_mut().1.send_close_notify(),
    }
    tls.flush().await?;
    // Small, because nothing is expected.
    let mut buf = [0; 64];
    let mut discarded = 0;
    loop {
        let ended = match tls.read(&mut buf).await {
            Ok(0) => Ended::CloseNotify,
            Ok(bytes) => {
                discarded += bytes as u64;
                if discarded <= LIMIT {
                    continue;
                }
                Ended::TooMuch
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ended::Eof,
            Err(e) if e.kind() == io::ErrorKind::ConnectionReset => Ended::Reset,
            Err(e) => return Err(e),
        };
        return Ok((ended, discarded));
    }
}

impl Closes for RecipeInTime {
    const NAME: &'static str = "tokio-rustls by hand, in a timeout";

    async fn close_notify<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        let close = tokio::time::timeout(DEADLINE, Recipe::close_notify(tls));
        close.await.expect("in time");
    }

    async fn shutdown_bidirectional<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        let close = tokio::time::timeout(DEADLINE, Recipe::shutdown_bidirectional(tls));
        close.await.expect("in time");
    }
}

impl Closes for Plain {
    const NAME: &'static str = "tokio-rustls shutdown()";

    async fn close_notify<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        tls.shutdown().await.expect("a shutdown");
    }

    async fn shutdown_bidirectional<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
        Self::close_notify(tls).await;
        tls.read_to_end(&mut Vec::new()).await.expect("a read");
    }
}

impl<C> Way<C> {
    pub fn new(version: Version) -> Self {
        Self {
            connector: Arc::new(version.client_config()).into(),
            acceptor: Arc::new(version.server_config()).into(),
            close: PhantomData,
        }
    }
}

impl<C: Closes, IO: AsyncRead + AsyncWrite + Unpin> Contender<IO> for Way<C> {
    const NAME: &'static str = C::NAME;

    type Stream = TlsStream<IO>;

    async fn connect(&self, io: IO) -> Self::Stream {
        let tls = self.connector.connect(server_name(), io).await;
        tls.expect("a handshake").into()
    }

    async fn accept(&self, io: IO) -> Self::Stream {
        self.acceptor.accept(io).await.expect("a handshake").into()
    }

    fn close_notify(stream: &mut Self::Stream) -> impl Future<Output = ()> {
        C::close_notify(stream)
    }

    fn shutdown_bidirectional(stream: &mut Self::Stream) -> impl Future<Output = ()> {
        C::shutdown_bidirectional(stream)
    }
}
