//! What happens between the announcement of a drain and its end.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    task::JoinSet,
    time::{Instant, sleep, timeout},
};
use tokio_test::{assert_pending, assert_ready, task::spawn};
use tokio_tls_shutdown::{CloseTracker, ShutdownExt};

use crate::{acceptor, support::CASES, tracked};

const DEADLINE: Duration = Duration::from_secs(2);

/// What a framework does that is told to stop: it drops its idle connections at once.
#[tokio::test(start_paused = true)]
async fn g32_what_ends_before_the_server_waits_is_in_the_report() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (before, _peer) = tracked(&tracker, case).await;
        drop(before);
        let (idle, _peer) = tracked(&tracker, case).await;
        let (mut closing, _peer) = tracked(&tracker, case).await;
        let (io, _peer) = duplex(4096);
        let handshake = acceptor(case, &tracker).accept(io);

        let drain = tracker.begin_drain();
        drop(idle);
        closing.close_notify().await.unwrap();
        drop((closing, handshake));
        let report = drain.finish(DEADLINE).await;
        assert_eq!((report.open_before, report.aborted), (3, 0), "{case:?}");
        assert_eq!(
            (
                report.closed.dropped,
                report.closed.one_way,
                report.closed.total()
            ),
            (2, 1, 3),
            "{case:?}"
        );
        assert_eq!(tracker.stats().total(), 4);
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_can_say_goodbye_in_its_own_protocol() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (mut ours, mut theirs) = tracked(&tracker, case).await;
        let draining = tracker.draining();
        let served = tokio::spawn(async move {
            let mut buf = [0; 1];
            tokio::select! {
                read = ours.read(&mut buf) => panic!("{read:?}"),
                () = draining => {}
            }
            ours.write_all(b"goodbye").await.unwrap();
            ours.shutdown().await.unwrap();
        });
        let begin = Instant::now();
        let peer = async {
            let mut said = String::new();
            theirs.read_to_string(&mut said).await.unwrap();
            said
        };
        let (report, said) = tokio::join!(tracker.drain(DEADLINE), peer);
        assert_eq!(said, "goodbye");
        assert_eq!(begin.elapsed(), Duration::ZERO);
        assert_eq!((report.aborted, report.closed.one_way), (0, 1), "{case:?}");
        served.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn every_task_learns_of_a_drain_however_late_it_asks() {
    let tracker = CloseTracker::new();
    assert!(!tracker.is_draining());
    let mut first = spawn(tracker.draining());
    assert_pending!(first.poll());
    // One that gives up, and one that nobody has polled.
    let mut given_up = spawn(tracker.draining());
    assert_pending!(given_up.poll());
    drop(given_up);
    let unpolled = tracker.draining();
    let clone = first.clone();
    let mut tasks = JoinSet::new();
    for _ in 0..100 {
        let tracker = tracker.clone();
        tasks.spawn(async move { tracker.draining().await });
    }
    tokio::task::yield_now().await;

    let drain = tracker.begin_drain();
    assert!(tracker.is_draining() && tracker.clone().is_draining());
    assert!(first.is_woken());
    assert_ready!(first.poll());
    assert_eq!(tasks.join_all().await.len(), 100);
    unpolled.await;
    clone.await;
    // It cannot be taken back.
    drop(drain);
    tracker.draining().await;
    assert!(tracker.is_draining());
}

#[tokio::test(start_paused = true)]
async fn the_newest_waker_of_a_task_that_waits_is_woken() {
    let tracker = CloseTracker::new();
    let (stream, _peer) = tracked(&tracker, CASES[0]).await;
    let (mut first, mut second) = (spawn(()), spawn(()));
    let mut draining = tracker.draining();
    let mut wait = Box::pin(tracker.wait());
    for task in [&mut first, &mut second] {
        task.enter(|cx, _| {
            assert_pending!(std::pin::Pin::new(&mut draining).poll(cx));
            assert_pending!(wait.as_mut().poll(cx));
        });
    }
    let _drain = tracker.begin_drain();
    assert!(second.is_woken() && !first.is_woken());
    second.enter(|cx, _| assert_pending!(wait.as_mut().poll(cx)));
    drop(stream);
    assert!(second.is_woken() && !first.is_woken());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_comes_during_a_drain_works_until_the_deadline_and_is_counted() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (first, _peer) = tracked(&tracker, case).await;
        let drain = tracker.begin_drain();
        let (mut late, mut theirs) = tracked(&tracker, case).await;
        let begin = Instant::now();
        let served = tokio::spawn(async move {
            let _first = first;
            sleep(DEADLINE / 2).await;
            late.write_all(b"late").await.unwrap();
            // Its peer says nothing.
            late.read_u8().await.unwrap_err()
        });
        let report = drain.finish(DEADLINE).await;
        assert_eq!(begin.elapsed(), DEADLINE, "{case:?}");
        theirs.read_exact(&mut [0; 4]).await.unwrap();
        let error = served.await.unwrap();
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionAborted);
        assert_eq!(
            (report.open_before, report.aborted, report.still_open),
            (1, 2, 0)
        );
        assert_eq!((report.closed.aborted, report.closed.dropped), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_is_not_finished_aborts_nothing() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (mut ours, mut theirs) = tracked(&tracker, case).await;
        drop(tracker.begin_drain());
        sleep(DEADLINE).await;
        ours.write_all(b"still here").await.unwrap();
        theirs.read_exact(&mut [0; 10]).await.unwrap();
        assert_eq!((tracker.len(), tracker.stats().total()), (1, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_was_given_up_is_finished_with_another_deadline() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (early, _peer) = tracked(&tracker, case).await;
        let (mut ours, _theirs) = tracked(&tracker, case).await;
        let drain = tracker.begin_drain();
        let served = tokio::spawn(async move { ours.read_u8().await.unwrap_err() });
        let begin = Instant::now();
        let first = timeout(DEADLINE, drain.finish(100 * DEADLINE));
        let (first, ()) = tokio::join!(first, async { drop(early) });
        first.unwrap_err();
        let report = drain.finish(Duration::ZERO).await;
        assert_eq!(begin.elapsed(), DEADLINE, "{case:?}");
        served.await.unwrap();
        // What ended during the first attempt is in it.
        assert_eq!((report.open_before, report.aborted), (2, 1));
        assert_eq!((report.closed.dropped, report.closed.aborted), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn two_drains_report_each_what_it_has_seen_and_the_first_deadline_aborts() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let (early, _peer) = tracked(&tracker, case).await;
        let (mut ours, _theirs) = tracked(&tracker, case).await;
        let served = tokio::spawn(async move { ours.read_u8().await.unwrap_err() });
        let first = tracker.begin_drain();
        drop(early);
        let second = tracker.begin_drain();
        let begin = Instant::now();
        let (first, second) = tokio::join!(first.finish(DEADLINE), second.finish(100 * DEADLINE));
        assert_eq!(begin.elapsed(), DEADLINE, "{case:?}");
        served.await.unwrap();
        assert_eq!((first.open_before, second.open_before), (2, 1));
        assert_eq!((first.closed.total(), second.closed.total()), (2, 1));
        // Both count what was aborted, and the first one says that it was at its deadline.
        assert_eq!((first.aborted, first.closed.aborted), (1, 1));
        assert_eq!((second.aborted, second.closed.aborted), (0, 1));
        assert_eq!((first.still_open, second.still_open), (0, 0));
    }
}
