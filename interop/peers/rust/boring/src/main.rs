//! BoringSSL.

#[path = "../../openssl_api.rs"]
mod openssl_api;

use boring::ssl;
use tokio_boring::{SslStream, SslStreamBuilder};

use peer_protocol::Tcp;

async fn handshake(ssl: ssl::Ssl, tcp: Tcp, is_server: bool) -> anyhow::Result<SslStream<Tcp>> {
    let builder = SslStreamBuilder::new(ssl, tcp);
    let stream = match is_server {
        true => builder.accept().await,
        false => builder.connect().await,
    };
    stream.map_err(|e| anyhow::anyhow!("{e}"))
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    peer_protocol::run("crate boring 5", openssl_api::Context::new).await
}
