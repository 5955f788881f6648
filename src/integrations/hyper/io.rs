//! A `GracefulStream` as hyper wants it.

use hyper_util::rt::TokioIo;

use crate::{backend::PlainStream, policy::ClosePolicy, stream::GracefulStream};

/// Creates the [`TokioIo`] for a connection of hyper, and lets the stream linger.
///
/// hyper drops the stream right after `shutdown()`. If bytes of the client are unread then, the
/// kernel answers with a reset and the response is lost: the policy becomes
/// [`ClosePolicy::linger`], unless one was set that is not [`ClosePolicy::Notify`]. A stream that is
/// dropped before anything was written sends `close_notify`, so that the client knows that it may
/// send its request again.
///
/// ```
/// use hyper::server::conn::http1;
/// # use hyper::{Request, Response, body::Incoming, service::service_fn};
/// use tokio::net::TcpStream;
/// use tokio_tls_shutdown::{GracefulAcceptor, integrations::hyper::io};
///
/// # async fn hello(_: Request<Incoming>) -> Result<Response<String>, std::convert::Infallible> {
/// #     Ok(Response::new("hello".to_owned()))
/// # }
/// async fn serve(tcp: TcpStream, acceptor: GracefulAcceptor) -> Result<(), Box<dyn std::error::Error>> {
///     let tls = acceptor.accept(tcp).await?;
///     let connection = http1::Builder::new().serve_connection(io(tls), service_fn(hello));
///     Ok(connection.await?)
/// }
/// ```
pub fn io<S: PlainStream>(mut stream: GracefulStream<S>) -> TokioIo<GracefulStream<S>> {
    if stream.policy() == ClosePolicy::Notify {
        stream.set_policy(ClosePolicy::linger());
    }
    stream.set_close_unused();
    TokioIo::new(stream)
}
