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
    support::{CASES, Role},
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

/// A plain stream that is closed, and a `GracefulStream` that is closed and dropped.
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
        // A subscriber misses an event that another test meets for the first time meanwhile.
        let mut before = plain::<L>(case);
        before.peer_closes();
        assert_eq!(done(before.stream.read(&mut [0; 9])).unwrap(), 0);
        let closed = done(before.stream.shutdown_bidirectional());
        assert!(closed.unwrap().is_clean());
        let recorder = DebuggingRecorder::new();
        let snapshotter = recorder.snapshotter();
        let guard = tracing::subscriber::set_default(subscriber);
        metrics::with_local_recorder(&recorder, || {
            let mut rig = plain::<L>(case);
            rig.peer_closes();
            // s2n reads nothing after its own `close_notify` with TLS 1.2.
            assert_eq!(done(rig.stream.read(&mut [0; 9])).unwrap(), 0);
            assert!(
                done(rig.stream.shutdown_bidirectional())
                    .unwrap()
                    .is_clean()
            );

            let mut rig = plain::<L>(case).map(GracefulStream::new);
            rig.peer_closes();
            assert!(
                done(rig.stream.shutdown_bidirectional())
                    .unwrap()
                    .is_clean()
            );
        });
        drop(guard);
        let role = match case.role {
            Role::Client => "client",
            Role::Server => "server",
        };
        let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
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
