//! A transport whose input is there from the start and whose output has room: what is measured
//! over it is TLS alone.

use std::io::Cursor;

use tokio::io::{AsyncWriteExt, DuplexStream, Join, join};
use tokio_tls_shutdown::tokio_rustls::TlsStream;
use tokio_util::either::Either;

use crate::{
    contender::{Close, Contender, Pair, Recipe, Way},
    link::{Duplex, Link},
};

/// A duplex for the handshake, then canned.
pub type Canned = Either<DuplexStream, Join<Cursor<Vec<u8>>, Vec<u8>>>;

const ROOM: usize = 4096;

fn canned(input: Vec<u8>, room: usize) -> Canned {
    Either::Right(join(Cursor::new(input), Vec::with_capacity(room)))
}

fn io(tls: &mut TlsStream<Canned>) -> &mut Canned {
    match tls {
        TlsStream::Client(tls) => tls.get_mut().0,
        TlsStream::Server(tls) => tls.get_mut().0,
    }
}

/// A client that has shaken hands with a server, whose last words have all arrived: `data`, and
/// close_notify unless all that is wanted is [`Close::Notify`].
pub async fn client<C>(contender: &Way<C>, close: Close, data: &[u8]) -> TlsStream<Canned>
where
    Way<C>: Contender<Canned, Stream = TlsStream<Canned>>,
{
    let (client, server) = Duplex.pair().await;
    let ends = (Either::Left(client), Either::Left(server));
    let Pair {
        mut client,
        mut server,
    } = contender.pair(ends).await;

    *io(&mut server) = canned(Vec::new(), data.len() + data.len() / 64 + ROOM);
    server.write_all(data).await.expect("room");
    if close != Close::Notify {
        <Way<Recipe> as Contender<Canned>>::close_notify(&mut server).await;
    }
    let input = match io(&mut server) {
        Either::Right(io) => std::mem::take(io.writer_mut()),
        Either::Left(_) => Vec::new(),
    };
    *io(&mut client) = canned(input, ROOM);
    client
}
