//! rustls-tokio-stream, which runs over sockets only. Its `shutdown()` sends close_notify and FIN.

use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection};
use rustls_tokio_stream::TlsStream;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tls_shutdown::tokio_rustls::rustls;

use super::Contender;
use crate::tls::{Version, server_name};

pub struct RustlsTokioStream {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Default for RustlsTokioStream {
    fn default() -> Self {
        Self {
            client: Arc::new(Version::Tls13.client_config()),
            server: Arc::new(Version::Tls13.server_config()),
        }
    }
}

impl Contender<TcpStream> for RustlsTokioStream {
    const NAME: &'static str = "rustls-tokio-stream";

    type Stream = TlsStream<TcpStream>;

    async fn connect(&self, io: TcpStream) -> Self::Stream {
        let client = ClientConnection::new(Arc::clone(&self.client), server_name());
        let mut tls = TlsStream::new_client_side(io, client.expect("a session"), None);
        tls.handshake().await.expect("a handshake");
        tls
    }

    async fn accept(&self, io: TcpStream) -> Self::Stream {
        let server = ServerConnection::new(Arc::clone(&self.server));
        let mut tls = TlsStream::new_server_side_from(io, server.expect("a session"), None);
        tls.handshake().await.expect("a handshake");
        tls
    }

    async fn close_notify(tls: &mut Self::Stream) {
        tls.shutdown().await.expect("a shutdown");
    }

    async fn shutdown_bidirectional(tls: &mut Self::Stream) {
        tls.shutdown().await.expect("a shutdown");
        tls.read_to_end(&mut Vec::new()).await.expect("a read");
    }
}
