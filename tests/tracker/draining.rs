//! The end of a server: what is announced, waited for, aborted and reported.

use std::{
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex, split},
    time::{Instant, sleep},
};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    ClosePolicy, CloseStats, CloseTracker, GracefulStream, HandshakeError, PeerClose, ShutdownExt,
    tokio_rustls::server,
};

use crate::{
    acceptor,
    support::{CASES, Rig, Role, Step},
    tracked,
};

const DEADLINE: Duration = Duration::from_secs(2);

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

#[tokio::test(start_paused = true)]
async fn g18_a_stream_that_sends_no_close_notify_sends_none_when_it_is_aborted() {
    for case in CASES {
        for by_policy in [false, true] {
            let tracker = CloseTracker::new();
            let mut rig = Rig::new(case).map(GracefulStream::new);
            match by_policy {
                true => rig.stream.set_policy(ClosePolicy::Quiet),
                false => rig.stream.set_quiet_shutdown(true),
            }
            rig.stream.track(&tracker);
            let (report, read) = tokio::join!(tracker.drain(DEADLINE), async {
                let read = rig.stream.read_u8().await;
                drop(rig.stream);
                read
            });
            assert_aborted(read);
            assert_eq!((report.aborted, report.closed.aborted), (1, 1));
            assert_eq!(rig.wire.outbound_len(), 0, "{case:?} {by_policy}");
        }
    }
}

/// A waker of the user's that panics costs nobody else the wake-up, nor the one who drops a stream.
#[test]
fn a_waker_that_panics_harms_nobody() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a panic on purpose");
        }
    }

    let panics = Waker::from(Arc::new(Panics));
    let mut panics = Context::from_waker(&panics);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    for case in CASES {
        let tracker = CloseTracker::new();
        let streams = [(); 3].map(|()| {
            let mut stream = GracefulStream::new(Rig::new(case).stream);
            stream.track(&tracker);
            stream
        });
        let [mut first, mut second, third] = streams;
        let (mut of_first, mut of_second) = ([0], [0]);
        {
            let mut read = pin!(first.read(&mut of_first));
            assert!(read.as_mut().poll(&mut panics).is_pending());
            let mut read = spawn(second.read(&mut of_second));
            assert_pending!(read.poll());

            let mut draining = (pin!(tracker.draining()), spawn(tracker.draining()));
            assert!(draining.0.as_mut().poll(&mut panics).is_pending());
            assert_pending!(draining.1.poll());
            let drain = tracker.begin_drain();
            assert!(draining.1.is_woken());

            let report = runtime.block_on(drain.finish(DEADLINE));
            assert_eq!((report.aborted, report.still_open), (3, 3), "{report}");
            assert!(read.is_woken(), "{case:?}");
        }

        let mut wait = (pin!(tracker.wait()), spawn(tracker.wait()));
        assert!(wait.0.as_mut().poll(&mut panics).is_pending());
        assert_pending!(wait.1.poll());
        drop((first, second, third));
        assert!(wait.1.is_woken());
        assert_ready!(wait.1.poll());
    }
}
