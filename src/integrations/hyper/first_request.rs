//! A graceful stop that does not overtake the first request.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
    time::Duration,
};

use hyper::service::Service;
use hyper_util::server::graceful::GracefulConnection;
use tokio::{sync::Notify, task::yield_now, time::timeout};

/// How often a connection that stops may read what has arrived: the runtime learns that a socket is
/// readable only between two turns of the task.
const TURNS: usize = 2;

/// Wraps the service of one connection and notes when its first request arrives.
///
/// See [`serve_until`].
#[derive(Clone, Debug)]
pub struct FirstRequest<S> {
    service: S,
    arrived: Arrived,
}

/// Whether the first request of a connection has arrived.
#[derive(Clone, Debug, Default)]
pub struct Arrived(Arc<Notify>);

impl<S> FirstRequest<S> {
    /// Creates a new wrapper of the service of one connection.
    #[must_use]
    pub fn new(service: S) -> Self {
        Self {
            service,
            arrived: Arrived::default(),
        }
    }

    /// Returns what [`serve_until`] needs to know about the connection.
    #[must_use]
    pub fn arrived(&self) -> Arrived {
        self.arrived.clone()
    }
}

impl<S: Service<R>, R> Service<R> for FirstRequest<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn call(&self, request: R) -> Self::Future {
        // Stores a permit, of which there is one at the most.
        self.arrived.0.notify_one();
        self.service.call(request)
    }
}

/// Serves a connection of hyper, and stops it gracefully once `stop` is ready.
///
/// hyper and hyper-util drop a connection that is stopped before its first request, even if that has
/// been sent already ([hyperium/hyper#3792]). Here the graceful stop begins when the first request
/// was read, or when none has arrived within `grace` after `stop`: what a client has sent by then is
/// answered. A connection that is idle after an earlier request is stopped at once, once it has read
/// what has already arrived. A request that crosses its `close_notify` is not answered: a client can
/// tell that by the `close_notify`, and sends it again ([RFC 9112, section 9.6]).
///
/// A client that has begun a request, or an HTTP/2 connection, and then stalls is waited for, as by
/// hyper itself, however long `grace` is. What ends it is a `header_read_timeout` of hyper, which
/// takes a timer, or the deadline of [`Drain::finish`](crate::Drain::finish).
///
/// # Cancel safety
///
/// Not cancel safe: dropped before it is ready, it drops the connection.
///
/// # Errors
///
/// Those of the connection.
///
/// # Panics
///
/// Panics on a runtime without a timer.
///
/// ```
/// use std::{convert::Infallible, time::Duration};
/// use hyper::{Request, Response, body::Incoming, service::service_fn};
/// use hyper_util::{rt::TokioExecutor, server::conn::auto};
/// use tokio::net::TcpStream;
/// use tokio_tls_shutdown::{CloseTracker, GracefulAcceptor};
/// use tokio_tls_shutdown::integrations::hyper::{FirstRequest, io, serve_until};
///
/// async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
///     Ok(Response::new("hello".to_owned()))
/// }
///
/// async fn serve(
///     tcp: TcpStream,
///     acceptor: GracefulAcceptor,
///     stop: impl Future<Output = ()>,
/// ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
///     let tls = acceptor.accept(tcp).await?;
///     let service = FirstRequest::new(service_fn(hello));
///     let arrived = service.arrived();
///     let http = auto::Builder::new(TokioExecutor::new());
///     let connection = http.serve_connection_with_upgrades(io(tls), service);
///     serve_until(connection, arrived, stop, Duration::from_secs(1)).await
/// }
/// ```
///
/// [hyperium/hyper#3792]: https://github.com/hyperium/hyper/issues/3792
/// [RFC 9112, section 9.6]: https://www.rfc-editor.org/rfc/rfc9112#section-9.6
pub async fn serve_until<C: GracefulConnection>(
    connection: C,
    first_request: Arrived,
    stop: impl Future<Output = ()>,
    grace: Duration,
) -> Result<(), C::Error> {
    let mut connection = pin!(connection);
    if let Some(result) = serve_while(connection.as_mut(), stop).await {
        return result;
    }
    let arrived = timeout(grace, first_request.0.notified());
    if let Some(result) = serve_while(connection.as_mut(), arrived).await {
        return result;
    }
    for _ in 0..TURNS {
        if let Some(result) = serve_while(connection.as_mut(), yield_now()).await {
            return result;
        }
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}

/// Serves until `event` is ready. Returns the result of a connection that has ended by then.
async fn serve_while<C: GracefulConnection>(
    mut connection: Pin<&mut C>,
    event: impl Future,
) -> Option<Result<(), C::Error>> {
    let mut event = pin!(event);
    poll_fn(|cx| {
        // The connection first: it may have something to read.
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            return Poll::Ready(Some(result));
        }
        event.as_mut().poll(cx).map(|_| None)
    })
    .await
}
