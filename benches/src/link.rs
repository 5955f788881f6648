//! What the connections run over.

use std::future::Future;

use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
};

/// A kind of transport, of which any number of pairs can be had.
pub trait Link: Sized {
    const NAME: &'static str;

    type Io: AsyncRead + AsyncWrite + Unpin;

    fn open() -> impl Future<Output = Self>;

    /// Both ends of one transport, the client's first.
    fn pair(&self) -> impl Future<Output = (Self::Io, Self::Io)>;
}

/// `tokio::io::duplex`, with room for more than a handshake.
pub struct Duplex;

impl Link for Duplex {
    const NAME: &'static str = "duplex";

    type Io = DuplexStream;

    async fn open() -> Self {
        Self
    }

    async fn pair(&self) -> (DuplexStream, DuplexStream) {
        duplex(64 * 1024)
    }
}

/// Loopback TCP, with TCP_NODELAY or without.
pub struct Tcp<const NODELAY: bool>(TcpListener);

impl<const NODELAY: bool> Link for Tcp<NODELAY> {
    const NAME: &'static str = match NODELAY {
        true => "TCP",
        false => "TCP without TCP_NODELAY",
    };

    type Io = TcpStream;

    async fn open() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        Self(listener.expect("a free port"))
    }

    async fn pair(&self) -> (TcpStream, TcpStream) {
        let address = self.0.local_addr().expect("an address");
        let (client, server) = tokio::join!(TcpStream::connect(address), self.0.accept());
        let (client, (server, _)) = (client.expect("a connection"), server.expect("a connection"));
        for socket in [&client, &server] {
            socket.set_nodelay(NODELAY).expect("a socket");
        }
        (client, server)
    }
}
