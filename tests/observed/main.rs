//! The features `tracing` and `metrics`: one event and one count for each close.
#![cfg(all(feature = "tracing", feature = "metrics"))]

#[path = "../support/mod.rs"]
mod support;

mod panics;
mod recorder;
mod spans;

use std::{
    io::{self, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use support::{CASES, Case, Rig, Role, Step};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    runtime::Builder,
    time::sleep,
};
use tokio_rustls::{TlsConnector, TlsStream, rustls::pki_types::ServerName};
use tokio_tls_shutdown::{GracefulAcceptor, GracefulStream, ShutdownExt, tokio_rustls};
use tracing_subscriber::fmt::MakeWriter;

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

impl MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

struct Seen {
    log: Vec<String>,
    /// Counters by their labels.
    counts: Vec<(String, u64)>,
    /// How many close times were recorded, and the last of them.
    times: (usize, f64),
}

/// Runs `closes`, and returns what was told of them.
fn observe<T>(closes: impl Future<Output = T>) -> Seen {
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .without_time()
        .with_writer(log.clone())
        .finish();
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    // Each keeps to this thread.
    let _guard = tracing::subscriber::set_default(subscriber);
    metrics::with_local_recorder(&recorder, || runtime.block_on(closes));
    let mut seen = Seen {
        log: String::from_utf8(log.0.lock().unwrap().clone())
            .unwrap()
            .lines()
            .filter(|line| line.contains("tokio_tls_shutdown"))
            .map(str::to_owned)
            .collect(),
        counts: Vec::new(),
        times: (0, 0.0),
    };
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let key = key.key();
        let labels: Vec<_> = key
            .labels()
            .map(|label| format!("{}={}", label.key(), label.value()))
            .collect();
        match value {
            DebugValue::Counter(count) => {
                assert_eq!(key.name(), "tls_closes_total");
                seen.counts.push((labels.join(" "), count));
            }
            DebugValue::Histogram(times) => {
                assert_eq!(key.name(), "tls_close_seconds");
                seen.times = (times.len(), times.last().unwrap().into_inner());
            }
            DebugValue::Gauge(_) => panic!("no gauge"),
        }
    }
    seen
}

fn role(case: Case) -> &'static str {
    match case.role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

async fn answer_after_a_second(mut theirs: TlsStream<DuplexStream>) {
    theirs.write_all(b"rest").await.unwrap();
    sleep(Duration::from_secs(1)).await;
    theirs.shutdown().await.unwrap();
}

#[test]
fn a_close_of_a_plain_stream_is_told_once() {
    for case in CASES {
        let seen = observe(async {
            let (mut ours, theirs) = case.duplex(4096).await;
            let (closed, ()) =
                tokio::join!(ours.shutdown_bidirectional(), answer_after_a_second(theirs));
            assert!(closed.unwrap().is_clean());
        });
        let [line] = &seen.log[..] else {
            panic!("{:?}", seen.log);
        };
        let role = role(case);
        assert!(line.contains("DEBUG"), "{line}");
        let told = format!("TLS connection closed role=\"{role}\" outcome=\"clean\" discarded=4");
        assert!(line.contains(&told), "{line}");
        assert_eq!(seen.counts, [(format!("role={role} outcome=clean"), 1)]);
        assert_eq!(seen.times, (1, 1.0));
    }
}

/// It closes nothing.
#[test]
fn waiting_for_the_peer_on_a_plain_stream_is_not_told() {
    for case in CASES {
        let seen = observe(async {
            let (mut ours, mut theirs) = case.duplex(4096).await;
            theirs.shutdown().await.unwrap();
            ours.peer_closed().await.unwrap();
        });
        assert!(seen.log.is_empty(), "{:?}", seen.log);
        assert!(seen.counts.is_empty(), "{:?}", seen.counts);
    }
}

#[test]
fn a_graceful_stream_is_told_of_once_when_it_is_dropped() {
    for case in CASES {
        let seen = observe(async {
            let (ours, theirs) = case.duplex(4096).await;
            let mut ours = GracefulStream::new(ours);
            ours.close_notify().await.unwrap();
            ours.flush().await.unwrap();
            let (read, ()) = tokio::join!(ours.read_u8(), answer_after_a_second(theirs));
            read.unwrap();
            let closed = ours.shutdown_bidirectional().await.unwrap();
            assert!(closed.is_clean());
            ours.shutdown().await.unwrap();
        });
        assert_eq!(seen.log.len(), 1, "{:?}", seen.log);
        let role = role(case);
        assert_eq!(seen.counts, [(format!("role={role} outcome=clean"), 1)]);
        assert_eq!(seen.times, (1, 1.0));
    }
}

#[test]
fn one_that_nobody_has_closed_is_told_as_dropped() {
    for case in CASES {
        let seen = observe(async {
            let (ours, _theirs) = case.duplex(4096).await;
            drop(GracefulStream::new(ours));
        });
        assert!(
            seen.log[0].contains("outcome=\"dropped\""),
            "{:?}",
            seen.log
        );
        let role = role(case);
        assert_eq!(seen.counts, [(format!("role={role} outcome=dropped"), 1)]);
        assert_eq!(seen.times.0, 0);
    }
}

#[test]
fn what_failed_is_told_in_one_line_and_not_above_debug() {
    for case in CASES {
        let seen = observe(async {
            let acceptor = GracefulAcceptor::new(Arc::new(case.server_config()));
            let (ours, mut http) = duplex(4096);
            http.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            acceptor.accept(ours).await.unwrap_err();

            let (ours, mut theirs) = case.duplex(4096).await;
            let mut ours = GracefulStream::new(ours);
            let mut bad = vec![23, 3, 3, 0, 40];
            bad.extend([0; 40]);
            theirs.get_mut().0.write_all(&bad).await.unwrap();
            ours.shutdown_bidirectional().await.unwrap_err();
        });
        let [http, bad] = &seen.log[..] else {
            panic!("{:?}", seen.log);
        };
        assert!(
            http.contains("the TLS handshake failed: received corrupt message"),
            "{http}"
        );
        assert!(bad.contains("outcome=\"failed\""), "{bad}");
        assert!(bad.contains("error="), "{bad}");
        assert!(seen.log.iter().all(|line| line.contains("DEBUG")));
    }
}

/// What a server's log has of one connection that does not come to its end.
#[track_caller]
fn assert_one_line(seen: &Seen, outcome: &str, error: Option<&str>) {
    let [line] = &seen.log[..] else {
        panic!("{:?}", seen.log);
    };
    assert!(line.contains("DEBUG"), "{line}");
    assert!(line.contains(&format!("outcome=\"{outcome}\"")), "{line}");
    match error {
        Some(error) => assert!(line.contains(error), "{line}"),
        None => assert!(!line.contains("error="), "{line}"),
    }
    assert_eq!(seen.counts, [(format!("role=server outcome={outcome}"), 1)]);
}

#[test]
fn a_handshake_that_never_ends_is_told_in_one_line() {
    for case in CASES {
        let seen = observe(async {
            let acceptor = GracefulAcceptor::new(Arc::new(case.server_config()));
            let (ours, mut theirs) = duplex(4096);
            theirs.write_all(b"\x16\x03\x01").await.unwrap();
            acceptor.accept(ours).await.unwrap_err();
        });
        assert_one_line(&seen, "timed_out", Some("not finished before the deadline"));
    }
}

#[test]
fn a_certificate_that_the_client_refuses_is_told_in_one_line() {
    for case in CASES {
        let seen = observe(async {
            let acceptor = GracefulAcceptor::new(Arc::new(case.server_config()));
            let other = ServerName::try_from("elsewhere").unwrap();
            let client = TlsConnector::from(Arc::new(case.client_config()));
            let (ours, theirs) = duplex(4096);
            let (accepted, refused) =
                tokio::join!(acceptor.accept(ours), client.connect(other, theirs));
            refused.unwrap_err();
            // In TLS 1.3 the server may be done before the client has looked.
            if let Ok(mut stream) = accepted {
                stream.read_u8().await.unwrap_err();
            }
        });
        assert_one_line(&seen, "failed", Some("received fatal alert"));
    }
}

#[test]
fn a_handler_that_crashes_is_told_in_one_line() {
    for case in CASES.into_iter().filter(|case| case.role == Role::Server) {
        let seen = observe(async {
            let (ours, _theirs) = case.duplex(4096).await;
            let ours = GracefulStream::new(ours);
            let handler = tokio::spawn(async move {
                let _ours = ours;
                panic!("a crash on purpose");
            });
            assert!(handler.await.unwrap_err().is_panic());
        });
        assert_one_line(&seen, "dropped", None);
    }
}

#[test]
fn a_reset_after_our_close_notify_has_a_series_of_its_own() {
    for case in CASES {
        for (plain, alone) in [(true, true), (false, true), (false, false)] {
            let mut rig = Rig::new(case);
            rig.wire.at_end(Step::Fail(io::ErrorKind::ConnectionReset));
            let seen = observe(async {
                if plain {
                    let _ = rig.stream.shutdown_bidirectional().await.unwrap();
                    return;
                }
                let mut stream = GracefulStream::new(rig.stream);
                if alone {
                    stream.close_notify().await.unwrap();
                }
                stream.read_u8().await.unwrap_err();
            });
            let outcome = match plain || alone {
                true => "reset_after_close_notify",
                false => "reset",
            };
            let series = format!("role={} outcome={outcome}", role(case));
            assert_eq!(seen.counts, [(series, 1)], "{case:?}");
        }
    }
}
