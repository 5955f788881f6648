//! `CloseTracker`: what is open, how it ended, and an end for all.

mod support;

use std::{future::poll_fn, io, sync::Arc, time::Duration};

use support::{CASES, Case, Rig, Role, Step, pair::name};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    time::{Instant, sleep},
};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    ClosePolicy, CloseProgress, CloseStats, CloseTracker, GracefulAcceptor, GracefulConnector,
    GracefulStream, HandshakeError, PeerClose, ShutdownExt, ShutdownState,
    tokio_rustls::{TlsStream, server},
};

type Tls = TlsStream<DuplexStream>;

const DEADLINE: Duration = Duration::from_secs(2);

/// A tracked stream and its peer.
async fn tracked(tracker: &CloseTracker, case: Case) -> (GracefulStream<Tls>, Tls) {
    let (ours, theirs) = case.duplex(4096).await;
    let mut ours = GracefulStream::new(ours);
    ours.track(tracker);
    (ours, theirs)
}

async fn write_bad_record(io: &mut DuplexStream) {
    let mut record = vec![23, 3, 3, 0, 40];
    record.extend([0; 40]);
    io.write_all(&record).await.unwrap();
}

/// Ends one connection in one way, and returns how that should be counted.
async fn end(way: usize, mut ours: GracefulStream<Tls>, mut theirs: Tls) -> Option<&'static str> {
    Some(match way {
        0 => {
            let (closed, _) = tokio::join!(ours.shutdown_bidirectional(), theirs.shutdown());
            assert!(closed.unwrap().is_clean());
            "1 clean"
        }
        1 => {
            theirs.shutdown().await.unwrap();
            ours.shutdown().await.unwrap();
            // It does not read.
            "1 one way"
        }
        2 => {
            ours.close_notify().await.unwrap();
            theirs.write_all(b"rest").await.unwrap();
            theirs.shutdown().await.unwrap();
            ours.read_to_end(&mut Vec::new()).await.unwrap();
            "1 clean"
        }
        3 => {
            ours.shutdown().await.unwrap();
            "1 one way"
        }
        4 => {
            ours.set_quiet_shutdown(true);
            ours.shutdown().await.unwrap();
            "1 one way"
        }
        5 => {
            ours.set_state(ShutdownState::SENT);
            "1 one way"
        }
        6 => {
            drop(theirs);
            let _ = ours.shutdown_bidirectional().await;
            "1 eof"
        }
        7 => {
            ours.close_notify().await.unwrap();
            drop(theirs);
            ours.read_u8().await.unwrap_err();
            "1 eof"
        }
        8 => {
            let closed = ours.shutdown_bidirectional().await.unwrap();
            assert_eq!(closed.peer(), PeerClose::TimedOut);
            "1 timed out"
        }
        9 => {
            theirs.write_all(&[7; 1000]).await.unwrap();
            let closed = ours.shutdown_bidirectional().discard_limit(10).await;
            assert_eq!(closed.unwrap().discarded(), 1000);
            "1 discard limit; 1000 bytes discarded"
        }
        10 => {
            write_bad_record(theirs.get_mut().0).await;
            ours.read_u8().await.unwrap_err();
            "1 failed"
        }
        11 => {
            ours.close_notify().await.unwrap();
            write_bad_record(theirs.get_mut().0).await;
            ours.shutdown_bidirectional().await.unwrap_err();
            "1 failed"
        }
        12 => {
            // The transport is full: our alert cannot be sent.
            while spawn(ours.write(&[7; 4096])).poll().is_ready() {}
            ours.close_notify().await.unwrap_err();
            "1 failed"
        }
        13 => "1 dropped",
        14 => {
            theirs.shutdown().await.unwrap();
            assert_eq!(ours.read(&mut [0; 1]).await.unwrap(), 0);
            "1 dropped"
        }
        15 => {
            drop(ours.into_inner());
            "1 dropped"
        }
        16 => {
            theirs.write_all(&[7; 1000]).await.unwrap();
            theirs.shutdown().await.unwrap();
            ours.set_policy(ClosePolicy::linger());
            ours.shutdown().await.unwrap();
            "1 clean; 1000 bytes discarded"
        }
        _ => return None,
    })
}

#[tokio::test(start_paused = true)]
async fn every_end_is_counted_once_and_by_what_it_was() {
    for case in CASES {
        for way in 0.. {
            let tracker = CloseTracker::new();
            let (ours, theirs) = tracked(&tracker, case).await;
            assert_eq!((tracker.len(), tracker.stats().total()), (1, 0));
            let Some(expected) = end(way, ours, theirs).await else {
                break;
            };
            assert_eq!((tracker.len(), tracker.stats().total()), (0, 1));
            let told = tracker.stats().to_string();
            assert!(told.contains(expected), "{case:?} {way}: {told}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_thrown_away_is_counted_once_whether_a_close_is_repeated_or_given_up() {
    for case in CASES {
        for way in 0..3 {
            let tracker = CloseTracker::new();
            let mut rig = Rig::new(case).map(GracefulStream::new);
            rig.stream.track(&tracker);
            rig.peer_writes(&[7; 1000]);
            if way == 0 {
                assert_pending!(spawn(rig.stream.shutdown_bidirectional()).poll());
            }
            rig.peer_closes();
            rig.stream.set_policy(ClosePolicy::linger());
            let mut progress = CloseProgress::new();
            for _ in 0..3 {
                let stream = &mut rig.stream;
                if way == 1 {
                    stream.shutdown().await.unwrap();
                } else {
                    let twin = poll_fn(|cx| stream.poll_shutdown_bidirectional(cx, &mut progress));
                    assert!(twin.await.unwrap().is_clean());
                }
            }
            drop(rig);
            assert_eq!(
                tracker.stats().to_string(),
                "1 closed, 1 clean; 1000 bytes discarded"
            );
        }
    }
}

#[test]
fn a13_an_alert_that_cannot_be_sent_is_counted_as_failed_unless_the_peer_has_closed_and_left() {
    for case in CASES {
        for (kind, peer_closes, counted) in [
            (io::ErrorKind::BrokenPipe, true, "clean"),
            (io::ErrorKind::BrokenPipe, false, "failed"),
            (io::ErrorKind::PermissionDenied, true, "failed"),
            (io::ErrorKind::PermissionDenied, false, "failed"),
        ] {
            let tracker = CloseTracker::new();
            let mut rig = Rig::new(case).map(GracefulStream::new);
            rig.stream.track(&tracker);
            if peer_closes {
                rig.peer_closes();
                assert_ready_ok!(spawn(rig.stream.read(&mut [0; 1])).poll());
            }
            rig.wire.every_write(Step::Fail(kind));
            let closed = assert_ready!(spawn(rig.stream.close_notify()).poll());
            assert_eq!(closed.is_ok(), counted == "clean");
            drop(rig);
            let stats = tracker.stats().to_string();
            assert_eq!(stats, format!("1 closed, 1 {counted}; 0 bytes discarded"));
        }
    }
}

#[tokio::test]
async fn a_reset_is_counted_as_a_reset() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let rig = Rig::new(case);
        let mut stream = GracefulStream::new(rig.stream);
        stream.track(&tracker);
        rig.wire.at_end(Step::Fail(io::ErrorKind::ConnectionReset));
        stream.read_u8().await.unwrap_err();
        drop(stream);
        assert_eq!(tracker.stats().reset, 1, "{case:?}");
    }
}

fn acceptor(case: Case, tracker: &CloseTracker) -> GracefulAcceptor {
    GracefulAcceptor::new(Arc::new(case.server_config())).with_tracker(tracker)
}

#[tokio::test(start_paused = true)]
async fn f09_a_connection_counts_from_its_handshake_on() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (ours, theirs) = duplex(4096);
        let mut accept = spawn(acceptor(case, &tracker).accept(ours));
        assert_eq!(tracker.len(), 1);
        assert_pending!(accept.poll());
        drop(accept);
        assert_eq!((tracker.len(), tracker.stats().dropped), (0, 1));
        drop(theirs);

        let (ours, _silent) = duplex(4096);
        acceptor(case, &tracker).accept(ours).await.unwrap_err();
        assert_eq!(tracker.stats().timed_out, 1);
        let (ours, mut theirs) = duplex(4096);
        theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        acceptor(case, &tracker).accept(ours).await.unwrap_err();
        assert_eq!(tracker.stats().failed, 1);
        let (ours, theirs) = duplex(4096);
        drop(theirs);
        acceptor(case, &tracker).accept(ours).await.unwrap_err();
        assert_eq!(tracker.stats().eof, 1);

        let connector = GracefulConnector::new(Arc::new(case.client_config()));
        let connector = connector.with_tracker(&tracker);
        let (ours, theirs) = duplex(4096);
        let pair = tokio::join!(
            acceptor(case, &tracker).accept(ours),
            connector.connect(name(), theirs)
        );
        assert_eq!((tracker.len(), tracker.stats().total()), (2, 4));
        drop(pair);
        assert_eq!(tracker.stats().dropped, 3);
    }
}

#[tokio::test(start_paused = true)]
async fn wait_is_ready_when_the_last_stream_is_dropped() {
    let tracker = CloseTracker::new();
    tracker.wait().await;
    let (first, _first_peer) = tracked(&tracker, CASES[0]).await;
    let (second, _second_peer) = tracked(&tracker, CASES[1]).await;
    let mut wait = spawn(tracker.wait());
    assert_pending!(wait.poll());
    drop(first);
    assert_pending!(wait.poll());
    drop(second);
    assert!(wait.is_woken());
    assert_ready!(wait.poll());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_tracked_by_another_leaves_the_first() {
    let (first, second) = (CloseTracker::new(), CloseTracker::new());
    let (mut stream, _peer) = tracked(&first, CASES[0]).await;
    stream.track(&second);
    assert_eq!((first.len(), second.len()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_tracked_again_stays_one_stream() {
    let tracker = CloseTracker::new();
    let (mut stream, _peer) = tracked(&tracker, CASES[0]).await;
    stream.track(&tracker.clone());
    assert_eq!((tracker.len(), tracker.stats().total()), (1, 0));
    drop(stream);
    assert_eq!((tracker.len(), tracker.stats().total()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn f09_streams_that_end_in_time_are_not_ended() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (mut ours, mut theirs) = tracked(&tracker, case).await;
        let begin = Instant::now();
        let finish = async {
            sleep(DEADLINE / 2).await;
            ours.write_all(b"the rest of the answer").await.unwrap();
            ours.shutdown().await.unwrap();
            drop(ours);
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let (answer, report) = tokio::join!(finish, tracker.drain(DEADLINE));
        assert_eq!(answer, "the rest of the answer");
        assert_eq!(begin.elapsed(), DEADLINE / 2);
        assert_eq!((report.open_before, report.aborted), (1, 0));
        assert_eq!((report.closed.one_way, report.closed.total()), (1, 1));
        assert_eq!(report.still_open, 0);
    }
}

#[track_caller]
fn assert_aborted<T: std::fmt::Debug>(result: io::Result<T>) {
    let error = result.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted, "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn f09_an_idle_stream_is_ended_at_the_deadline_with_close_notify() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (mut ours, mut theirs) = tracked(&tracker, case).await;
        let begin = Instant::now();
        let idle = tokio::spawn(async move {
            assert_aborted(ours.read_u8().await);
            assert_aborted(ours.write(b"late").await);
            assert_aborted(ours.flush().await);
            ours.shutdown().await
        });
        let report = tracker.drain(DEADLINE).await;
        assert_eq!(begin.elapsed(), DEADLINE);
        idle.await.unwrap().unwrap();
        assert_eq!(
            (report.aborted, report.closed.aborted, report.still_open),
            (1, 1, 0)
        );
        // The peer sees close_notify, and nothing more.
        assert_eq!(theirs.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn f09_both_halves_of_a_split_stream_are_woken_and_a_blocked_alert_is_not_waited_for() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (ours, theirs) = tracked(&tracker, case).await;
        let (mut reader, mut writer) = split(ours);
        let read = tokio::spawn(async move {
            assert_aborted(reader.read_u8().await);
        });
        let write = tokio::spawn(async move {
            // Nobody reads it.
            assert_aborted(writer.write_all(&[7; 200_000]).await);
        });
        let report = tracker.drain(DEADLINE).await;
        assert_eq!((report.aborted, report.still_open), (1, 0));
        read.await.unwrap();
        write.await.unwrap();
        drop(theirs);
    }
}

#[tokio::test(start_paused = true)]
async fn f09_a_close_that_waits_is_ended_too() {
    for case in CASES {
        for lingering in [false, true] {
            let tracker = CloseTracker::new();
            let (mut ours, _theirs) = tracked(&tracker, case).await;
            let close = tokio::spawn(async move {
                if lingering {
                    ours.set_policy(ClosePolicy::linger());
                    ours.shutdown().await.unwrap();
                } else {
                    let closed = ours.shutdown_bidirectional().no_deadline().await;
                    assert_eq!(closed.unwrap().peer(), PeerClose::TimedOut);
                }
            });
            let begin = Instant::now();
            let report = tracker.drain(DEADLINE).await;
            assert_eq!(begin.elapsed(), DEADLINE);
            close.await.unwrap();
            assert_eq!((report.aborted, report.closed.total()), (1, 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn f09_a_shutdown_that_waits_for_the_transport_is_ended_too() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.stream.track(&tracker);
        rig.wire.on_shutdown(Step::Block);
        let shutdown = tokio::spawn(async move { assert_aborted(rig.stream.shutdown().await) });
        let report = tracker.drain(DEADLINE).await;
        assert_eq!((report.aborted, report.still_open), (1, 0));
        shutdown.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn f09_a_handshake_is_stopped() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let acceptor = acceptor(case, &tracker).with_handshake_deadline(None);
        let (ours, _theirs) = duplex(4096);
        let accept = tokio::spawn(acceptor.accept(ours));
        let report = tracker.drain(DEADLINE).await;
        assert_eq!(
            (report.open_before, report.aborted, report.still_open),
            (1, 1, 0)
        );
        assert_eq!(report.closed.aborted, 1);
        let error = accept.await.unwrap().unwrap_err();
        assert!(matches!(error, HandshakeError::Aborted), "{error:?}");
        // The tracker is over.
        let (ours, _theirs) = duplex(4096);
        let late: Result<GracefulStream<server::TlsStream<_>>, _> = acceptor.accept(ours).await;
        assert!(matches!(late, Err(HandshakeError::Aborted)));
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_nobody_polls_is_reported() {
    let tracker = CloseTracker::new();
    let (held, _peer) = tracked(&tracker, CASES[0]).await;
    let report = tracker.drain(DEADLINE).await;
    assert_eq!((report.aborted, report.still_open), (1, 1));
    assert_eq!(report.closed, CloseStats::default());
    drop(held);
    assert_eq!(tracker.len(), 0);
}

#[test]
fn the_newest_waker_is_woken() {
    for case in CASES.into_iter().filter(|case| case.role == Role::Server) {
        let tracker = CloseTracker::new();
        let rig = Rig::new(case);
        let mut stream = GracefulStream::new(rig.stream);
        stream.track(&tracker);
        let mut buf = [0; 1];
        let mut first = spawn(());
        let first_poll = first.enter(|cx, _| {
            let read = std::pin::pin!(stream.read(&mut buf));
            read.poll(cx).is_pending()
        });
        assert!(first_poll);
        let mut second = spawn(stream.read(&mut buf));
        assert_pending!(second.poll());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let _ = runtime.block_on(tracker.drain(DEADLINE));
        assert!(second.is_woken());
        assert!(!first.is_woken());
        assert_aborted(assert_ready!(second.poll()));
    }
}

#[tokio::test(start_paused = true)]
async fn the_report_says_it_in_a_line() {
    let tracker = CloseTracker::new();
    let (mut ours, _theirs) = tracked(&tracker, CASES[0]).await;
    assert_ready_ok!(spawn(ours.shutdown()).poll());
    let held = tracked(&tracker, CASES[0]).await;
    drop(ours);
    let report = tracker.drain(DEADLINE).await;
    assert_eq!(
        report.to_string(),
        "1 open when the drain began: 0 closed; 0 bytes discarded; 1 aborted at the deadline, \
         1 still open"
    );
    assert_eq!(
        tracker.stats().to_string(),
        "1 closed, 1 one way; 0 bytes discarded"
    );
    drop(held);
}
