//! tonic.

use ::tonic::transport::server::{Connected, TlsConnectInfo};
use tokio_rustls::server::TlsStream;

use crate::stream::GracefulStream;

/// Gives tonic's services the same information about the client as tonic's own TLS.
///
/// `Request::remote_addr` and `Request::peer_certs` work as they do there. For that, the feature
/// `tonic` turns on `tls-native-roots` of tonic, the only TLS feature of tonic that enables neither
/// root certificates nor a crypto provider. It also enables TLS 1.2 in tokio-rustls; the
/// [`ServerConfig`](rustls::ServerConfig) says whether it does.
///
/// Put `h2` in its [`alpn_protocols`](rustls::ServerConfig::alpn_protocols). tonic drops a
/// connection right after `shutdown()`, as hyper does: a
/// [`TlsListener`](https://docs.rs/tls-listener) gives streams that linger, and an acceptor of your
/// own loop wants [`ClosePolicy::linger`](crate::ClosePolicy::linger).
///
/// For a client, give `with_origin` of the generated code a client of hyper-util with
/// `integrations::hyper::HttpsConnector`.
// Compiled by the package `integrations`: it needs a framework.
#[cfg_attr(not(doctest), doc = include_str!("../doc/tonic.md"))]
#[cfg_attr(docsrs, doc(cfg(feature = "tonic")))]
impl<IO: Connected> Connected for GracefulStream<TlsStream<IO>> {
    type ConnectInfo = TlsConnectInfo<IO::ConnectInfo>;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.get_ref().connect_info()
    }
}
