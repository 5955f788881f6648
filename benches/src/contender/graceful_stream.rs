//! A tokio-rustls stream in a `GracefulStream`, with a tracker or without.

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tls_shutdown::{CloseTracker, GracefulStream, ShutdownExt, tokio_rustls::TlsStream};

use super::{Contender, Graceful, Way};
use crate::tls::Version;

/// `GracefulStream`.
pub struct Wrapped {
    plain: Way<Graceful>,
    tracker: Option<CloseTracker>,
}

impl Wrapped {
    pub fn untracked(version: Version) -> Self {
        let plain = Way::new(version);
        Self {
            plain,
            tracker: None,
        }
    }

    pub fn tracked(version: Version) -> Self {
        Self {
            tracker: Some(CloseTracker::new()),
            ..Self::untracked(version)
        }
    }

    fn wrap<IO>(&self, stream: TlsStream<IO>) -> GracefulStream<TlsStream<IO>>
    where
        IO: AsyncRead + AsyncWrite + Unpin,
    {
        let mut stream = GracefulStream::new(stream);
        if let Some(tracker) = &self.tracker {
            stream.track(tracker);
        }
        stream
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Contender<IO> for Wrapped {
    const NAME: &'static str = "GracefulStream";

    type Stream = GracefulStream<TlsStream<IO>>;

    async fn connect(&self, io: IO) -> Self::Stream {
        self.wrap(self.plain.connect(io).await)
    }

    async fn accept(&self, io: IO) -> Self::Stream {
        self.wrap(self.plain.accept(io).await)
    }

    async fn close_notify(stream: &mut Self::Stream) {
        ShutdownExt::close_notify(stream).await.expect("a close");
    }

    async fn shutdown_bidirectional(stream: &mut Self::Stream) {
        let closed = ShutdownExt::shutdown_bidirectional(stream).await;
        assert!(closed.expect("a close").is_clean());
    }
}
