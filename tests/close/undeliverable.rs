//! G12: our alert cannot be delivered because the peer is gone, and whether it had closed before lies
//! behind a read that the reactor has not looked at yet. The close gives way to the reactor, and only
//! as long as it may.

use std::{future::poll_fn, io::ErrorKind, task::Poll, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsStream;
use tokio_test::{
    assert_pending, assert_ready_err, assert_ready_ok,
    task::{Spawn, spawn},
};
use tokio_tls_shutdown::{
    ClosePolicy, CloseProgress, CloseTracker, GracefulStream, PeerClose, ShutdownError,
    ShutdownExt, ShutdownState, tokio_rustls,
};

use crate::support::{CASES, Case, Rig, Scripted, Step, poll_while_woken};

/// How often a close gives way before the alert is undeliverable.
const TURNS: usize = 128;

const GONE: [ErrorKind; 4] = [
    ErrorKind::BrokenPipe,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::NotConnected,
];

type Plain = TlsStream<Scripted>;
type Graceful = GracefulStream<Plain>;

fn plain(stream: Plain) -> Plain {
    stream
}

fn tracked(stream: Plain) -> Graceful {
    let mut stream = GracefulStream::new(stream);
    stream.track(&CloseTracker::new());
    stream
}

fn lingering(stream: Plain) -> Graceful {
    let mut stream = GracefulStream::new(stream);
    stream.set_policy(ClosePolicy::linger());
    stream
}

/// The peer is gone: every write fails.
fn rig<S>(case: Case, kind: ErrorKind, wrap: fn(Plain) -> S) -> Rig<S> {
    let rig = Rig::new(case).map(wrap);
    rig.wire.every_write(Step::Fail(kind));
    rig
}

/// Polls as often as a close may give way. Each time it must wake itself, as nothing else does.
fn give_way<F: Future>(close: &mut Spawn<F>, turns: usize) {
    for turn in 0..turns {
        assert!(close.poll().is_pending(), "turn {turn}");
        assert!(close.is_woken(), "turn {turn}");
    }
}

/// What the calls are polled with: a runtime without a timer, or none.
fn of_each_turn<S: ShutdownExt>(wrap: fn(Plain) -> S) {
    for case in CASES {
        for kind in GONE {
            for turns in [0, 1, 2, 60, 61, 62, TURNS - 1, TURNS] {
                for data in [0, 5000] {
                    // close_notify() leaves the data where they are.
                    let mut rig = rig(case, kind, wrap);
                    let mut close = spawn(rig.stream.close_notify());
                    give_way(&mut close, turns);
                    rig.peer.write(&vec![7; data]);
                    rig.peer.0.send_close_notify();
                    rig.wire.feed(&rig.peer.take_queue());
                    let state = assert_ready_ok!(close.poll(), "{turns}");
                    assert_eq!(state, ShutdownState::RECEIVED, "{turns}");
                    drop(close);
                    assert_eq!(rig.wire.counts().writes, 1, "one attempt");

                    let mut rig = self::rig(case, kind, wrap);
                    let mut close = spawn(rig.stream.shutdown_bidirectional());
                    give_way(&mut close, turns);
                    rig.peer.write(&vec![7; data]);
                    rig.peer.0.send_close_notify();
                    rig.wire.feed(&rig.peer.take_queue());
                    let closed = assert_ready_ok!(close.poll(), "{turns}");
                    assert!(closed.is_clean() && closed.peer_closed_first());
                    assert_eq!(closed.discarded(), data as u64);
                    drop(close);
                    assert_eq!(rig.wire.counts().writes, 1, "one attempt");
                }
            }
        }
    }
}

#[test]
fn g12_a_close_notify_that_the_reactor_finds_in_time_counts() {
    of_each_turn(plain);
    of_each_turn(GracefulStream::new);
    of_each_turn(tracked);
}

#[test]
fn g12_a_close_notify_that_comes_with_the_reset_counts() {
    fn counts<S: ShutdownExt>(wrap: fn(Plain) -> S) {
        for case in CASES {
            for kind in GONE {
                for turns in [0, 1, 61] {
                    let mut rig = rig(case, kind, wrap);
                    let mut close = spawn(rig.stream.shutdown_bidirectional());
                    give_way(&mut close, turns);
                    rig.peer.write(&[7; 5000]);
                    rig.peer.0.send_close_notify();
                    rig.wire.feed(&rig.peer.take_queue());
                    rig.wire.at_end(Step::Fail(kind));
                    assert!(assert_ready_ok!(close.poll()).is_clean());
                }
            }
        }
    }
    counts(plain);
    counts(GracefulStream::new);
    counts(tracked);
}

fn is_send_error(error: &ShutdownError, kind: ErrorKind) -> bool {
    matches!(error, ShutdownError::Send(e) if e.kind() == kind)
}

#[test]
fn g12_an_end_without_close_notify_makes_it_undeliverable_at_once() {
    fn ends<S: ShutdownExt>(wrap: fn(Plain) -> S) {
        for case in CASES {
            for kind in GONE {
                for turns in [0, 1, 61] {
                    for end in [Step::Zero, Step::Fail(kind)] {
                        let mut rig = rig(case, kind, wrap);
                        let mut close = spawn(rig.stream.shutdown_bidirectional());
                        give_way(&mut close, turns);
                        rig.wire.at_end(end);
                        let error = assert_ready_err!(close.poll());
                        assert!(is_send_error(&error, kind), "{error:?}");
                    }
                }
            }
        }
    }
    ends(plain);
    ends(GracefulStream::new);
    ends(tracked);
}

#[test]
fn a14_after_so_many_turns_it_is_undeliverable_and_a_retry_looks_again() {
    fn gives_up<S: ShutdownExt>(wrap: fn(Plain) -> S) {
        for case in CASES {
            for kind in GONE {
                let mut rig = rig(case, kind, wrap);
                for _ in 0..3 {
                    let mut close = spawn(rig.stream.close_notify());
                    give_way(&mut close, TURNS);
                    assert!(is_send_error(&assert_ready_err!(close.poll()), kind));
                    drop(close);
                    let mut close = spawn(rig.stream.shutdown_bidirectional());
                    give_way(&mut close, TURNS);
                    assert!(is_send_error(&assert_ready_err!(close.poll()), kind));
                }
                rig.wire.unblock_writes();
                assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                rig.assert_wrote_and_closed(&[]);
            }
        }
    }
    gives_up(plain);
    gives_up(GracefulStream::new);
    gives_up(tracked);
}

#[test]
fn g12_the_turns_are_counted_over_calls_that_are_dropped() {
    for case in CASES {
        // By the stream.
        let mut rig = rig(case, ErrorKind::BrokenPipe, GracefulStream::new);
        for _ in 0..TURNS {
            let mut close = spawn(rig.stream.shutdown_bidirectional());
            give_way(&mut close, 1);
        }
        let error = assert_ready_err!(spawn(rig.stream.close_notify()).poll());
        assert!(matches!(error, ShutdownError::Send(_)), "{error:?}");

        // By the progress.
        let mut rig = self::rig(case, ErrorKind::BrokenPipe, plain);
        let mut progress = CloseProgress::new();
        let mut turns = 0;
        let error = loop {
            let stream = &mut rig.stream;
            let close = poll_fn(|cx| stream.poll_shutdown_bidirectional(cx, &mut progress));
            if let Poll::Ready(result) = spawn(close).poll() {
                break result.unwrap_err();
            }
            turns += 1;
        };
        assert!(matches!(error, ShutdownError::Send(_)), "{error:?}");
        assert_eq!(turns, TURNS);
    }
}

#[test]
fn g12_a_local_failure_is_an_error_at_once() {
    for case in CASES {
        for kind in [
            ErrorKind::PermissionDenied,
            ErrorKind::Other,
            ErrorKind::WriteZero,
        ] {
            let mut rig = rig(case, kind, GracefulStream::new);
            let error = assert_ready_err!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(is_send_error(&error, kind), "{error:?}");
            // What has arrived is received first.
            assert_eq!(rig.wire.counts().reads, 1);
        }
    }
}

#[test]
fn g12_a_flush_that_fails_because_the_peer_is_gone_looks_for_its_close_notify_too() {
    fn fails<S: ShutdownExt>(wrap: fn(Plain) -> S) {
        for case in CASES {
            for kind in GONE {
                let mut rig = Rig::new(case).map(wrap);
                rig.wire.every_flush(Step::Fail(kind));
                let mut close = spawn(rig.stream.shutdown_bidirectional());
                give_way(&mut close, 61);
                rig.peer.0.send_close_notify();
                rig.wire.feed(&rig.peer.take_queue());
                assert!(assert_ready_ok!(close.poll()).is_clean());
            }
        }
    }
    fails(plain);
    fails(GracefulStream::new);
    fails(tracked);
}

#[test]
fn c06_a_deadline_of_zero_gives_way_all_the_same() {
    for case in CASES {
        let mut rig = rig(case, ErrorKind::BrokenPipe, plain);
        let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
        let mut close = spawn(close);
        give_way(&mut close, 61);
        rig.peer.0.send_close_notify();
        rig.wire.feed(&rig.peer.take_queue());
        assert!(assert_ready_ok!(close.poll()).is_clean());

        let mut rig = self::rig(case, ErrorKind::BrokenPipe, plain);
        let mut close = spawn(rig.stream.close_notify().deadline(Duration::ZERO));
        give_way(&mut close, TURNS);
        let error = assert_ready_err!(close.poll());
        assert!(matches!(error, ShutdownError::Send(_)), "{error:?}");
    }
}

#[test]
fn g12_queued_data_that_cannot_be_delivered_are_no_trouble() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        let _ = spawn(rig.stream.write(&[7; 200_000])).poll();
        let mut rig = rig.map(GracefulStream::new);
        rig.wire.every_write(Step::Fail(ErrorKind::ConnectionReset));
        let mut close = spawn(rig.stream.close_notify_with(b"last"));
        give_way(&mut close, 61);
        rig.peer.0.send_close_notify();
        rig.wire.feed(&rig.peer.take_queue());
        let state = assert_ready_ok!(close.poll());
        assert_eq!(state, ShutdownState::RECEIVED);
    }
}

#[test]
fn g12_shutdown_gives_way_and_closes_the_transport() {
    for case in CASES {
        for wrap in [GracefulStream::new, tracked, lingering] {
            for turns in [0, 1, 61, TURNS] {
                for data in [0, 5000] {
                    let mut rig = rig(case, ErrorKind::ConnectionReset, wrap);
                    let mut shutdown = spawn(rig.stream.shutdown());
                    give_way(&mut shutdown, turns);
                    rig.peer.write(&vec![7; data]);
                    rig.peer.0.send_close_notify();
                    rig.wire.feed(&rig.peer.take_queue());
                    assert_ready_ok!(poll_while_woken(&mut shutdown), "{turns} {data}");
                    drop(shutdown);
                    assert_eq!(rig.wire.counts().shutdowns, 1);
                    assert_eq!(rig.stream.state(), ShutdownState::RECEIVED);
                    if let Some(closed) = rig.stream.outcome() {
                        assert_eq!(closed.peer(), PeerClose::CloseNotify);
                        assert_eq!(closed.discarded(), data as u64);
                    }
                }
            }
            let mut rig = rig(case, ErrorKind::ConnectionReset, wrap);
            let mut shutdown = spawn(rig.stream.shutdown());
            give_way(&mut shutdown, TURNS);
            let error = assert_ready_err!(shutdown.poll());
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            drop(shutdown);
            assert_eq!(rig.wire.counts().shutdowns, 1);
        }
    }
}

#[test]
fn g12_data_in_front_of_the_close_notify_stay_readable() {
    for case in CASES {
        let mut rig = rig(case, ErrorKind::ConnectionReset, GracefulStream::new);
        let mut close = spawn(rig.stream.close_notify());
        give_way(&mut close, 5);
        rig.peer.write(b"the answer");
        rig.peer.0.send_close_notify();
        rig.wire.feed(&rig.peer.take_queue());
        rig.wire.at_end(Step::Fail(ErrorKind::ConnectionReset));
        assert_ready_ok!(close.poll());
        drop(close);
        let mut answer = Vec::new();
        assert_ready_ok!(spawn(rig.stream.read_to_end(&mut answer)).poll());
        assert_eq!(answer, b"the answer");
    }
}

/// Reads what the peer sends beside the close: they do not count as turns.
#[test]
fn g12_what_arrives_meanwhile_does_not_end_the_wait() {
    for case in CASES {
        let mut rig = rig(case, ErrorKind::ConnectionReset, plain);
        let mut close = spawn(rig.stream.shutdown_bidirectional());
        for _ in 0..20 {
            assert_pending!(close.poll());
            assert!(close.is_woken());
            rig.peer.write(b"more");
            rig.wire.feed(&rig.peer.take_queue());
        }
        rig.peer.0.send_close_notify();
        rig.wire.feed(&rig.peer.take_queue());
        let closed = assert_ready_ok!(close.poll());
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 80));
    }
}
