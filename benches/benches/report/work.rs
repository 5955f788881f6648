//! What lies around a close: draining, last data, reading through `RecordAligned`, exchanging data
//! through a `GracefulStream`, and a connector's handshakes.

use std::{
    future::Future,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, HandshakeKind, ServerConfig, client::Resumption, crypto::ring};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tls_shutdown::{
    GracefulConnector, GracefulStream, RecordAligned, ShutdownExt,
    resumption::ClientSessions,
    tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, client, rustls},
};
use tokio_tls_shutdown_benches::{
    canned::{self, Canned},
    contender::{Close, Contender, Graceful, Pair, Recipe, Way, Wrapped},
    link::{Duplex, Link, Tcp},
    tls::{Version, server_name},
};

use crate::{
    closes::runtime,
    stopwatch::{Entry, Group, Stopwatch},
};

const MEBIBYTE: usize = 1 << 20;
const DRAINED: usize = 16 * MEBIBYTE;
/// Application data of each record that is read, and how much of them.
const READS: [(usize, usize); 4] = [
    (100, 8 * MEBIBYTE),
    (1_400, 16 * MEBIBYTE),
    (5_000, 32 * MEBIBYTE),
    (16_384, 64 * MEBIBYTE),
];
const PINGS: u64 = 100;

pub(crate) const OURS: &str = "tokio-tls-shutdown";
pub(crate) const BY_HAND: &str = "by hand";
pub(crate) const WITHOUT: &str = "without RecordAligned";
pub(crate) const WITH: &str = "with RecordAligned";
pub(crate) const PLAIN: &str = "TlsStream";
pub(crate) const UNTRACKED: &str = "GracefulStream";
pub(crate) const TRACKED: &str = "GracefulStream, tracked";
pub(crate) const TOGETHER: &str = "close_notify_with";
pub(crate) const APART: &str = "write_all, then a close";
pub(crate) const HANDSHAKE: &str = "TlsConnector";
pub(crate) const GRACEFUL_HANDSHAKE: &str = "GracefulConnector with sessions";
pub(crate) const CLONE: &str = "clone of the configuration";

/// With TCP_NODELAY each record is a segment of its own as long as the reader keeps up, and shares
/// one with many others where it does not; see `markdown`.
type Nagle = Tcp<false>;

pub(crate) struct Work {
    pub(crate) drain: Group,
    pub(crate) last_data: Group,
    pub(crate) aligned: Vec<Group>,
    pub(crate) ping_pong: Group,
    pub(crate) handshakes: Group,
}

pub(crate) fn measure(stopwatch: &mut Stopwatch) -> Work {
    Work {
        drain: drain(stopwatch),
        last_data: last_data(stopwatch),
        aligned: READS
            .into_iter()
            .flat_map(|reads| {
                [
                    aligned::<Duplex>(stopwatch, reads),
                    aligned::<Nagle>(stopwatch, reads),
                ]
            })
            .collect(),
        ping_pong: ping_pong(stopwatch),
        handshakes: handshakes(stopwatch),
    }
}

/// Adds up what each iteration says it took.
fn timed<F: Future<Output = Duration>>(iterations: u64, mut once: impl FnMut() -> F) -> Duration {
    runtime().block_on(async {
        let mut total = Duration::ZERO;
        for _ in 0..iterations {
            total += once().await;
        }
        total
    })
}

async fn time(work: impl Future<Output = ()>) -> Duration {
    let start = Instant::now();
    work.await;
    start.elapsed()
}

fn drain(stopwatch: &mut Stopwatch) -> Group {
    let data = vec![7; DRAINED];
    let contender = Way::<Graceful>::new(Version::Tls13);
    let ours = async || {
        let mut tls = canned::client(&contender, Close::Answer, &data).await;
        time(async {
            let closed = tls.shutdown_bidirectional().await.expect("a close");
            assert_eq!(closed.discarded(), DRAINED as u64);
        })
        .await
    };
    let by_hand = async || {
        let mut tls = canned::client(&contender, Close::Answer, &data).await;
        let mut buf = vec![0; 16 * 1024];
        time(async {
            <Way<Recipe> as Contender<Canned>>::close_notify(&mut tls).await;
            let mut drained = 0;
            loop {
                match tls.read(&mut buf).await.expect("a read") {
                    0 => break,
                    n => drained += n,
                }
            }
            assert_eq!(drained, DRAINED);
        })
        .await
    };
    let entries: Vec<Entry<'_>> = vec![
        (OURS, Box::new(|n| timed(n, &ours))),
        (BY_HAND, Box::new(|n| timed(n, &by_hand))),
    ];
    stopwatch.measure("16 MiB drained while closing", entries)
}

/// Reads to the end of the stream, then closes it.
async fn answer<IO: AsyncRead + AsyncWrite + Unpin>(tls: &mut TlsStream<IO>) {
    tls.read_to_end(&mut Vec::new()).await.expect("a read");
    tls.close_notify().await.expect("a close");
}

fn last_data(stopwatch: &mut Stopwatch) -> Group {
    let contender = Way::<Graceful>::new(Version::Tls13);
    let pair = async || {
        let link = Nagle::open().await;
        let mut pair: Pair<TlsStream<_>> = contender.pair(link.pair().await).await;
        // Afterwards nothing that the client has sent waits for an acknowledgement.
        let mut byte = [0];
        pair.client.write_all(&byte).await.expect("a write");
        pair.server.read_exact(&mut byte).await.expect("a read");
        pair.server.write_all(&byte).await.expect("a write");
        pair.client.read_exact(&mut byte).await.expect("a read");
        pair
    };
    let together = async || {
        let Pair { client, mut server } = pair().await;
        let client = async {
            let mut client = GracefulStream::new(client);
            let closed = client.close_notify_with(b"QUIT\r\n").await;
            closed.expect("a close");
            let closed = client.shutdown_bidirectional().await.expect("a close");
            assert!(closed.is_clean());
        };
        let (elapsed, ()) = tokio::join!(time(client), answer(&mut server));
        elapsed
    };
    let apart = async || {
        let mut pair = pair().await;
        let client = async {
            pair.client.write_all(b"QUIT\r\n").await.expect("a write");
            let closed = pair.client.shutdown_bidirectional().await.expect("a close");
            assert!(closed.is_clean());
        };
        let (elapsed, ()) = tokio::join!(time(client), answer(&mut pair.server));
        elapsed
    };
    let entries: Vec<Entry<'_>> = vec![
        (TOGETHER, Box::new(|n| timed(n, &together))),
        (APART, Box::new(|n| timed(n, &apart))),
    ];
    let name = format!("last data and a bidirectional close, {}", Nagle::NAME);
    stopwatch.measure(&name, entries)
}

/// How long it takes to read records over a transport that `wrap` has wrapped.
async fn read<IO, W>(
    (client, server): (IO, IO),
    wrap: impl FnOnce(IO) -> W,
    (record, bytes): (usize, usize),
) -> Duration
where
    IO: AsyncRead + AsyncWrite + Unpin,
    W: AsyncRead + AsyncWrite + Unpin,
{
    let version = Version::Tls13;
    let connector = TlsConnector::from(Arc::new(version.client_config()));
    let acceptor = TlsAcceptor::from(Arc::new(version.server_config()));
    let (client, server) = tokio::join!(
        connector.connect(server_name(), wrap(client)),
        acceptor.accept(server),
    );
    let (mut client, mut server) = (client.expect("a handshake"), server.expect("a handshake"));

    let chunk = vec![7; record];
    let records = bytes / record;
    let mut buf = vec![0; 64 * 1024];
    let write = async {
        for _ in 0..records {
            server.write_all(&chunk).await.expect("a write");
        }
        server.flush().await.expect("a flush");
    };
    let read = async {
        let mut left = records * record;
        while left > 0 {
            left -= client.read(&mut buf).await.expect("a read");
        }
    };
    let start = Instant::now();
    tokio::join!(write, read);
    start.elapsed()
}

fn aligned<L: Link>(stopwatch: &mut Stopwatch, reads: (usize, usize)) -> Group {
    let without = async || read(L::open().await.pair().await, |io| io, reads).await;
    let with = async || read(L::open().await.pair().await, RecordAligned::new, reads).await;
    let entries: Vec<Entry<'_>> = vec![
        (WITHOUT, Box::new(|n| timed(n, &without))),
        (WITH, Box::new(|n| timed(n, &with))),
    ];
    let (record, bytes) = reads;
    let name = format!(
        "{} MiB read in records of {record} bytes, {}",
        bytes / MEBIBYTE,
        L::NAME
    );
    stopwatch.measure(&name, entries)
}

/// How long it takes to send 100 bytes there and back, so many times.
async fn ping<S: AsyncRead + AsyncWrite + Unpin>(mut pair: Pair<S>) -> Duration {
    let mut there = [7; 100];
    let mut back = [0; 100];
    let start = Instant::now();
    for _ in 0..PINGS {
        pair.client.write_all(&there).await.expect("a write");
        pair.server.read_exact(&mut back).await.expect("a read");
        pair.server.write_all(&back).await.expect("a write");
        pair.client.read_exact(&mut there).await.expect("a read");
    }
    start.elapsed()
}

fn ping_pong(stopwatch: &mut Stopwatch) -> Group {
    let version = Version::Tls13;
    let plain = Way::<Graceful>::new(version);
    let (untracked, tracked) = (Wrapped::untracked(version), Wrapped::tracked(version));
    let plain = async || ping(plain.pair(Duplex.pair().await).await).await;
    let untracked = async || ping(untracked.pair(Duplex.pair().await).await).await;
    let tracked = async || ping(tracked.pair(Duplex.pair().await).await).await;
    let entries: Vec<Entry<'_>> = vec![
        (PLAIN, Box::new(|n| timed(n, &plain))),
        (UNTRACKED, Box::new(|n| timed(n, &untracked))),
        (TRACKED, Box::new(|n| timed(n, &tracked))),
    ];
    let name = format!("100 bytes there and back, {PINGS} times, duplex");
    stopwatch.measure(&name, entries)
}

/// A server whose sessions can be resumed, and a client that would resume them.
fn resuming() -> (ClientConfig, ServerConfig) {
    let mut client = Version::Tls13.client_config();
    client.resumption = Resumption::in_memory_sessions(16);
    let mut server = Version::Tls13.server_config();
    server.send_tls13_tickets = 2;
    server.ticketer = ring::Ticketer::new().expect("a ticketer");
    (client, server)
}

fn is_resumed<IO>(tls: &client::TlsStream<IO>) -> bool {
    tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

fn handshakes(stopwatch: &mut Stopwatch) -> Group {
    let (client, server) = resuming();
    let client = Arc::new(client);
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let connector = TlsConnector::from(Arc::clone(&client));
    let sessions = ClientSessions::in_memory(16);
    let graceful = GracefulConnector::new(Arc::clone(&client)).with_sessions(sessions);

    // The first of them all cannot resume; each takes the tickets of the one before.
    let plain = async || {
        let (client, server) = Duplex.pair().await;
        let start = Instant::now();
        let (client, server) = tokio::join!(
            connector.connect(server_name(), client),
            acceptor.accept(server),
        );
        let elapsed = start.elapsed();
        let (mut client, mut server) = (client.expect("a handshake"), server.expect("a handshake"));
        tokio::join!(close(&mut client), close(&mut server));
        (elapsed, is_resumed(&client))
    };
    let ours = async || {
        let (client, server) = Duplex.pair().await;
        let start = Instant::now();
        let (client, server) = tokio::join!(
            graceful.connect(server_name(), client),
            acceptor.accept(server),
        );
        let elapsed = start.elapsed();
        let (mut client, mut server) = (client.expect("a handshake"), server.expect("a handshake"));
        tokio::join!(close(&mut client), close(&mut server));
        (elapsed, is_resumed(client.get_ref()))
    };
    runtime().block_on(async { (plain().await, ours().await) });
    let plain = async || {
        let (elapsed, resumed) = plain().await;
        assert!(resumed);
        elapsed
    };
    let ours = async || {
        let (elapsed, resumed) = ours().await;
        assert!(resumed);
        elapsed
    };
    let clone = |iterations| {
        let start = Instant::now();
        for _ in 0..iterations {
            black_box(Arc::new(ClientConfig::clone(black_box(&client))));
        }
        start.elapsed()
    };
    let entries: Vec<Entry<'_>> = vec![
        (HANDSHAKE, Box::new(|n| timed(n, &plain))),
        (GRACEFUL_HANDSHAKE, Box::new(|n| timed(n, &ours))),
        (CLONE, Box::new(clone)),
    ];
    stopwatch.measure("a resumed TLS 1.3 handshake of both ends, duplex", entries)
}

async fn close<S: ShutdownExt>(tls: &mut S) {
    let closed = tls.shutdown_bidirectional().await.expect("a close");
    assert!(closed.is_clean());
}
