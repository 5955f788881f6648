//! B: waiting for the close_notify of the peer.

use std::{
    future::poll_fn,
    io::ErrorKind,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use rustls::{AlertDescription, Error, HandshakeKind, PeerMisbehaved};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    task::yield_now,
    time::{Instant, advance, sleep, timeout},
};
use tokio_rustls::{TlsStream, rustls};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseProgress, Closed, GracefulStream, PeerClose, ShutdownError, ShutdownExt, ShutdownState,
    is_missing_close_notify, tokio_rustls,
};

use crate::support::{
    Arrival, CASES, Case, Rig, Role, Scripted, Step, Version, coop,
    forge::{self, APPLICATION_DATA, CLOSE_NOTIFY, FATAL, HANDSHAKE, USER_CANCELED, WARNING},
    is_unnamed, poll_while_woken, tls_error,
};

/// Pipes as small as can be, smaller than an alert, and larger than a record.
const PIPES: [usize; 3] = [1, 16, 65_536];

const DEADLINE: Duration = Duration::from_secs(5);

const TLS13: [Case; 2] = [
    Case::new(Version::Tls13, Role::Client),
    Case::new(Version::Tls13, Role::Server),
];

#[test]
fn b01_the_peers_alert_was_processed_before_we_close() {
    for case in CASES {
        for notify_first in [false, true] {
            let mut rig = Rig::new(case);
            rig.peer_closes();
            let n = assert_ready_ok!(spawn(rig.stream.read(&mut [0; 1])).poll());
            assert_eq!(n, 0);
            rig.wire.reset_counts();
            if notify_first {
                let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                assert_eq!(state, ShutdownState::COMPLETE);
            }
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean());
            assert_eq!(rig.wire.counts().reads, 0);
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn b02_the_peers_alert_is_unread_in_the_socket() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_closes();
        let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        assert_eq!(state, ShutdownState::SENT);
        assert_eq!(rig.wire.counts().reads, 0, "close_notify() only writes");
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        assert_eq!(rig.wire.counts().reads, 1);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn b03_both_send_first_and_cross() {
    for case in CASES {
        for pipe in PIPES {
            for notify_first in [false, true] {
                let (mut ours, mut theirs) = case.duplex(pipe).await;
                if notify_first {
                    // Over a small pipe only the other one's reading makes room.
                    let (_, _) = tokio::join!(
                        ours.close_notify().deadline(Duration::ZERO),
                        theirs.close_notify().deadline(Duration::ZERO),
                    );
                }
                let (ours, theirs) = tokio::join!(
                    ours.shutdown_bidirectional(),
                    theirs.shutdown_bidirectional()
                );
                assert!(ours.unwrap().is_clean(), "{case:?} over {pipe}");
                assert!(theirs.unwrap().is_clean(), "{case:?} over {pipe}");
            }
        }
    }
}

#[test]
fn b04_tickets_after_our_alert_are_stored_and_counted() {
    let case = Case::new(Version::Tls13, Role::Client);
    let client = case.client_config();
    let mut server = case.server_config();
    server.send_tls13_tickets = 3;
    for resumes in [false, true] {
        let mut rig = Rig::with(case, client.clone(), server.clone());
        let kind = rig.stream.get_ref().1.handshake_kind();
        assert_eq!(kind == Some(HandshakeKind::Resumed), resumes);
        // The server's tickets are on their way, and are unread.
        assert!(rig.wire.unread() > 0);
        let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
        assert_pending!(poll_while_woken(&mut close));
        assert_eq!(rig.wire.unread(), 0);
        rig.peer.0.send_close_notify();
        rig.wire.feed(&rig.peer.take_queue());
        assert!(close.is_woken());
        let closed = assert_ready_ok!(close.poll());
        drop(close);
        assert!(closed.is_clean());
        assert_eq!((closed.tickets(), closed.discarded()), (3, 0));
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b04_tickets_from_before_the_call_are_not_counted() {
    let case = Case::new(Version::Tls13, Role::Client);
    let mut server = case.server_config();
    server.send_tls13_tickets = 2;
    let mut rig = Rig::with(case, case.client_config(), server);
    assert_pending!(spawn(rig.stream.read(&mut [0; 1])).poll());
    rig.peer_closes();
    let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
    assert_eq!((closed.is_clean(), closed.tickets()), (true, 0));
}

#[test]
fn b04_a_quiet_shutdown_waits_for_no_tickets_and_counts_none() {
    let case = Case::new(Version::Tls13, Role::Client);
    let mut server = case.server_config();
    server.send_tls13_tickets = 2;
    let mut rig = Rig::with(case, case.client_config(), server).map(GracefulStream::new);
    rig.peer_writes(b"data");
    assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 4])).poll());
    rig.stream.set_quiet_shutdown(true);
    let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
    assert_eq!(closed.tickets(), 0);
}

#[test]
fn b05_a_key_update_after_our_alert_changes_the_keys_for_reading_and_is_not_answered() {
    for case in TLS13 {
        for taken in 0..=case.alert_len() {
            let mut rig = Rig::new(case);
            if taken > 0 {
                rig.wire.on_write([Step::Take(taken)]);
            }
            rig.wire.every_write(Step::Block);
            assert_pending!(spawn(rig.stream.shutdown_bidirectional().no_deadline()).poll());
            for _ in 0..2 {
                rig.peer.0.refresh_traffic_keys().unwrap();
                rig.peer_writes(b"new keys");
                // Dropped and called again in between.
                assert_pending!(spawn(rig.stream.shutdown_bidirectional().no_deadline()).poll());
            }
            rig.wire.unblock_writes();
            rig.peer.0.refresh_traffic_keys().unwrap();
            rig.peer_writes(b"newer keys");
            rig.peer_closes();
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert_eq!((closed.is_clean(), closed.discarded()), (true, 10));
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn b05_a_key_update_from_before_is_answered_and_the_alert_has_the_new_keys() {
    for case in TLS13 {
        let mut rig = Rig::new(case);
        rig.peer.0.refresh_traffic_keys().unwrap();
        rig.peer_writes(b"new keys");
        assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 8])).poll());
        rig.peer_closes();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        // The peer can decrypt it only if it has seen the answer first.
        rig.assert_wrote_and_closed(&[]);
    }
}

/// RFC 8446 section 4.3.2, with one signature algorithm.
const CERTIFICATE_REQUEST: [u8; 15] = [13, 0, 0, 11, 0, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3];

#[test]
fn b06_a_request_to_shake_hands_again_is_not_answered() {
    for case in CASES {
        let request = match (case.version, case.role) {
            (Version::Tls13, Role::Client) => CERTIFICATE_REQUEST.to_vec(),
            _ => forge::renegotiation(case.role),
        };
        for taken in 0..=case.alert_len() {
            let (mut stream, wire, mut forge) = Rig::new(case).forge();
            if taken > 0 {
                wire.on_write([Step::Take(taken)]);
            }
            wire.every_write(Step::Block);
            let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
            assert_pending!(close.poll());
            wire.feed(&forge.seal(HANDSHAKE, &request));
            let poll = close.poll();
            if case.is_tls13() {
                let error = assert_ready_err!(poll);
                let named = matches!(
                    tls_error(&error),
                    Some(Error::InappropriateHandshakeMessage { .. })
                );
                assert!(named || is_unnamed(&error), "{case:?}: {error:?}");
                assert_eq!(wire.outbound_len(), taken);
                continue;
            }
            // TLS 1.2 ignores it.
            assert_pending!(poll);
            wire.unblock_writes();
            assert_pending!(close.poll());
            wire.feed(&forge.close_notify());
            assert!(assert_ready_ok!(close.poll()).is_clean());
            drop(close);
            for _ in 0..2 {
                let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean());
            }
            forge.assert_only_close_notify(&wire.take_outbound());
        }
    }
}

#[test]
fn b06_a_second_request_is_what_rustls_does_not_take() {
    for case in CASES.into_iter().filter(|case| !case.is_tls13()) {
        let request = forge::renegotiation(case.role);
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        for _ in 0..2 {
            wire.feed(&forge.seal(HANDSHAKE, &request));
        }
        let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
        let expected = PeerMisbehaved::TooManyRenegotiationRequests;
        assert_eq!(tls_error(&error), Some(&expected.into()), "{error:?}");
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn b07_plaintext_already_buffered_is_discarded_and_counted() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_writes(&[7; 1000]);
        assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 1])).poll());
        assert!(!rig.stream.get_ref().1.wants_read(), "rustls is content");
        rig.peer_closes();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 999));
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b08_data_after_our_alert_is_discarded_and_counted() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
        for n in 1..=10 {
            assert_pending!(close.poll());
            rig.peer.write(&vec![7; n]);
            rig.wire.feed(&rig.peer.take_queue());
            assert!(close.is_woken());
        }
        assert_pending!(close.poll());
        rig.peer.0.send_close_notify();
        rig.wire.feed(&rig.peer.take_queue());
        let closed = assert_ready_ok!(close.poll());
        drop(close);
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 55));
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b08_close_notify_alone_leaves_it_readable() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_writes(b"before, ");
        assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 1])).poll());
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.peer_writes(b"after");
        for _ in 0..2 {
            assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        }
        let mut data = [0; 12];
        assert_ready_ok!(spawn(rig.stream.read_exact(&mut data)).poll());
        assert_eq!(&data, b"efore, after");
        rig.peer_closes();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 0));
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b09_more_than_rustls_buffers_at_once() {
    for case in CASES {
        for buffered in [false, true] {
            let mut rig = Rig::new(case);
            rig.peer_writes(&vec![7; 1_000_000]);
            rig.peer_closes();
            if buffered {
                assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 1])).poll());
            }
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            let closed = assert_ready_ok!(poll_while_woken(&mut close));
            drop(close);
            let rest = 1_000_000 - u64::from(buffered);
            assert_eq!((closed.is_clean(), closed.discarded()), (true, rest));
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn b10_more_than_the_discard_limit_is_never_clean() {
    for case in CASES {
        // Either side of the limit, of a record, and of what one read takes.
        for limit in [0, 1, 1000, 4096, 16_384, 16_385, 100_000] {
            for buffered in [0, 1, 1000] {
                for over in [false, true] {
                    let mut rig = Rig::new(case);
                    let bytes = limit + usize::from(over);
                    let before = buffered.min(bytes);
                    rig.peer_writes(&vec![7; before + 1]);
                    assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 1])).poll());
                    rig.peer_writes(&vec![7; bytes - before]);
                    rig.peer_closes();
                    let limit = u64::try_from(limit).unwrap();
                    let close = rig.stream.shutdown_bidirectional().discard_limit(limit);
                    let closed = assert_ready_ok!(poll_while_woken(&mut spawn(close)));
                    let expected = match over {
                        true => PeerClose::DiscardLimit,
                        false => PeerClose::CloseNotify,
                    };
                    assert_eq!(closed.peer(), expected, "{bytes} of {limit}");
                    assert_eq!(closed.is_clean(), !over);
                    assert_eq!(closed.discarded(), u64::try_from(bytes).unwrap());
                    rig.assert_wrote_and_closed(&[]);
                }
            }
        }
    }
}

#[test]
fn b10_it_stops_at_the_limit_and_a_later_call_counts_anew() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_writes(&vec![7; 100_000]);
        rig.peer_closes();
        let mut total = 0;
        loop {
            let close = rig.stream.shutdown_bidirectional().discard_limit(30_000);
            let closed = assert_ready_ok!(poll_while_woken(&mut spawn(close)));
            total += closed.discarded();
            if closed.is_clean() {
                break;
            }
            assert_eq!(closed.peer(), PeerClose::DiscardLimit);
            // One record more at most.
            assert!((30_001..=30_000 + 16_384).contains(&closed.discarded()));
            assert_ready_err!(Poll::Ready(closed.require_clean()));
        }
        assert_eq!(total, 100_000);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b10_the_limit_is_16_mib_unless_set() {
    let mib = 1024 * 1024;
    for over in [false, true] {
        let mut rig = Rig::new(CASES[0]);
        let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
        for _ in 0..16 {
            rig.peer.write(&vec![7; mib]);
            rig.wire.feed(&rig.peer.take_queue());
            assert_pending!(poll_while_woken(&mut close));
        }
        if over {
            rig.peer.write(b".");
        }
        rig.peer.0.send_close_notify();
        rig.wire.feed(&rig.peer.take_queue());
        let closed = assert_ready_ok!(close.poll());
        assert_eq!(closed.is_clean(), !over, "{closed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b11_a_peer_that_drips_for_ever_is_ended_by_the_deadline() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let begin = Instant::now();
        let drip = async {
            for n in 0_u64.. {
                rig.peer.write(b".");
                rig.wire.feed(&rig.peer.take_queue());
                sleep(Duration::from_millis(100)).await;
                assert!(n < 1000, "for ever");
            }
        };
        let closed = tokio::select! {
            () = drip => unreachable!(),
            closed = rig.stream.shutdown_bidirectional() => closed.unwrap(),
        };
        assert_eq!(begin.elapsed(), DEADLINE);
        assert_eq!(closed.peer(), PeerClose::TimedOut);
        assert!((50..=51).contains(&closed.discarded()), "{closed:?}");
        rig.assert_wrote_and_closed(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn b12_a_peer_that_never_answers() {
    for case in CASES {
        for pipe in PIPES {
            let (mut ours, mut theirs) = case.duplex(pipe).await;
            let begin = Instant::now();
            // It reads, or ours could not go out.
            let reader = async {
                assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0);
            };
            let (closed, ()) = tokio::join!(ours.shutdown_bidirectional(), reader);
            assert_eq!(begin.elapsed(), DEADLINE);
            assert_eq!(closed.unwrap().peer(), PeerClose::TimedOut);
            assert_eq!(ours.close_notify().await.unwrap(), ShutdownState::SENT);
            // It does so in the end.
            let (closed, late) = tokio::join!(ours.shutdown_bidirectional(), theirs.close_notify());
            assert!(closed.unwrap().is_clean());
            assert_eq!(late.unwrap(), ShutdownState::COMPLETE);
        }
    }
}

#[test]
fn b12_our_alert_counts_as_sent() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let mut progress = CloseProgress::new();
        let stream = &mut rig.stream;
        let close = poll_fn(|cx| stream.poll_shutdown_bidirectional(cx, &mut progress));
        assert_pending!(spawn(close).poll());
        assert_eq!(progress.state(), ShutdownState::SENT);
        let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
        let closed = assert_ready_ok!(spawn(close).poll());
        assert_eq!(
            (closed.peer(), closed.is_clean()),
            (PeerClose::TimedOut, false)
        );
        let error = std::io::Error::from(closed.require_clean().unwrap_err());
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(!is_missing_close_notify(&error));
        rig.assert_wrote_and_closed(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn b13_the_deadline_runs_out_while_our_alert_is_blocked() {
    for case in CASES {
        for written in 0..=case.alert_len() {
            let mut rig = Rig::new(case);
            if written > 0 {
                rig.wire.on_write([Step::Take(written)]);
            }
            rig.wire.every_write(Step::Block);
            rig.wire.every_flush(Step::Block);
            // Although the peer's close_notify has arrived.
            rig.peer_writes(b"data");
            rig.peer_closes();
            let begin = Instant::now();
            let error = rig.stream.shutdown_bidirectional().await.unwrap_err();
            assert!(matches!(error, ShutdownError::SendTimedOut), "{error:?}");
            assert_eq!(begin.elapsed(), DEADLINE);
            assert_eq!(std::io::Error::from(error).kind(), ErrorKind::TimedOut);
            rig.wire.unblock_writes();
            rig.wire.unblock_flushes();
            let closed = rig.stream.shutdown_bidirectional().await.unwrap();
            assert!(closed.is_clean());
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

/// A transport is not blocked because the task has spent its budget.
#[tokio::test]
async fn b13_a_deadline_of_zero_counts_no_steps_of_the_task_before() {
    const DATA: usize = 40 << 14;

    async fn closes<S: ShutdownExt>(case: Case, wrap: fn(TlsStream<DuplexStream>) -> S) {
        for spent in [0, 100, 110, 127, coop::BUDGET] {
            let (ours, mut theirs) = case.duplex(1 << 20).await;
            theirs.write_all(&vec![1; DATA]).await.unwrap();
            theirs.flush().await.unwrap();
            yield_now().await;
            coop::spend(spent).await;
            let mut ours = wrap(ours);
            let close = ours.shutdown_bidirectional().deadline(Duration::ZERO);
            let closed = close
                .await
                .unwrap_or_else(|e| panic!("{case:?} {spent}: {e}"));
            assert_eq!(closed.discarded(), DATA as u64, "{case:?} {spent}");
            assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0);
        }
    }

    for case in CASES {
        closes(case, GracefulStream::new).await;
        closes(case, |plain| plain).await;
    }
}

#[test]
fn b14_the_end_of_the_transport_is_not_clean() {
    for case in CASES {
        for before in [false, true] {
            for data in [&[][..], b"data"] {
                let mut rig = Rig::new(case);
                rig.peer_writes(data);
                if before {
                    rig.wire.at_end(Step::Zero);
                }
                let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
                if !before {
                    assert_pending!(close.poll());
                    rig.wire.at_end(Step::Zero);
                    assert!(close.is_woken());
                }
                let closed = assert_ready_ok!(close.poll());
                drop(close);
                assert_eq!((closed.peer(), closed.is_clean()), (PeerClose::Eof, false));
                assert_eq!(closed.discarded(), data.len() as u64);
                let error = std::io::Error::from(closed.require_clean().unwrap_err());
                assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
                assert!(is_missing_close_notify(&error));
                rig.assert_wrote_and_closed(&[]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn b14_a_peer_that_drops_its_transport() {
    for case in CASES {
        for pipe in PIPES {
            let (mut ours, mut theirs) = case.duplex(pipe).await;
            let leave = async move {
                assert_eq!(theirs.read(&mut [0; 1]).await.unwrap(), 0);
            };
            let (closed, ()) = tokio::join!(ours.shutdown_bidirectional(), leave);
            assert_eq!(closed.unwrap().peer(), PeerClose::Eof);
        }
    }
}

#[test]
fn b15_the_end_is_latched_and_not_read_again() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.at_end(Step::Zero);
        let mut progress = CloseProgress::new();
        for _ in 0..3 {
            let stream = &mut rig.stream;
            let close = poll_fn(|cx| stream.poll_shutdown_bidirectional(cx, &mut progress));
            let closed = assert_ready_ok!(spawn(close).poll());
            assert_eq!(closed.peer(), PeerClose::Eof);
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert_eq!(closed.peer(), PeerClose::Eof);
        }
        assert_eq!(rig.wire.counts().reads, 1);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b15_an_end_that_a_read_has_seen_is_not_read_again() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.at_end(Step::Zero);
        assert_ready_err!(spawn(rig.stream.read(&mut [0; 1])).poll());
        rig.wire.reset_counts();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!(closed.peer(), PeerClose::Eof);
        assert_eq!(rig.wire.counts().reads, 0);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b15_an_end_while_our_alert_is_blocked_does_not_spin() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        rig.wire.at_end(Step::Zero);
        let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
        for _ in 0..5 {
            assert_pending!(close.poll());
            assert!(!close.is_woken());
        }
        assert_eq!(rig.wire.counts().reads, 1);
        rig.wire.unblock_writes();
        assert!(close.is_woken());
        assert_eq!(assert_ready_ok!(close.poll()).peer(), PeerClose::Eof);
        drop(close);
        rig.assert_wrote_and_closed(&[]);
    }
}

/// What a transport says whose peer is gone.
const RESETS: [ErrorKind; 4] = [
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::BrokenPipe,
    ErrorKind::NotConnected,
];

#[test]
fn b16_a_reset_while_waiting_is_an_outcome_and_not_clean() {
    for case in CASES {
        for kind in RESETS {
            let mut rig = Rig::new(case);
            rig.peer_writes(b"data");
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            assert_pending!(close.poll());
            rig.wire.at_end(Step::Fail(kind));
            assert!(close.is_woken());
            let closed = assert_ready_ok!(close.poll());
            drop(close);
            assert_eq!(
                (closed.peer(), closed.is_clean()),
                (PeerClose::Reset, false)
            );
            assert_eq!(closed.discarded(), 4);
            let error = std::io::Error::from(closed.require_clean().unwrap_err());
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn b16_any_other_read_error_is_an_error_and_does_not_keep_our_alert_back() {
    fn fails<S: ShutdownExt>(wrap: fn(TlsStream<Scripted>) -> S) {
        for case in CASES {
            for kind in [
                ErrorKind::PermissionDenied,
                ErrorKind::TimedOut,
                ErrorKind::InvalidData,
                ErrorKind::Interrupted,
                ErrorKind::WouldBlock,
                ErrorKind::Other,
            ] {
                let mut rig = Rig::new(case).map(wrap);
                rig.wire.at_end(Step::Fail(kind));
                let error = assert_ready_err!(spawn(rig.stream.shutdown_bidirectional()).poll());
                assert!(matches!(&error, ShutdownError::Receive(e) if e.kind() == kind));
                assert_eq!(std::io::Error::from(error).kind(), kind);
                // It is not asked for again, as it may be told once.
                assert_eq!(rig.wire.counts().reads, 1);
                assert_eq!(rig.wire.outbound_len(), case.alert_len());
                // It may pass.
                rig.wire.at_end(Step::Block);
                assert_pending!(spawn(rig.stream.shutdown_bidirectional().no_deadline()).poll());
                rig.peer_closes();
                let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean());
                rig.assert_wrote_and_closed(&[]);
            }
        }
    }
    fails(|stream| stream);
    fails(GracefulStream::new);
}

#[test]
fn b16_a_tls_transport_that_was_cut_off_is_at_its_end() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.at_end(Step::Fail(ErrorKind::UnexpectedEof));
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!(closed.peer(), PeerClose::Eof);
    }
}

#[test]
fn b16_a_reset_while_our_alert_is_blocked_leaves_it_undelivered() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        rig.wire.at_end(Step::Fail(ErrorKind::ConnectionReset));
        let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
        assert_pending!(close.poll());
        assert!(!close.is_woken());
        rig.wire.every_write(Step::Fail(ErrorKind::BrokenPipe));
        let error = assert_ready_err!(close.poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::BrokenPipe));
    }
}

#[test]
fn b17_close_notify_in_any_pieces_with_and_without_fin() {
    for case in CASES {
        for fin in [false, true] {
            for way in Arrival::ways(case.alert_len()) {
                let (mut stream, wire, mut forge) = Rig::new(case).forge();
                let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
                let alert = forge.close_notify();
                if fin {
                    // The last piece and the end come together.
                    let (first, last) = alert.split_at(alert.len() - 1);
                    assert_pending!(way.poll(&mut close, &wire, first), "{way:?}");
                    wire.feed(last);
                    wire.at_end(Step::Zero);
                } else {
                    let _ = way.poll(&mut close, &wire, &alert);
                }
                let closed = assert_ready_ok!(close.poll());
                drop(close);
                assert!(closed.is_clean(), "{way:?}");
                forge.assert_only_close_notify(&wire.take_outbound());
            }
        }
    }
}

#[test]
fn b17_an_alert_split_over_two_records_is_what_rustls_does_not_take() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        wire.feed(&forge.seal(forge::ALERT, &[WARNING]));
        wire.feed(&forge.seal(forge::ALERT, &[CLOSE_NOTIFY]));
        let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn b18_data_and_close_notify_in_any_pieces() {
    for case in CASES {
        let (_, _, mut forge) = Rig::new(case).forge();
        let len = forge.seal(APPLICATION_DATA, b"data").len() + forge.close_notify().len();
        for way in Arrival::ways(len) {
            let (mut stream, wire, mut forge) = Rig::new(case).forge();
            let bytes = [forge.seal(APPLICATION_DATA, b"data"), forge.close_notify()].concat();
            let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
            let closed = assert_ready_ok!(way.poll(&mut close, &wire, &bytes));
            drop(close);
            assert_eq!(
                (closed.is_clean(), closed.discarded()),
                (true, 4),
                "{way:?}"
            );
            forge.assert_only_close_notify(&wire.take_outbound());
        }
    }
}

#[test]
fn b18_the_middle_of_a_record_is_no_trouble_for_a_call_that_begins_there() {
    for case in CASES {
        let (_, _, mut forge) = Rig::new(case).forge();
        let len = forge.seal(APPLICATION_DATA, &[7; 100]).len();
        for cut in 1..len {
            let (mut stream, wire, mut forge) = Rig::new(case).forge();
            let record = forge.seal(APPLICATION_DATA, &[7; 100]);
            wire.feed(&record[..cut]);
            assert_pending!(spawn(stream.read(&mut [0; 1])).poll());
            wire.feed(&record[cut..]);
            wire.feed(&forge.close_notify());
            let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
            assert_eq!(
                (closed.is_clean(), closed.discarded()),
                (true, 100),
                "{cut}"
            );
            forge.assert_only_close_notify(&wire.take_outbound());
        }
    }
}

#[test]
fn b19_what_follows_close_notify_is_ignored() {
    for case in CASES {
        for what in 0..4 {
            let behind = |forge: &mut forge::Forge| match what {
                0 => forge.seal(APPLICATION_DATA, b"data"),
                1 => vec![0xff; 40],
                2 => b"220 in the clear\r\n".to_vec(),
                _ => forge.alert(FATAL, forge::HANDSHAKE_FAILURE),
            };
            let len = {
                let (_, _, mut forge) = Rig::new(case).forge();
                forge.close_notify().len() + behind(&mut forge).len()
            };
            for way in Arrival::ways(len) {
                let (mut stream, wire, mut forge) = Rig::new(case).forge();
                let bytes = [forge.close_notify(), behind(&mut forge)].concat();
                let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
                let closed = assert_ready_ok!(way.poll(&mut close, &wire, &bytes));
                drop(close);
                assert_eq!(
                    (closed.is_clean(), closed.discarded()),
                    (true, 0),
                    "{way:?}"
                );
                wire.feed(&bytes);
                wire.reset_counts();
                let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
                assert_eq!(
                    (closed.is_clean(), closed.discarded()),
                    (true, 0),
                    "{way:?}"
                );
                assert_eq!(wire.counts().reads, 0);
                forge.assert_only_close_notify(&wire.take_outbound());
            }
        }
    }
}

#[test]
fn b22_user_canceled_and_then_close_notify_is_clean() {
    for case in CASES {
        let (_, _, mut forge) = Rig::new(case).forge();
        let len = forge.alert(WARNING, USER_CANCELED).len() + forge.close_notify().len();
        for way in Arrival::ways(len) {
            let (mut stream, wire, mut forge) = Rig::new(case).forge();
            let bytes = [forge.alert(WARNING, USER_CANCELED), forge.close_notify()].concat();
            let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
            let closed = assert_ready_ok!(way.poll(&mut close, &wire, &bytes));
            drop(close);
            assert!(closed.is_clean(), "{way:?}");
            forge.assert_only_close_notify(&wire.take_outbound());
        }
    }
}

#[test]
fn b23_a_flood_of_what_carries_nothing_ends_in_an_error() {
    type Seal = fn(&mut forge::Forge) -> Vec<u8>;
    let floods: [(Seal, PeerMisbehaved); 2] = [
        (
            |forge| forge.alert(WARNING, USER_CANCELED),
            PeerMisbehaved::TooManyWarningAlertsReceived,
        ),
        (
            |forge| forge.seal(APPLICATION_DATA, &[]),
            PeerMisbehaved::TooManyEmptyFragments,
        ),
    ];
    for case in CASES {
        for (record, expected) in &floods {
            let (mut stream, wire, mut forge) = Rig::new(case).forge();
            let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
            let mut sent = 0;
            let error = loop {
                if let Poll::Ready(result) = close.poll() {
                    break result.unwrap_err();
                }
                wire.feed(&record(&mut forge));
                sent += 1;
                assert!(sent < 100, "{expected:?}: not bounded");
            };
            drop(close);
            let expected = Error::from(expected.clone());
            assert_eq!(tls_error(&error), Some(&expected), "{error:?}");
            forge.assert_only_close_notify(&wire.take_outbound());
        }
    }
}

#[test]
fn b23_a_flood_of_key_updates_ends_in_an_error() {
    for case in TLS13 {
        let mut rig = Rig::new(case);
        let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
        let mut sent = 0;
        let error = loop {
            if let Poll::Ready(result) = close.poll() {
                break result.unwrap_err();
            }
            rig.peer.0.refresh_traffic_keys().unwrap();
            rig.wire.feed(&rig.peer.take_queue());
            sent += 1;
            assert!(sent < 100, "not bounded");
        };
        drop(close);
        let expected = PeerMisbehaved::TooManyKeyUpdateRequests;
        assert_eq!(tls_error(&error), Some(&expected.into()), "{error:?}");
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b23_a_warning_is_an_error_in_tls_1_3_and_ignored_in_tls_1_2() {
    const UNRECOGNIZED_NAME: u8 = 112;
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        wire.feed(&forge.alert(WARNING, UNRECOGNIZED_NAME));
        wire.feed(&forge.close_notify());
        match assert_ready!(spawn(stream.shutdown_bidirectional()).poll()) {
            Ok(closed) => assert!(closed.is_clean() && !case.is_tls13()),
            Err(e) => {
                assert!(case.is_tls13());
                let named = Error::AlertReceived(AlertDescription::UnrecognisedName);
                assert!(tls_error(&e) == Some(&named) || is_unnamed(&e), "{e:?}");
            }
        }
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn b24_close_notify_at_level_fatal_is_close_notify() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        wire.feed(&forge.alert(FATAL, CLOSE_NOTIFY));
        let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn b25_half_a_handshake_message_and_then_close_notify_is_a_protocol_error() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        wire.feed(&forge.seal(HANDSHAKE, &[24, 0, 0, 1]));
        let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
        assert_pending!(close.poll());
        wire.feed(&forge.close_notify());
        let error = assert_ready_err!(close.poll());
        drop(close);
        let expected = PeerMisbehaved::MessageInterleavedWithHandshakeMessage;
        assert_eq!(tls_error(&error), Some(&expected.into()), "{error:?}");
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[tokio::test(start_paused = true)]
async fn b26_two_peers_with_full_buffers_both_finish_where_plain_shutdown_waits_for_ever() {
    for case in CASES {
        let (mut ours, mut theirs) = case.duplex(4096).await;
        ours.write_all(&[7; 40_000]).await.unwrap();
        theirs.write_all(&[7; 40_000]).await.unwrap();

        let both = async { tokio::join!(ours.shutdown(), theirs.shutdown()) };
        let day = Duration::from_secs(86_400);
        assert!(timeout(day, both).await.is_err(), "plain tokio-rustls");

        let (ours, theirs) = tokio::join!(
            ours.shutdown_bidirectional(),
            theirs.shutdown_bidirectional()
        );
        for closed in [ours.unwrap(), theirs.unwrap()] {
            assert_eq!(
                (closed.is_clean(), closed.discarded()),
                (true, 40_000),
                "{case:?}"
            );
        }
    }
}

#[test]
fn b26_it_reads_while_the_alert_is_blocked() {
    for case in CASES {
        for flush in [false, true] {
            let mut rig = Rig::new(case);
            match flush {
                true => rig.wire.every_flush(Step::Block),
                false => rig.wire.every_write(Step::Block),
            }
            rig.peer_writes(&[7; 50_000]);
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            assert_pending!(poll_while_woken(&mut close));
            assert_eq!(rig.wire.unread(), 0);
            rig.peer.write(&[7; 50_000]);
            rig.peer.0.send_close_notify();
            rig.wire.feed(&rig.peer.take_queue());
            assert!(close.is_woken());
            assert_pending!(poll_while_woken(&mut close));
            rig.wire.unblock_writes();
            rig.wire.unblock_flushes();
            assert!(close.is_woken());
            let closed = assert_ready_ok!(close.poll());
            drop(close);
            assert_eq!((closed.is_clean(), closed.discarded()), (true, 100_000));
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn b27_one_poll_takes_a_bounded_number_of_reads() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_writes(&vec![7; 2_000_000]);
        let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
        while rig.wire.unread() > 0 {
            rig.wire.reset_counts();
            assert_pending!(close.poll());
            assert!(rig.wire.counts().reads <= 64, "{:?}", rig.wire.counts());
            assert!(
                close.is_woken() || rig.wire.unread() == 0,
                "nothing polls it again"
            );
        }
        assert_pending!(poll_while_woken(&mut close));
    }
}

#[tokio::test]
async fn b27_other_tasks_run_while_the_peer_floods() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_writes(&vec![7; 4_000_000]);
        rig.peer_closes();
        let turns = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&turns);
        let other = tokio::spawn(async move {
            loop {
                counter.fetch_add(1, Ordering::Relaxed);
                yield_now().await;
            }
        });
        let closed = rig.stream.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean());
        let turns = turns.load(Ordering::Relaxed);
        assert!(turns >= 4, "{turns} in 4 MB");
        other.abort();
    }
}

#[tokio::test(start_paused = true)]
async fn b27_timers_run_while_the_peer_floods() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let begin = Instant::now();
        let close = rig.stream.shutdown_bidirectional().discard_limit(u64::MAX);
        let mut close = std::pin::pin!(close);
        // More comes in a second than is taken in a poll: there is always something to read.
        let closed = loop {
            rig.peer.write(&vec![7; 1_000_000]);
            rig.wire.feed(&rig.peer.take_queue());
            let poll = poll_fn(|cx| Poll::Ready(Pin::new(&mut close).poll(cx))).await;
            if let Poll::Ready(closed) = poll {
                break closed.unwrap();
            }
            assert!(rig.wire.unread() > 0);
            advance(Duration::from_secs(1)).await;
        };
        assert_eq!(closed.peer(), PeerClose::TimedOut);
        assert_eq!(begin.elapsed(), DEADLINE);
    }
}

/// A stream that has read "data", and whose tokio-rustls holds back the error behind it.
fn holds_back_an_error(case: Case, at_end: Step) -> Rig {
    let mut rig = Rig::new(case);
    rig.peer_writes(b"data");
    rig.wire.at_end(at_end);
    let n = assert_ready_ok!(spawn(rig.stream.read(&mut [0; 100])).poll());
    assert_eq!(n, 4);
    rig.wire.reset_counts();
    rig
}

#[test]
fn b28_a_read_error_that_was_held_back_is_not_lost_behind_an_end() {
    for case in CASES {
        for kind in RESETS.into_iter().chain([ErrorKind::TimedOut]) {
            let mut rig = holds_back_an_error(case, Step::Fail(kind));
            // A socket tells its error once; then it is at its end.
            rig.wire.at_end(Step::Zero);
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert_eq!(closed.peer(), PeerClose::Eof);
            let error = assert_ready_err!(spawn(rig.stream.read(&mut [0; 1])).poll());
            assert_eq!(error.kind(), kind, "it is still there for who reads");
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn b28_a_read_error_that_was_held_back_is_told_if_the_transport_repeats_it() {
    for case in CASES {
        let mut rig = holds_back_an_error(case, Step::Fail(ErrorKind::ConnectionReset));
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!(closed.peer(), PeerClose::Reset);

        let mut rig = holds_back_an_error(case, Step::Fail(ErrorKind::TimedOut));
        let error = assert_ready_err!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(matches!(&error, ShutdownError::Receive(e) if e.kind() == ErrorKind::TimedOut));
    }
}

#[test]
fn b28_a_missing_close_notify_that_was_held_back_is_told() {
    for case in CASES {
        let mut rig = holds_back_an_error(case, Step::Zero);
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!(closed.peer(), PeerClose::Eof);
        assert_eq!(rig.wire.counts().reads, 0);
    }
}

#[test]
fn b28_a_bad_record_that_was_held_back_is_told_and_nothing_is_written() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        let good = forge.seal(APPLICATION_DATA, b"good");
        let mut bad = forge.seal(APPLICATION_DATA, b"bad");
        *bad.last_mut().unwrap() ^= 1;
        // In two reads, or the first fails.
        wire.read_size(good.len());
        wire.feed(&[good, bad].concat());
        let n = assert_ready_ok!(spawn(stream.read(&mut [0; 100])).poll());
        assert_eq!(n, 4);
        wire.take_outbound();
        for _ in 0..2 {
            let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
            assert_eq!(tls_error(&error), Some(&Error::DecryptError), "{error:?}");
        }
        assert_eq!(wire.outbound_len(), 0);
    }
}

/// Their close_notify is authenticated and numbered: where it arrives, nothing is missing before
/// it, and the error has passed.
#[test]
fn b28_a_read_error_that_has_passed_leaves_a_clean_close() {
    for case in CASES {
        let mut rig = holds_back_an_error(case, Step::Fail(ErrorKind::TimedOut));
        rig.wire.at_end(Step::Block);
        rig.peer_writes(b"more");
        rig.peer_closes();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 4));

        // What is lost in between is noticed.
        let mut rig = holds_back_an_error(case, Step::Fail(ErrorKind::TimedOut));
        rig.wire.at_end(Step::Block);
        rig.peer.write(b"lost");
        rig.peer.take_queue();
        rig.peer_closes();
        let result = assert_ready!(spawn(rig.stream.shutdown_bidirectional()).poll());
        let error = result.and_then(Closed::require_clean).unwrap_err();
        assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
    }
}
