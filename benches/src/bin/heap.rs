//! Prints what a close allocates and what an open stream holds, as JSON.

use std::{
    future::Future,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use serde_json::{Value, json};
use tokio::io::{AsyncWrite, DuplexStream, duplex};
use tokio_tls_shutdown::{
    ClosePolicy, CloseProgress, CloseTracker, GracefulConnector, GracefulStream, RecordAligned,
    ShutdownExt,
    resumption::ClientSessions,
    tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream, rustls::ClientConnection},
};
#[cfg(feature = "others")]
use tokio_tls_shutdown_benches::contender::RustlsNext;
use tokio_tls_shutdown_benches::{
    canned::{self, Canned, OverCanned},
    contender::{Close, Contender, Graceful, Plain, Recipe, Way},
    raw::{self, RawPair},
    tls::{Version, server_name},
};

#[path = "../../../tests/support/budgets.rs"]
mod budgets;

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
fn allocations<C>(contender: &C, version: Version, close: Close) -> Value
where
    C: Contender<Canned, Stream: OverCanned + AsyncWrite + Unpin>,
{
    let mut client = block_on(canned::client(contender, close, &[]));
    row(version, close, C::NAME, || match close {
        Close::Notify => now(C::close_notify(&mut client)),
        _ => now(C::shutdown_bidirectional(&mut client)),
    })
}

fn raw_allocations(version: Version, close: Close) -> Value {
    let client = Arc::new(version.client_config());
    let mut pair = RawPair::new(&client, &Arc::new(version.server_config()));
    pair.prepare(close);
    row(version, close, raw::NAME, || pair.close(close))
}

/// Bytes of heap that each of the streams frees when it is dropped; the transport is not its own.
fn heap<S>(make: impl AsyncFn() -> (S, DuplexStream)) -> i64 {
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
    (freed - vec) / i64::try_from(STREAMS).unwrap_or(1)
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

/// What an open connection holds, beside that of tokio-rustls.
fn streams() -> Vec<Value> {
    let version = Version::Tls13;
    let config = Arc::new(version.client_config());
    let acceptor = TlsAcceptor::from(Arc::new(version.server_config()));
    let connector = TlsConnector::from(Arc::clone(&config));
    let sessions = ClientSessions::in_memory(16);
    let with_sessions = GracefulConnector::new(Arc::clone(&config)).with_sessions(sessions);
    let tracker = CloseTracker::new();

    let plain = async || {
        let (client, server) = duplex(65_536);
        let tls = connector.connect(server_name(), client);
        let (tls, server) = connect(tls, server, &acceptor).await;
        (tls.expect("a handshake"), server)
    };
    let graceful = async |set: &dyn Fn(&mut GracefulStream<Plainly>)| {
        let (tls, server) = plain().await;
        let mut tls = GracefulStream::new(tls);
        set(&mut tls);
        (tls, server)
    };
    let floor = heap(plain);
    let row = |name: &str, heap: i64, budget: Option<usize>| json!({ "name": name, "bytes": heap, "budget": budget });
    let beside = |name: &str, heap: i64, budget| row(name, heap - floor, budget);
    vec![
        row("an open `TlsStream` of tokio-rustls, heap", floor, None),
        beside(
            "an open `GracefulStream`, heap beside it",
            heap(async || graceful(&|_| ()).await),
            Some(match cfg!(feature = "observed") {
                true => budgets::HEAP_OBSERVED,
                false => budgets::HEAP,
            }),
        ),
        beside(
            "the same with a tracker",
            heap(async || graceful(&|tls| tls.track(&tracker)).await),
            Some(budgets::HEAP_TRACKED),
        ),
        beside(
            "the same with the policy `Linger`",
            heap(async || graceful(&|tls| tls.set_policy(ClosePolicy::linger())).await),
            Some(budgets::HEAP_LINGERING),
        ),
        beside(
            "the same over `RecordAligned`",
            heap(async || {
                let (client, server) = duplex(65_536);
                let tls = connector.connect(server_name(), RecordAligned::new(client));
                let (tls, server) = connect(tls, server, &acceptor).await;
                (GracefulStream::new(tls.expect("a handshake")), server)
            }),
            Some(budgets::HEAP_ALIGNED),
        ),
        beside(
            "the same of a `GracefulConnector` with sessions",
            heap(async || {
                let (client, server) = duplex(65_536);
                let tls = async { with_sessions.connect(server_name(), client).await };
                let (tls, server) = connect(tls, server, &acceptor).await;
                (tls.expect("a handshake"), server)
            }),
            None,
        ),
    ]
}

/// What streams and futures are in size.
fn sizes() -> Vec<Value> {
    let row = |name: &str, bytes: usize, budget: Option<usize>| json!({ "name": name, "bytes": bytes, "budget": budget });
    let graceful = size_of::<GracefulStream<Plainly>>() - size_of::<Plainly>();
    let aligned = size_of::<RecordAligned<DuplexStream>>() - size_of::<DuplexStream>();
    vec![
        row(
            "`ClientConnection` of rustls",
            size_of::<ClientConnection>(),
            None,
        ),
        row("`TlsStream` of tokio-rustls", size_of::<Plainly>(), None),
        row(
            "`GracefulStream`, beside it",
            graceful,
            Some(budgets::GRACEFUL_STREAM),
        ),
        row(
            "`RecordAligned`, beside its transport",
            aligned,
            Some(budgets::RECORD_ALIGNED),
        ),
        row(
            "`CloseProgress`",
            size_of::<CloseProgress>(),
            Some(budgets::CLOSE_PROGRESS),
        ),
        row(
            "future of `close_notify()`",
            size_of_output(|s| s.close_notify()),
            Some(budgets::CLOSE),
        ),
        row(
            "future of `shutdown_bidirectional()`",
            size_of_output(|s| s.shutdown_bidirectional()),
            Some(budgets::CLOSE),
        ),
        row(
            "future of `peer_closed()`",
            size_of_output(|s| s.peer_closed()),
            Some(budgets::PEER_CLOSED),
        ),
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
            allocated.push(allocations(&Way::<Graceful>::new(version), version, close));
            allocated.push(allocations(&Way::<Recipe>::new(version), version, close));
            allocated.push(allocations(&Way::<Plain>::new(version), version, close));
            #[cfg(feature = "others")]
            allocated.push(allocations(&RustlsNext::new(version), version, close));
        }
    }
    let mut memory = sizes();
    memory.extend(streams());
    let report = json!({ "allocations": allocated, "memory": memory });
    println!("{report}");
}
