//! OpenSSL, the library.

#[path = "../../openssl_api.rs"]
mod openssl_api;

use std::pin::Pin;

use openssl::ssl;
use tokio_openssl::SslStream;

use peer_protocol::Tcp;

async fn handshake(ssl: ssl::Ssl, tcp: Tcp, is_server: bool) -> anyhow::Result<SslStream<Tcp>> {
    let mut stream = SslStream::new(ssl, tcp)?;
    match is_server {
        true => Pin::new(&mut stream).accept().await?,
        false => Pin::new(&mut stream).connect().await?,
    }
    Ok(stream)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let version = openssl::version::version();
    let version = version.split(' ').nth(1).unwrap_or(version);
    peer_protocol::run(version, openssl_api::Context::new).await
}
