//! The features `tracing` and `metrics`: one event and one count for each close, over each library.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::io::AsyncReadExt;
use tokio_tls_shutdown::{GracefulStream, ShutdownExt};
use tracing_subscriber::filter::LevelFilter;

use crate::{
    library::Library,
    scenarios::{done, plain, runtime},
    support::{CASES, Case, Role},
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Write::write(&mut *self.0.lock().unwrap(), buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

/// A plain stream that is closed, and a `GracefulStream` that is closed and dropped.
fn close_both<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    rig.peer_closes();
    // s2n reads nothing after its own `close_notify` with TLS 1.2.
    assert_eq!(done(rig.stream.read(&mut [0; 9])).unwrap(), 0);
    let closed = done(rig.stream.shutdown_bidirectional());
    assert!(closed.unwrap().is_clean());

    let mut rig = plain::<L>(case).map(GracefulStream::new);
    rig.peer_closes();
    let closed = done(rig.stream.shutdown_bidirectional());
    assert!(closed.unwrap().is_clean());
}

/// A subscriber misses the events that another test meets for the first time while it is set.
fn until_no_event_is_missed<L: Library>(case: Case, log: &Log) {
    for _ in 0..1000 {
        close_both::<L>(case);
        if log.take().matches("TLS connection closed").count() == 2 {
            return;
        }
        tracing::callsite::rebuild_interest_cache();
    }
    panic!("events are missed");
}

fn closes_are_told<L: Library>() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for case in CASES.into_iter().filter(|case| L::speaks(*case)) {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let guard = tracing::subscriber::set_default(subscriber);
        until_no_event_is_missed::<L>(case, &log);
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        metrics::with_local_recorder(&recorder, || close_both::<L>(case));
        drop(guard);
        let role = match case.role {
            Role::Client => "client",
            Role::Server => "server",
        };
        let log = log.take();
        let told = format!("TLS connection closed role=\"{role}\" outcome=\"clean\"");
        assert_eq!(log.matches(&told).count(), 2, "{log}");
        assert_eq!(log.matches("tokio_tls_shutdown").count(), 2, "{log}");
        let counts = snapshotter.snapshot().into_vec().into_iter();
        let counts = counts.filter_map(|(key, _, _, value)| match value {
            DebugValue::Counter(count) => {
                let labels = key.key().labels();
                let labels: Vec<_> = labels.map(|label| label.value().to_owned()).collect();
                Some((labels.join(" "), count))
            }
            _ => None,
        });
        assert_eq!(counts.collect::<Vec<_>>(), [(format!("{role} clean"), 2)]);
    }
}

macro_rules! of_library {
    ($library:ident $Library:ident:) => {
        #[test]
        fn $library() {
            closes_are_told::<crate::libraries::$Library>();
        }
    };
}

for_each_library!(of_library:);
