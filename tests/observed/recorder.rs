//! Recorders other than those of `metrics-util`.

use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tokio::runtime::Builder;
use tokio_tls_shutdown::ShutdownExt;

use crate::{answer_after_a_second, support::CASES};

/// Counts what it is given, and has no size: as the recorder that stands for none.
struct WithoutSize;

static SECONDS: Mutex<Vec<f64>> = Mutex::new(Vec::new());

impl Recorder for WithoutSize {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Arc::new(Self))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Arc::new(Self))
    }
}

impl CounterFn for WithoutSize {
    fn increment(&self, _: u64) {}
    fn absolute(&self, _: u64) {}
}

impl HistogramFn for WithoutSize {
    fn record(&self, value: f64) {
        SECONDS.lock().unwrap().push(value);
    }
}

#[test]
fn any_recorder_is_told_how_long_a_close_took() {
    for case in CASES {
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        metrics::with_local_recorder(&WithoutSize, || {
            runtime.block_on(async {
                let (mut ours, theirs) = case.duplex(4096).await;
                let (closed, ()) =
                    tokio::join!(ours.shutdown_bidirectional(), answer_after_a_second(theirs));
                assert!(closed.unwrap().is_clean());
            });
        });
        assert_eq!(std::mem::take(&mut *SECONDS.lock().unwrap()), [1.0]);
    }
}
