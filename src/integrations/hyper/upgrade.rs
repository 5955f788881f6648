//! The stream of a connection that was upgraded.

use hyper::{body::Bytes, upgrade::Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{policy::ClosePolicy, stream::GracefulStream};

/// Takes the TLS stream out of a connection that was upgraded, with the policy
/// [`ClosePolicy::Notify`], and the bytes behind the request that hyper has read already.
///
/// A stream that lingers discards what arrives once it is shut down, unless a reader waits. hyper's
/// connections need that; a tunnel or a proxy, whose other direction continues, does not. The
/// stream stays in its tracker. Works for connections of hyper's `http1`, of hyper-util's `auto`
/// builder, and so for `axum::serve` and axum-server.
///
/// # Errors
///
/// Gives `upgraded` back if it is no [`TokioIo`] of a `GracefulStream<S>`. An extended `CONNECT` of
/// HTTP/2 never is: it is a stream within a connection that others use.
///
/// ```
/// use hyper::{Request, StatusCode, body::Incoming};
/// use tokio::{io::{AsyncWriteExt, copy_bidirectional}, net::TcpStream};
/// use tokio_tls_shutdown::{integrations, tokio_rustls::server::TlsStream};
///
/// /// Answers `CONNECT`.
/// async fn tunnel(mut request: Request<Incoming>) -> StatusCode {
///     let upgrade = hyper::upgrade::on(&mut request);
///     tokio::spawn(async move {
///         let upgraded = upgrade.await.map_err(std::io::Error::other)?;
///         let (mut tls, read) = integrations::hyper::downcast::<TlsStream<TcpStream>>(upgraded)
///             .map_err(|_| std::io::Error::other("not HTTP/1"))?;
///         let mut upstream = TcpStream::connect("upstream.example:5432").await?;
///         upstream.write_all(&read).await?;
///         copy_bidirectional(&mut tls, &mut upstream).await
///     });
///     StatusCode::OK
/// }
/// ```
pub fn downcast<S>(upgraded: Upgraded) -> Result<(GracefulStream<S>, Bytes), Upgraded>
where
    GracefulStream<S>: AsyncRead + AsyncWrite + Unpin + 'static,
{
    let (io, read) = match auto::upgrade::downcast::<TokioIo<GracefulStream<S>>>(upgraded) {
        Ok(parts) => (parts.io, parts.read_buf),
        Err(upgraded) => {
            let parts = upgraded.downcast::<TokioIo<GracefulStream<S>>>()?;
            (parts.io, parts.read_buf)
        }
    };
    let mut stream = io.into_inner();
    stream.set_policy(ClosePolicy::Notify);
    Ok((stream, read))
}
