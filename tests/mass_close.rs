//! F8: ten thousand streams that close at once.

mod support;

use allocation_counter::measure;
use support::CASES;
use tokio::{io::duplex, task::JoinSet};
use tokio_tls_shutdown::ShutdownExt;

const STREAMS: usize = 10_000;

#[test]
fn f08_ten_thousand_streams_close_at_once_in_linear_time_and_bounded_memory() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().start_paused(true).build().unwrap();
    let close = |count: usize| {
        let streams: Vec<_> = runtime.block_on(async {
            let mut streams = Vec::new();
            for case in CASES.into_iter().cycle().take(count / 2) {
                let (ours, theirs) = duplex(4096);
                let (ours, theirs) = case.pair(ours, theirs).await;
                streams.extend([ours, theirs]);
            }
            streams
        });
        measure(|| {
            runtime.block_on(async {
                let mut closes = JoinSet::new();
                for mut stream in streams {
                    closes.spawn(async move {
                        let closed = stream.shutdown_bidirectional().await.unwrap();
                        assert!(closed.is_clean());
                        stream
                    });
                }
                assert_eq!(closes.join_all().await.len(), count);
            });
        })
    };
    let few = close(STREAMS / 10);
    let many = close(STREAMS);
    // Allocations are work done. A tenth more is for what grows by doubling.
    assert!(many.count_total < few.count_total * 11, "{few:?} {many:?}");
    assert!(many.bytes_max < few.bytes_max * 11, "{few:?} {many:?}");
    assert!(many.bytes_max / (STREAMS as u64) < 4096, "{few:?} {many:?}");
}
