//! `CloseTracker::with_on_close`: what is said of each connection, and when.

use std::{
    io,
    pin::{Pin, pin},
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    time::{advance, sleep},
};
use tokio_tls_shutdown::{
    CloseOutcome, ClosePolicy, CloseReport, CloseTracker, GracefulConnector, GracefulStream,
    RecordAligned, Role, ShutdownExt,
};

use crate::{
    Tls, acceptor,
    support::{self, CASES, Case, Version, pair::name},
    tracked, write_bad_record,
};

type Reports = Arc<Mutex<Vec<CloseReport>>>;

/// A tracker, and what it has reported.
fn reporting() -> (CloseTracker, Reports) {
    let reports = Reports::default();
    let to = Arc::clone(&reports);
    let tracker = CloseTracker::with_on_close(move |report| {
        to.lock().unwrap().push(report.clone());
    });
    (tracker, reports)
}

#[track_caller]
fn only(reports: &Reports) -> CloseReport {
    let reports = reports.lock().unwrap();
    assert_eq!(reports.len(), 1, "{reports:?}");
    reports[0].clone()
}

fn role(case: Case) -> Role {
    match case.role {
        support::Role::Client => Role::Client,
        support::Role::Server => Role::Server,
    }
}

/// Closes one connection in one way, and returns the line that says so, after the role.
async fn end(way: usize, mut ours: GracefulStream<Tls>, mut theirs: Tls) -> Option<&'static str> {
    Some(match way {
        0 => {
            let answer = async {
                theirs.write_all(b"rest").await.unwrap();
                sleep(Duration::from_secs(1)).await;
                theirs.shutdown().await.unwrap();
            };
            let (closed, ()) = tokio::join!(ours.shutdown_bidirectional(), answer);
            assert!(closed.unwrap().is_clean());
            "clean, 4 bytes discarded, took 1s"
        }
        1 => {
            theirs.shutdown().await.unwrap();
            assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 0);
            sleep(Duration::from_secs(1)).await;
            ours.close_notify().await.unwrap();
            "clean, the peer closed first, took 0ns"
        }
        2 => {
            ours.shutdown().await.unwrap();
            "one way, took 0ns"
        }
        3 => "dropped",
        4 => {
            ours.shutdown_bidirectional()
                .await
                .unwrap()
                .require_clean()
                .unwrap_err();
            "timed out, took 5s"
        }
        5 => {
            write_bad_record(theirs.get_mut().0).await;
            ours.read_u8().await.unwrap_err();
            "failed: cannot decrypt peer's message"
        }
        6 => {
            ours.set_policy(ClosePolicy::Quiet);
            ours.shutdown().await.unwrap();
            "one way"
        }
        // The same where no read has met it.
        7 => {
            write_bad_record(theirs.get_mut().0).await;
            ours.peer_closed().await.unwrap_err();
            "failed: cannot decrypt peer's message"
        }
        8 => {
            write_bad_record(theirs.get_mut().0).await;
            ours.shutdown_bidirectional().await.unwrap_err();
            "failed, took 0ns: cannot decrypt peer's message"
        }
        _ => return None,
    })
}

#[tokio::test(start_paused = true)]
async fn a_report_says_what_happened_in_one_line() {
    for case in CASES {
        for way in 0.. {
            let (tracker, reports) = reporting();
            let (ours, theirs) = tracked(&tracker, case).await;
            let Some(expected) = end(way, ours, theirs).await else {
                break;
            };
            let report = only(&reports);
            let role = role(case);
            assert_eq!(report.role(), role);
            assert!(!report.is_resumed());
            let line = format!("TLS {role} connection closed: {expected}");
            assert_eq!(report.to_string(), line, "{case:?} {way}");
            // As it is counted.
            let counted = format!("1 closed, 1 {}; ", report.outcome());
            let stats = tracker.stats().to_string();
            assert!(stats.starts_with(&counted), "{stats}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_report_says_who_closed_first() {
    for case in CASES {
        for peer_first in [false, true] {
            let (tracker, reports) = reporting();
            let (mut ours, mut theirs) = tracked(&tracker, case).await;
            if peer_first {
                theirs.shutdown().await.unwrap();
                assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 0);
                assert!(ours.shutdown_bidirectional().await.unwrap().is_clean());
            } else {
                ours.close_notify().await.unwrap();
                assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0);
                theirs.shutdown().await.unwrap();
                assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 0);
            }
            drop(ours);
            let report = only(&reports);
            assert_eq!(report.outcome(), CloseOutcome::Clean, "{case:?}");
            assert_eq!(report.peer_closed_first(), peer_first, "{case:?}");
        }
    }
}

/// Each write takes a second.
struct Slow(DuplexStream);

impl AsyncRead for Slow {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Slow {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // The clock is advanced by the first poll.
        let _ = pin!(advance(Duration::from_secs(1))).poll(cx);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

/// Also of a close that never waits.
#[tokio::test(start_paused = true)]
async fn the_duration_counts_from_the_beginning_of_the_call() {
    for case in CASES {
        let (tracker, reports) = reporting();
        let (ours, theirs) = duplex(4096);
        let (ours, _theirs) = case.pair(Slow(ours), theirs).await;
        let mut ours = GracefulStream::new(ours);
        ours.track(&tracker);
        ours.close_notify().await.unwrap();
        drop(ours);
        assert_eq!(only(&reports).duration(), Some(Duration::from_secs(1)));
    }
}

#[tokio::test]
async fn plaintext_in_place_of_tls_is_a_failure() {
    for case in CASES {
        let (tracker, reports) = reporting();
        let (ours, theirs) = duplex(4096);
        let (ours, mut theirs) = case.pair(RecordAligned::new(ours), theirs).await;
        let mut ours = GracefulStream::new(ours);
        ours.track(&tracker);
        theirs.get_mut().0.write_all(b"in plaintext").await.unwrap();
        ours.read_u8().await.unwrap_err();
        drop(ours);
        let report = only(&reports);
        assert_eq!(report.outcome(), CloseOutcome::Failed, "{case:?} {report}");
        assert!(report.error().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_fails_is_reported_with_its_error() {
    for case in CASES {
        let (tracker, reports) = reporting();
        let (ours, mut theirs) = duplex(4096);
        theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        acceptor(case, &tracker).accept(ours).await.unwrap_err();
        let report = only(&reports);
        assert_eq!(
            (report.role(), report.outcome()),
            (Role::Server, CloseOutcome::Failed)
        );
        let error = report.error().unwrap();
        assert!(error.starts_with("the TLS handshake failed: "), "{error}");
        assert_eq!(report.duration(), None);

        let (tracker, reports) = reporting();
        let (ours, _silent) = duplex(4096);
        acceptor(case, &tracker).accept(ours).await.unwrap_err();
        assert_eq!(only(&reports).outcome(), CloseOutcome::TimedOut);
    }
}

#[tokio::test]
async fn a_report_says_whether_a_session_was_resumed() {
    for version in [Version::Tls12, Version::Tls13] {
        let (tracker, reports) = reporting();
        let case = Case::new(version, support::Role::Server);
        let mut config = case.server_config();
        config.send_tls13_tickets = 1;
        let acceptor =
            tokio_tls_shutdown::GracefulAcceptor::new(Arc::new(config)).with_tracker(&tracker);
        let connector = GracefulConnector::new(Arc::new(case.client_config()));
        for resumed in [false, true] {
            let (ours, theirs) = duplex(4096);
            let (ours, theirs) =
                tokio::join!(acceptor.accept(ours), connector.connect(name(), theirs));
            let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
            let (first, second) = tokio::join!(
                ours.shutdown_bidirectional(),
                theirs.shutdown_bidirectional()
            );
            assert!(first.unwrap().is_clean() && second.unwrap().is_clean());
            drop(ours);
            assert_eq!(only(&reports).is_resumed(), resumed, "{version:?}");
            reports.lock().unwrap().clear();
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_reported_while_it_is_still_waited_for() {
    for case in CASES {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let own = Arc::new(Mutex::new(None::<CloseTracker>));
        let tracker = CloseTracker::with_on_close({
            let (seen, own) = (Arc::clone(&seen), Arc::clone(&own));
            move |_| {
                // It may ask, and a new wait is not ready yet.
                let tracker = own.lock().unwrap().clone().unwrap();
                let mut wait = tokio_test::task::spawn(tracker.wait());
                let state = (
                    tracker.len(),
                    tracker.stats().total(),
                    wait.poll().is_ready(),
                );
                seen.lock().unwrap().push(state);
            }
        });
        *own.lock().unwrap() = Some(tracker.clone());
        let (ours, _theirs) = tracked(&tracker, case).await;
        drop(ours);
        assert_eq!(*seen.lock().unwrap(), [(1, 0, false)], "{case:?}");
        assert_eq!((tracker.len(), tracker.stats().total()), (0, 1));
        own.lock().unwrap().take();
    }
}

#[tokio::test(start_paused = true)]
async fn a_callback_that_panics_harms_nobody() {
    for case in CASES {
        for also_the_handler in [false, true] {
            let tracker = CloseTracker::with_on_close(|_| panic!("a panic on purpose"));
            let (ours, _theirs) = tracked(&tracker, case).await;
            let handler = tokio::spawn(async move {
                let _ours = ours;
                // A second panic out of a destructor would end the process.
                assert!(!also_the_handler, "a panic on purpose");
            });
            let report = tracker.drain(Duration::from_secs(1)).await;
            assert_eq!(handler.await.is_err(), also_the_handler);
            assert_eq!(
                (report.closed.dropped, report.still_open),
                (1, 0),
                "{case:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn each_tracker_reports_a_stream_that_moves_on() {
    let ((first, first_reports), (second, second_reports)) = (reporting(), reporting());
    let (mut ours, _theirs) = tracked(&first, CASES[0]).await;
    ours.track(&second);
    assert_eq!(only(&first_reports).outcome(), CloseOutcome::Dropped);
    ours.close_notify().await.unwrap();
    drop(ours);
    assert_eq!(only(&first_reports).outcome(), CloseOutcome::Dropped);
    assert_eq!(only(&second_reports).outcome(), CloseOutcome::OneWay);
}
