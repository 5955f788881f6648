//! tls-listener, and through it `axum::serve`.

use ::tls_listener::AsyncTls;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::server::TlsStream;

use crate::{
    handshake::HandshakeError,
    handshake::acceptor::{Accept, GracefulAcceptor},
    stream::GracefulStream,
};

/// Shakes hands in a [`TlsListener`](::tls_listener::TlsListener), which `axum::serve` takes.
///
/// The streams linger when they are closed, unless [another
/// policy](GracefulAcceptor::with_policy) is set. The listener has a handshake timeout of its own;
/// whichever ends first counts.
///
/// ```no_run
/// use std::time::Duration;
/// use axum::{Router, routing::get, serve::ListenerExt};
/// use tls_listener::TlsListener;
/// use tokio::net::TcpListener;
/// use tokio_tls_shutdown::{CloseTracker, GracefulAcceptor};
///
/// async fn serve(
///     acceptor: GracefulAcceptor,
///     stop: impl Future<Output = ()>,
/// ) -> std::io::Result<()> {
///     let tracker = CloseTracker::new();
///     let tcp = TcpListener::bind("[::]:443").await?;
///     let listener = TlsListener::new(acceptor.with_tracker(&tracker), tcp)
///         .tap_io(|tls| drop(tls.get_ref().get_ref().0.set_nodelay(true)));
///     let app = Router::new().route("/", get(async || "hello and goodbye"));
///
///     // Stops as soon as the drain has begun.
///     let serve = axum::serve(listener, app).with_graceful_shutdown(tracker.draining());
///     let drain = async {
///         stop.await;
///         tracker.drain(Duration::from_secs(10)).await
///     };
///     let (served, report) = tokio::join!(serve.into_future(), drain);
///     println!("{report}");
///     served
/// }
/// ```
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
