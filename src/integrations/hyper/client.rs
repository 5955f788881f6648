//! The connector for hyper-util's client.

use std::{
    error::Error,
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
};

use hyper::{
    Uri,
    rt::{Read, Write},
};
use hyper_util::{
    client::legacy::connect::{Connected, Connection, HttpConnector},
    rt::TokioIo,
};
use rustls::pki_types::ServerName;
use tokio_rustls::client::TlsStream;
use tower_service::Service;

use crate::{handshake::connector::GracefulConnector, stream::GracefulStream};

type BoxError = Box<dyn Error + Send + Sync>;

/// Connects to `https` URIs: TLS on top of another connector.
///
/// A tower `Service<Uri>`, for hyper-util's
/// [`legacy::Client`](hyper_util::client::legacy::Client). The streams linger when
/// they are closed, unless [another policy](GracefulConnector::with_policy) is set: the pool closes
/// its connections in tasks of its own, which no one waits for. A program that exits right
/// after its last response stops those tasks; let it wait for its
/// [`CloseTracker`](crate::CloseTracker).
///
/// The client speaks HTTP/2 where the server has chosen it, so put `h2` and `http/1.1` in
/// [`alpn_protocols`](rustls::ClientConfig::alpn_protocols) of the configuration.
///
/// It sends no early data (0-RTT), even if the [`GracefulConnector`] was told to. While a client
/// sends early data, ALPN has not been negotiated yet: hyper-util would speak HTTP/1.1 on a
/// connection whose protocol becomes HTTP/2. Sessions are still resumed.
///
/// # Errors
///
/// Those of the connector below; a [`HandshakeError`](crate::HandshakeError); an [`io::Error`] of
/// kind `InvalidInput` for a URI that is not `https` or has no valid host. All of them boxed:
/// hyper-util shows them as a `source()` of its own.
///
/// ```no_run
/// use std::{sync::Arc, time::Duration};
/// use hyper_util::{client::legacy::Client, rt::TokioExecutor};
/// use tokio_tls_shutdown::{CloseTracker, GracefulConnector, integrations::hyper::HttpsConnector};
/// use tokio_tls_shutdown::tokio_rustls::rustls::ClientConfig;
///
/// async fn fetch(mut config: ClientConfig) -> Result<(), Box<dyn std::error::Error>> {
///     config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
///     let tracker = CloseTracker::new();
///     let tls = GracefulConnector::new(Arc::new(config)).with_tracker(&tracker);
///     let client: Client<_, String> =
///         Client::builder(TokioExecutor::new()).build(HttpsConnector::new(tls));
///     let response = client.get("https://www.example.org/".parse()?).await?;
///     println!("{}", response.status());
///     drop((response, client));
///     println!("{}", tracker.drain(Duration::from_secs(1)).await);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug)]
pub struct HttpsConnector<H = HttpConnector> {
    below: H,
    tls: GracefulConnector,
}

impl HttpsConnector {
    /// Creates a new connector on top of an [`HttpConnector`] with `TCP_NODELAY`.
    #[must_use]
    pub fn new(tls: GracefulConnector) -> Self {
        let mut below = HttpConnector::new();
        below.enforce_http(false);
        below.set_nodelay(true);
        // `connected()` tells hyper-util the protocol, so that has to be negotiated by then.
        #[cfg(feature = "early-data")]
        let tls = tls.with_early_data(false);
        Self {
            below,
            tls: tls.linger_unless_set(),
        }
    }
}

impl<H> HttpsConnector<H> {
    /// Replaces the connector below TLS. It is called with the `https` URI.
    #[must_use]
    pub fn wrap_connector<B>(self, below: B) -> HttpsConnector<B> {
        HttpsConnector {
            below,
            tls: self.tls,
        }
    }
}

impl<H> Service<Uri> for HttpsConnector<H>
where
    H: Service<Uri>,
    H::Response: Read + Write + Connection + Unpin + Send + 'static,
    H::Future: Send + 'static,
    H::Error: Into<BoxError>,
{
    type Response = TokioIo<GracefulStream<TlsStream<TokioIo<H::Response>>>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.below.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let name = match server_name(&uri) {
            Ok(name) => name,
            Err(e) => return Box::pin(async { Err(e.into()) }),
        };
        let connect = self.below.call(uri);
        let tls = self.tls.clone();
        Box::pin(async move {
            let io = TokioIo::new(connect.await.map_err(Into::into)?);
            Ok(TokioIo::new(tls.connect(name, io).await?))
        })
    }
}

fn server_name(uri: &Uri) -> io::Result<ServerName<'static>> {
    let invalid = |e: BoxError| io::Error::new(io::ErrorKind::InvalidInput, e);
    if uri.scheme_str() != Some("https") {
        return Err(invalid("the URI is not https".into()));
    }
    let host = uri.host().unwrap_or_default();
    // An IPv6 address stands in brackets.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).map_err(|e| invalid(e.into()))
}

/// Gives hyper-util's pool what the transport reports, and whether the server has chosen HTTP/2.
impl<IO: Connection> Connection for GracefulStream<TlsStream<IO>> {
    fn connected(&self) -> Connected {
        let (io, tls) = self.get_ref().get_ref();
        match tls.alpn_protocol() {
            Some(b"h2") => io.connected().negotiated_h2(),
            _ => io.connected(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_an_https_uri_is_the_name_of_the_server() {
        for (uri, name) in [
            ("https://localhost:8443/a", "localhost"),
            ("https://127.0.0.1/", "127.0.0.1"),
            ("https://[::1]:8443/", "::1"),
        ] {
            let expected = ServerName::try_from(name).unwrap();
            assert_eq!(server_name(&uri.parse().unwrap()).unwrap(), expected);
        }
        for uri in ["http://localhost/", "/a", "localhost:443", "https://a..b/"] {
            let error = server_name(&uri.parse().unwrap()).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{uri}");
        }
    }
}
