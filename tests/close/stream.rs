//! `GracefulStream`: what it refuses, remembers and costs.

use tokio::net::TcpStream;
use tokio_tls_shutdown::{GracefulStream, tokio_rustls::client};

#[test]
fn costs_at_most_64_bytes() {
    let plain = size_of::<client::TlsStream<TcpStream>>();
    let graceful = size_of::<GracefulStream<client::TlsStream<TcpStream>>>();
    assert!(graceful <= plain + 64, "{graceful} > {plain} + 64");
}
