//! What streams and futures hold, beside the TLS stream itself: a budget for each, in bytes.

mod support;

use support::{CASES, Case, Rig, Scripted};
use tokio::net::TcpStream;
use tokio_rustls::{TlsStream, client};
use tokio_tls_shutdown::{
    ClosePolicy, CloseProgress, CloseTracker, GracefulStream, RecordAligned, ShutdownExt,
    tokio_rustls,
};

/// With the features `tracing` or `metrics`, each stream has the record of its connection.
const OBSERVED: bool = cfg!(any(feature = "tracing", feature = "metrics"));

type Plain = client::TlsStream<TcpStream>;

/// The size of what `make` returns.
fn size_of_output<'a, F>(_: impl FnOnce(&'a mut Plain) -> F) -> usize {
    size_of::<F>()
}

#[track_caller]
fn assert_within(what: &str, bytes: usize, budget: usize) {
    assert!(bytes <= budget, "{what}: {bytes} bytes, budget {budget}");
}

#[test]
fn streams_and_futures_keep_to_their_budgets() {
    let beside = size_of::<GracefulStream<Plain>>() - size_of::<Plain>();
    assert_within("a GracefulStream, beside its stream", beside, 64);
    let beside = size_of::<RecordAligned<TcpStream>>() - size_of::<TcpStream>();
    assert_within("a RecordAligned, beside its transport", beside, 64);
    assert_within("a CloseProgress", size_of::<CloseProgress>(), 104);
    let bytes = size_of_output(|stream| stream.close_notify());
    assert_within("the future of close_notify()", bytes, 256);
    let bytes = size_of_output(|stream| stream.shutdown_bidirectional());
    assert_within("the future of shutdown_bidirectional()", bytes, 256);
    let bytes = size_of_output(|stream| stream.peer_closed());
    assert_within("the future of peer_closed()", bytes, 128);
}

/// Bytes of heap that are held after `open` has made something of a stream, and not before.
fn heap_of<T>(case: Case, open: impl FnOnce(GracefulStream<TlsStream<Scripted>>) -> T) -> usize {
    let rig = Rig::new(case);
    let mut opened = None;
    let info = allocation_counter::measure(|| opened = Some(open(GracefulStream::new(rig.stream))));
    usize::try_from(info.bytes_current).unwrap_or(0)
}

#[test]
fn an_open_connection_keeps_to_its_budget_of_heap() {
    let record = if OBSERVED { 160 } else { 0 };
    for case in CASES {
        let bytes = heap_of(case, |stream| stream);
        assert_within(&format!("{case:?}, wrapped"), bytes, record);

        let tracker = CloseTracker::new();
        let bytes = heap_of(case, |mut stream| {
            stream.track(&tracker);
            stream
        });
        assert_within(&format!("{case:?}, tracked"), bytes, 416);

        let bytes = heap_of(case, |mut stream| {
            stream.set_policy(ClosePolicy::linger());
            stream
        });
        assert_within(&format!("{case:?}, lingering"), bytes, 160);
    }
}
