//! A transport whose input is there from the start and whose output has room: what is measured
//! over it is TLS alone.

use std::io::Cursor;

use tokio::io::{AsyncWrite, AsyncWriteExt, DuplexStream, Join, join};
use tokio_tls_shutdown::tokio_rustls;
#[cfg(feature = "others")]
use tokio_tls_shutdown_next as next;
use tokio_util::either::Either;

use crate::{
    contender::{Close, Contender, Pair},
    link::{Duplex, Link},
};

/// A duplex for the handshake, then canned.
pub type Canned = Either<DuplexStream, Join<Cursor<Vec<u8>>, Vec<u8>>>;

const ROOM: usize = 4096;

fn canned(input: Vec<u8>, room: usize) -> Canned {
    Either::Right(join(Cursor::new(input), Vec::with_capacity(room)))
}

/// A stream whose transport can be replaced.
pub trait OverCanned {
    fn io(&mut self) -> &mut Canned;
}

impl OverCanned for tokio_rustls::TlsStream<Canned> {
    fn io(&mut self) -> &mut Canned {
        match self {
            Self::Client(tls) => tls.get_mut().0,
            Self::Server(tls) => tls.get_mut().0,
        }
    }
}

#[cfg(feature = "others")]
impl OverCanned for next::TlsStream<Canned> {
    fn io(&mut self) -> &mut Canned {
        self.get_mut()
    }
}

/// A client that has shaken hands with a server, whose last words have all arrived: `data`, and
/// close_notify unless all that is wanted is [`Close::Notify`].
pub async fn client<C>(contender: &C, close: Close, data: &[u8]) -> C::Stream
where
    C: Contender<Canned, Stream: OverCanned + AsyncWrite + Unpin>,
{
    let (client, server) = Duplex.pair().await;
    let ends = (Either::Left(client), Either::Left(server));
    let Pair {
        mut client,
        mut server,
    } = contender.pair(ends).await;

    *server.io() = canned(Vec::new(), data.len() + data.len() / 64 + ROOM);
    server.write_all(data).await.expect("room");
    if close != Close::Notify {
        C::close_notify(&mut server).await;
    }
    let input = match server.io() {
        Either::Right(io) => std::mem::take(io.writer_mut()),
        Either::Left(_) => Vec::new(),
    };
    *client.io() = canned(input, ROOM);
    client
}
