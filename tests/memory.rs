//! What streams and futures hold, beside the TLS stream itself: a budget for each, in bytes.

mod support;

use futures_util::FutureExt as _;
use support::{CASES, Case, Rig, Scripted, budgets};
use tokio::{io::AsyncReadExt, net::TcpStream};
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
    assert_within(
        "a GracefulStream, beside its stream",
        beside,
        budgets::GRACEFUL_STREAM,
    );
    let beside = size_of::<RecordAligned<TcpStream>>() - size_of::<TcpStream>();
    assert_within(
        "a RecordAligned, beside its transport",
        beside,
        budgets::RECORD_ALIGNED,
    );
    assert_within(
        "a CloseProgress",
        size_of::<CloseProgress>(),
        budgets::CLOSE_PROGRESS,
    );
    let bytes = size_of_output(|stream| stream.close_notify());
    assert_within("the future of close_notify()", bytes, budgets::CLOSE);
    let bytes = size_of_output(|stream| stream.shutdown_bidirectional());
    assert_within(
        "the future of shutdown_bidirectional()",
        bytes,
        budgets::CLOSE,
    );
    let bytes = size_of_output(|stream| stream.peer_closed());
    assert_within("the future of peer_closed()", bytes, budgets::PEER_CLOSED);
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
    let untracked = if OBSERVED {
        budgets::HEAP_OBSERVED
    } else {
        budgets::HEAP
    };
    for case in CASES {
        let bytes = heap_of(case, |stream| stream);
        assert_within(&format!("{case:?}, wrapped"), bytes, untracked);

        let tracker = CloseTracker::new();
        let bytes = heap_of(case, |mut stream| {
            stream.track(&tracker);
            stream
        });
        assert_within(&format!("{case:?}, tracked"), bytes, budgets::HEAP_TRACKED);

        let bytes = heap_of(case, |mut stream| {
            stream.set_policy(ClosePolicy::linger());
            stream
        });
        assert_within(
            &format!("{case:?}, lingering"),
            bytes,
            budgets::HEAP_LINGERING,
        );
    }
}

#[test]
fn an_open_record_aligned_keeps_to_its_budget_of_heap() {
    let mut open = None;
    let info = allocation_counter::measure(|| {
        let mut aligned = RecordAligned::new(&b"\x17\x03\x03\x00\x01\x00"[..]);
        let mut byte = [0];
        let read = aligned.read_exact(&mut byte).now_or_never();
        assert!(matches!(read, Some(Ok(_))));
        open = Some(aligned);
    });
    let bytes = usize::try_from(info.bytes_current).unwrap_or(0);
    assert_within("a RecordAligned", bytes, budgets::HEAP_ALIGNED);
}
