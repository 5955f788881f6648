//! How connections are counted, and when.

use std::{future::poll_fn, io, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::{TcpListener, TcpStream},
};
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    ClosePolicy, CloseProgress, CloseTracker, GracefulConnector, GracefulStream, PeerClose,
    ShutdownExt, ShutdownState,
};

use crate::{
    Tls, acceptor,
    support::{CASES, Rig, Step, pair::name, poll_while_woken},
    tracked, write_bad_record,
};

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
            (io::ErrorKind::PermissionDenied, true, "clean"),
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
            let closed = assert_ready!(poll_while_woken(&mut spawn(rig.stream.close_notify())));
            assert_eq!(closed.is_ok(), counted == "clean");
            drop(rig);
            let stats = tracker.stats().to_string();
            assert_eq!(stats, format!("1 closed, 1 {counted}; 0 bytes discarded"));
        }
    }
}

#[tokio::test]
async fn a_reset_counts_by_whether_our_close_notify_had_been_sent() {
    for case in CASES {
        for (close, counted) in [
            (Close::Never, "reset"),
            (Close::AfterTheReset, "reset"),
            (Close::OneWayBeforeIt, "reset after close_notify"),
            (Close::Bidirectional, "reset"),
            (Close::Lingering, "reset after close_notify"),
        ] {
            let tracker = CloseTracker::new();
            let mut rig = Rig::new(case).map(GracefulStream::new);
            rig.stream.track(&tracker);
            rig.wire.at_end(Step::Fail(io::ErrorKind::ConnectionReset));
            match close {
                Close::Never => {
                    rig.stream.read_u8().await.unwrap_err();
                }
                Close::AfterTheReset => {
                    rig.stream.read_u8().await.unwrap_err();
                    // The kernel may take what we send to a peer that is gone.
                    rig.stream.close_notify().await.unwrap();
                }
                Close::OneWayBeforeIt => {
                    rig.stream.close_notify().await.unwrap();
                    rig.stream.read_u8().await.unwrap_err();
                }
                Close::Bidirectional => {
                    let closed = rig.stream.shutdown_bidirectional().await.unwrap();
                    assert_eq!(closed.peer(), PeerClose::Reset);
                }
                Close::Lingering => {
                    rig.stream.set_policy(ClosePolicy::linger());
                    rig.stream.shutdown().await.unwrap();
                }
            }
            drop(rig);
            let stats = tracker.stats().to_string();
            let expected = format!("1 closed, 1 {counted}; 0 bytes discarded");
            assert_eq!(stats, expected, "{case:?} {close:?}");
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Close {
    Never,
    AfterTheReset,
    OneWayBeforeIt,
    Bidirectional,
    Lingering,
}

/// As curl does over HTTP/2: it has its answer, and closes the socket over our unread alert.
#[tokio::test]
async fn a_peer_that_closes_its_socket_over_our_alert_counts_as_reset_after_close_notify() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let connect = TcpStream::connect(listener.local_addr().unwrap());
        let (theirs, ours) = tokio::join!(connect, listener.accept());
        let (ours, mut theirs) = case.pair(ours.unwrap().0, theirs.unwrap()).await;
        let mut ours = GracefulStream::new(ours);
        ours.track(&tracker);
        ours.write_all(b"answer").await.unwrap();
        theirs.read_exact(&mut [0; 6]).await.unwrap();
        ours.close_notify().await.unwrap();
        // It has arrived, and is unread: the kernel sends RST.
        theirs.get_ref().0.readable().await.unwrap();
        drop(theirs);
        let closed = ours.shutdown_bidirectional().await.unwrap();
        assert_eq!(closed.peer(), PeerClose::Reset, "{case:?}");
        drop(ours);
        let stats = tracker.stats();
        assert_eq!(
            (stats.reset, stats.reset_after_close_notify),
            (0, 1),
            "{case:?}"
        );
    }
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
