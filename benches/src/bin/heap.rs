//! Prints what a close allocates and what an open stream holds, as JSON.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use serde_json::{Value, json};
use tokio::io::{DuplexStream, duplex};
use tokio_tls_shutdown::{
    CloseProgress, GracefulConnector, GracefulStream, RecordAligned, ShutdownExt,
    resumption::ClientSessions,
    tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream, rustls::ClientConnection},
};
use tokio_tls_shutdown_benches::{
    canned::{self, Canned},
    contender::{Close, Contender, Graceful, Plain, Recipe, Way},
    raw::{self, RawPair},
    tls::{Version, server_name},
};

type Plainly = TlsStream<DuplexStream>;

/// As many as are held at once.
const STREAMS: usize = 100;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().build().expect("a runtime");
    runtime.block_on(future)
}

fn now(future: impl Future<Output = ()>) {
    let poll = pin!(future).poll(&mut Context::from_waker(Waker::noop()));
    assert_eq!(poll, Poll::Ready(()), "nothing is waited for");
}

fn row(version: Version, close: Close, name: &str, work: impl FnOnce()) -> Value {
    let info = measure(work);
    json!({
        "version": version.to_string(),
        "close": close.to_string(),
        "name": name,
        "count": info.count_total,
        "bytes": info.bytes_total,
    })
}

/// What the close of the client's end allocates.
fn allocations<C>(version: Version, close: Close) -> Value
where
    Way<C>: Contender<Canned, Stream = tokio_tls_shutdown::tokio_rustls::TlsStream<Canned>>,
{
    let contender = Way::<C>::new(version);
    let mut client = block_on(canned::client(&contender, close, &[]));
    let name = <Way<C> as Contender<Canned>>::NAME;
    row(version, close, name, || match close {
        Close::Notify => now(Way::<C>::close_notify(&mut client)),
        _ => now(Way::<C>::shutdown_bidirectional(&mut client)),
    })
}

fn raw_allocations(version: Version, close: Close) -> Value {
    let client = Arc::new(version.client_config());
    let mut pair = RawPair::new(&client, &Arc::new(version.server_config()));
    pair.prepare(close);
    row(version, close, raw::NAME, || pair.close(close))
}

/// Bytes of heap that each of the streams frees when it is dropped; the transport is not its own.
fn heap<S>(name: &str, make: impl AsyncFn() -> (S, DuplexStream)) -> Value {
    let streams: Vec<_> = block_on(async {
        let mut streams = Vec::with_capacity(STREAMS);
        for _ in 0..STREAMS {
            streams.push(make().await);
        }
        streams
    });
    // The other halves keep the transports.
    let (streams, _transports): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
    let vec = size_of::<S>() * streams.capacity();
    let freed = -measure(|| drop(streams)).bytes_current;
    let vec = i64::try_from(vec).unwrap_or(i64::MAX);
    let each = (freed - vec) / i64::try_from(STREAMS).unwrap_or(1);
    json!({ "name": name, "size": size_of::<S>(), "heap": each })
}

/// A client over one half of a duplex, whose other half comes along.
async fn connect<S>(
    connect: impl Future<Output = S>,
    server: DuplexStream,
    acceptor: &TlsAcceptor,
) -> (S, DuplexStream) {
    let (client, server) = tokio::join!(connect, acceptor.accept(server));
    (client, server.expect("a handshake").into_inner().0)
}

fn streams() -> Vec<Value> {
    let version = Version::Tls13;
    let config = Arc::new(version.client_config());
    let acceptor = TlsAcceptor::from(Arc::new(version.server_config()));
    let connector = TlsConnector::from(Arc::clone(&config));
    let graceful = GracefulConnector::new(Arc::clone(&config));
    let sessions = ClientSessions::in_memory(16);
    let with_sessions = graceful.clone().with_sessions(sessions);

    let plain = async |io| {
        connector
            .connect(server_name(), io)
            .await
            .expect("a handshake")
    };
    vec![
        heap("TlsStream of tokio-rustls", async || {
            let (client, server) = duplex(65_536);
            connect(plain(client), server, &acceptor).await
        }),
        heap("GracefulStream", async || {
            let (client, server) = duplex(65_536);
            connect(
                async { GracefulStream::new(plain(client).await) },
                server,
                &acceptor,
            )
            .await
        }),
        heap("GracefulStream of a GracefulConnector", async || {
            let (client, server) = duplex(65_536);
            let tls = async { graceful.connect(server_name(), client).await };
            let (tls, server) = connect(tls, server, &acceptor).await;
            (tls.expect("a handshake"), server)
        }),
        heap(
            "GracefulStream of a GracefulConnector with sessions",
            async || {
                let (client, server) = duplex(65_536);
                let tls = async { with_sessions.connect(server_name(), client).await };
                let (tls, server) = connect(tls, server, &acceptor).await;
                (tls.expect("a handshake"), server)
            },
        ),
        heap("GracefulStream over RecordAligned", async || {
            let (client, server) = duplex(65_536);
            let aligned = RecordAligned::new(client);
            let tls = async { connector.connect(server_name(), aligned).await };
            let (tls, server) = connect(tls, server, &acceptor).await;
            (GracefulStream::new(tls.expect("a handshake")), server)
        }),
    ]
}

/// What `size_of_val` says of what `make` returns.
fn size_of_output<'a, F>(_: impl FnOnce(&'a mut Plainly) -> F) -> usize {
    size_of::<F>()
}

fn main() {
    let mut allocated = Vec::new();
    for version in Version::BOTH {
        for close in [Close::Notify, Close::Answer] {
            allocated.push(raw_allocations(version, close));
            allocated.push(allocations::<Graceful>(version, close));
            allocated.push(allocations::<Recipe>(version, close));
            allocated.push(allocations::<Plain>(version, close));
        }
    }
    let sizes = json!([
        { "name": "rustls's ClientConnection", "size": size_of::<ClientConnection>() },
        { "name": "TlsStream of tokio-rustls", "size": size_of::<Plainly>() },
        { "name": "GracefulStream of it", "size": size_of::<GracefulStream<Plainly>>() },
        { "name": "CloseProgress", "size": size_of::<CloseProgress>() },
        { "name": "future of close_notify()", "size": size_of_output(|s| s.close_notify()) },
        {
            "name": "future of shutdown_bidirectional()",
            "size": size_of_output(|s| s.shutdown_bidirectional()),
        },
    ]);
    let report = json!({ "allocations": allocated, "sizes": sizes, "streams": streams() });
    println!("{report}");
}
