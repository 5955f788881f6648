//! What tracing and metrics are told.
#![cfg(all(feature = "tracing", feature = "metrics"))]

use std::{
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use tokio::time::advance;
use tracing_subscriber::fmt::MakeWriter;

use crate::{
    double::Mode,
    fleet::{KINDS, client, pair},
    site::resumes,
};

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

#[test]
fn e11_an_outage_is_one_line_and_its_end_another_and_all_is_counted() {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(log.clone())
        .finish();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let run = || {
        runtime.block_on(async {
            let (store, [a, _]) = pair(KINDS[0]).await;
            let client = client(KINDS[0]);
            assert!(!a.resumes(&client).await);
            assert!(a.resumes(&client).await);
            let keep = store.entries().clone();
            store.set_mode(Mode::Fails);
            for _ in 0..20 {
                assert!(!resumes(&client, &a.acceptor).await);
            }
            // A probe that fails is no news.
            advance(Duration::from_secs(1)).await;
            resumes(&client, &a.acceptor).await;
            store.set_mode(Mode::Answers);
            store.entries().extend(keep);
            advance(Duration::from_secs(2)).await;
            a.sessions.flush().await;
            for _ in 0..3 {
                a.resumes(&client).await;
            }
            a.sessions.stats()
        })
    };
    let stats = metrics::with_local_recorder(&recorder, || {
        tracing::subscriber::with_default(subscriber, run)
    });
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for line in [
        "WARN tokio_tls_shutdown: the session store does not answer lookups",
        "INFO tokio_tls_shutdown: the session store answers lookups again",
        "WARN tokio_tls_shutdown: the session store does not take writes",
        "INFO tokio_tls_shutdown: the session store takes writes again",
    ] {
        assert_eq!(log.matches(line).count(), 1, "{line}\n{log}");
    }
    assert_eq!(log.lines().count(), 4, "{log}");
    let counted = snapshotter.snapshot().into_vec();
    let count = |name: &str, result: &str| {
        let found = counted.iter().find(|(key, ..)| {
            let key = key.key();
            key.name() == name && key.labels().any(|label| label.value() == result)
        });
        match found {
            Some((.., DebugValue::Counter(n))) => *n,
            _ => 0,
        }
    };
    let lookups = |result| count("tls_fleet_lookups_total", result);
    assert_eq!(lookups("hit"), stats.hits);
    assert_eq!(lookups("miss"), stats.misses);
    assert_eq!(lookups("failed"), stats.failed);
    assert_eq!(lookups("skipped"), stats.skipped);
    let writes = |result| count("tls_fleet_writes_total", result);
    assert_eq!(writes("written"), stats.written);
    assert_eq!(writes("failed"), stats.writes_failed);
    assert_eq!(writes("dropped"), stats.writes_dropped);
    assert!(stats.hits > 0 && stats.failed == 6 && stats.skipped > 0 && stats.writes_failed > 0);
}
