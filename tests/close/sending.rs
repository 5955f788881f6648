//! A: sending our close_notify.

use std::{io::ErrorKind, task::Poll};

use rustls::{ClientConnection, ServerConnection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsStream, rustls};
use tokio_test::{
    assert_pending, assert_ready, assert_ready_err, assert_ready_ok,
    task::{Spawn, spawn},
};
use tokio_tls_shutdown::{
    CloseOnDrop, GracefulStream, ShutdownError, ShutdownExt, ShutdownState, tokio_rustls,
};

use crate::support::{
    CASES, Case, Rig, Role, Scripted, Step, Version, Wire, forge, pair, rig::records, tls_error,
};

#[test]
fn a01_queued_records_go_first_and_in_order() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let data: Vec<u8> = (0..50_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        rig.wire.every_write(Step::Block);
        assert_ready_ok!(spawn(rig.stream.write_all(&data)).poll());
        let mut close = spawn(rig.stream.close_notify().no_deadline());
        assert_pending!(close.poll());
        rig.wire.unblock_writes();
        assert!(close.is_woken());
        assert_eq!(assert_ready_ok!(close.poll()), ShutdownState::SENT);
        drop(close);
        rig.assert_wrote_and_closed(&data);
    }
}

#[test]
fn a02_the_transport_blocks_before_or_inside_the_alert() {
    for case in CASES {
        for sent in 0..case.alert_len() {
            let mut rig = Rig::new(case);
            match sent {
                0 => rig.wire.on_write([Step::Block]),
                _ => rig.wire.on_write([Step::Take(sent), Step::Block]),
            }
            let mut close = spawn(rig.stream.close_notify().no_deadline());
            assert_pending!(close.poll());
            assert_eq!(rig.wire.outbound_len(), sent);
            rig.wire.unblock_writes();
            assert!(close.is_woken());
            assert_eq!(assert_ready_ok!(close.poll()), ShutdownState::SENT);
            drop(close);
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn a02_sent_is_not_said_before_the_flush() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.on_flush([Step::Block]);
        let mut close = spawn(rig.stream.close_notify().no_deadline());
        assert_pending!(close.poll());
        rig.wire.unblock_flushes();
        assert!(close.is_woken());
        assert_eq!(assert_ready_ok!(close.poll()), ShutdownState::SENT);
    }
}

#[test]
fn a03_one_byte_a_poll_makes_one_alert() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Take(1));
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        assert_eq!(rig.wire.counts().writes, case.alert_len());
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a04_a_write_of_nothing_is_write_zero() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Zero);
        let error = assert_ready_err!(spawn(rig.stream.close_notify()).poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::WriteZero));
        let error = assert_ready_err!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::WriteZero));
        assert_eq!(rig.wire.counts().writes, 2, "one try a call");

        // Also where a long queue has to make room for the last data.
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.wire.every_write(Step::Block);
        while spawn(rig.stream.write(&[7; 70_000])).poll().is_ready() {}
        rig.wire.every_write(Step::Zero);
        let error = assert_ready_err!(spawn(rig.stream.close_notify_with(b"bye")).poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::WriteZero));
    }
}

#[test]
fn a05_a_pending_flush_is_remembered() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_flush(Step::Block);
        assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
        // Dropped and called again, with everything written.
        let mut again = spawn(rig.stream.close_notify().no_deadline());
        assert_pending!(again.poll());
        rig.wire.unblock_flushes();
        assert!(again.is_woken());
        assert_ready_ok!(again.poll());
        drop(again);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a06_called_again_it_gives_the_same_answer_and_writes_nothing() {
    for case in CASES {
        let mut rig = Rig::new(case);
        for _ in 0..3 {
            let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            assert_eq!(state, ShutdownState::SENT);
        }
        rig.peer_closes();
        for _ in 0..3 {
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean());
            let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            assert_eq!(state, ShutdownState::COMPLETE);
        }
        assert_eq!(rig.wire.counts().reads, 1);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a07_after_our_fatal_alert_nothing_more_is_sent() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        let mut bad = forge.seal(forge::APPLICATION_DATA, b"bad");
        *bad.last_mut().unwrap() ^= 1;
        wire.feed(&bad);
        assert_ready_err!(spawn(stream.read(&mut [0; 1])).poll());
        // tokio-rustls has told the peer.
        let outbound = wire.take_outbound();
        assert_eq!(
            forge.open(&outbound),
            (forge::ALERT, vec![forge::FATAL, 20])
        );
        for _ in 0..2 {
            for error in [
                assert_ready_err!(spawn(stream.close_notify()).poll()),
                assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll()),
            ] {
                assert_eq!(tls_error(&error), Some(&rustls::Error::DecryptError));
            }
        }
        assert_eq!(wire.outbound_len(), 0);
    }
}

#[test]
fn a08_after_a_fatal_alert_of_the_peer_nothing_is_sent_and_nothing_is_waited_for() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        wire.feed(&forge.alert(forge::FATAL, forge::HANDSHAKE_FAILURE));
        assert_ready_err!(spawn(stream.read(&mut [0; 1])).poll());
        for _ in 0..2 {
            for error in [
                assert_ready_err!(spawn(stream.close_notify()).poll()),
                assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll()),
            ] {
                let expected =
                    rustls::Error::AlertReceived(rustls::AlertDescription::HandshakeFailure);
                assert_eq!(tls_error(&error), Some(&expected), "{error:?}");
                let ShutdownError::Tls(error) = error else {
                    unreachable!("it is one of rustls");
                };
                assert_eq!(error.alert(), Some(forge::HANDSHAKE_FAILURE));
            }
        }
        assert_eq!(wire.outbound_len(), 0);
    }
}

#[test]
fn a09_an_unfinished_handshake_is_an_error_and_sends_no_alert_in_the_clear() {
    for case in CASES {
        let Rig {
            mut stream, wire, ..
        } = Rig::new(case);
        match &mut stream {
            TlsStream::Client(stream) => {
                let config = case.client_config().into();
                let mut fresh = ClientConnection::new(config, pair::name()).unwrap();
                // Its ClientHello is sent and not answered.
                fresh.write_tls(&mut Vec::new()).unwrap();
                *stream.get_mut().1 = fresh;
            }
            TlsStream::Server(stream) => {
                let config = case.server_config().into();
                *stream.get_mut().1 = ServerConnection::new(config).unwrap();
            }
        }
        // With early data the handshake continues, and there is nothing to read.
        wire.at_end(Step::Zero);
        let errors = [
            assert_ready_err!(spawn(stream.close_notify()).poll()),
            assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll()),
        ];
        for error in errors {
            assert!(matches!(error, ShutdownError::Handshaking), "{error:?}");
        }
        let mut stream = GracefulStream::new(stream);
        let errors = [
            assert_ready_err!(spawn(stream.close_notify()).poll()),
            assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll()),
            assert_ready_err!(spawn(stream.close_notify_with(b"data")).poll()),
        ];
        for error in errors {
            assert!(matches!(error, ShutdownError::Handshaking), "{error:?}");
        }
        assert_ready_err!(spawn(stream.shutdown()).poll());
        drop(CloseOnDrop::new(stream));
        assert_eq!(wire.outbound_len(), 0);
    }
}

#[test]
fn a11_a_stray_write_on_a_plain_stream_does_not_poison_a_later_close() {
    for case in CASES {
        for blocked in [false, true] {
            let mut rig = Rig::new(case);
            assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            rig.peer.receive(&rig.wire.take_outbound());
            assert!(rig.peer.is_closed());
            if blocked {
                rig.wire.every_write(Step::Block);
            }
            // A plain stream does not know that it is closed, and takes it.
            assert_ready_ok!(spawn(rig.stream.write(b"stray data")).poll());
            rig.wire.take_outbound();
            rig.peer_closes();
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            if blocked {
                // Nor does it know that the data are behind the alert. They are sent as any others.
                assert_pending!(close.poll());
                rig.wire.unblock_writes();
                assert!(close.is_woken());
            }
            assert!(assert_ready_ok!(close.poll()).is_clean());
            drop(close);
            let written = records(&rig.wire.take_outbound()).len();
            assert_eq!(written, usize::from(blocked), "and no second alert");
        }
    }
}

const GONE: [ErrorKind; 4] = [
    ErrorKind::BrokenPipe,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::NotConnected,
];

#[test]
fn a13_a_peer_that_has_closed_cleanly_and_left_is_success() {
    for case in CASES {
        for kind in GONE {
            for unread in [false, true] {
                let mut rig = Rig::new(case);
                rig.peer_closes();
                rig.wire.every_write(Step::Fail(kind));
                if !unread {
                    assert_ready_ok!(spawn(rig.stream.read(&mut [0; 1])).poll());
                }
                let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                assert_eq!(state, ShutdownState::RECEIVED, "ours was not delivered");
                let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean());
            }
        }
    }
}

/// Polls a close that gives way to the reactor, and only as long as it may: a peer that is gone may
/// have left its close_notify in the socket.
fn until_undeliverable<F, T>(close: &mut Spawn<F>, kind: ErrorKind) -> ShutdownError
where
    F: Future<Output = Result<T, ShutdownError>>,
    T: std::fmt::Debug,
{
    let turns = if GONE.contains(&kind) { 128 } else { 0 };
    for _ in 0..turns {
        assert_pending!(close.poll());
        assert!(close.is_woken(), "it gives way, and waits for nothing");
    }
    assert_ready_err!(close.poll())
}

#[test]
fn a14_a_peer_that_has_not_closed_is_an_error_and_a_retry_makes_no_second_alert() {
    for case in CASES {
        for kind in GONE.into_iter().chain([ErrorKind::PermissionDenied]) {
            for taken in 0..case.alert_len() {
                let mut rig = Rig::new(case);
                if taken > 0 {
                    rig.wire.on_write([Step::Take(taken)]);
                }
                rig.wire.every_write(Step::Fail(kind));
                let error = until_undeliverable(&mut spawn(rig.stream.close_notify()), kind);
                assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == kind));
                let error =
                    until_undeliverable(&mut spawn(rig.stream.shutdown_bidirectional()), kind);
                assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == kind));
                assert_eq!(rig.wire.counts().writes, 2 + usize::from(taken > 0));
                rig.wire.unblock_writes();
                assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                rig.assert_wrote_and_closed(&[]);
            }
        }
    }
}

#[test]
fn a14_a_flush_that_fails_is_an_error_too() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.on_flush([Step::Fail(ErrorKind::BrokenPipe)]);
        let mut close = spawn(rig.stream.close_notify());
        let error = until_undeliverable(&mut close, ErrorKind::BrokenPipe);
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::BrokenPipe));
        drop(close);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.assert_wrote_and_closed(&[]);
    }
}

/// So many writes of one byte are queued, and the peer has closed or has not.
fn backlog(case: Case, count: usize, peer_closed: bool) -> Rig {
    let mut rig = Rig::new(case);
    rig.wire.every_write(Step::Block);
    for _ in 0..count {
        assert_ready_ok!(spawn(rig.stream.write_all(b"x")).poll());
    }
    if peer_closed {
        rig.peer_closes();
        assert_ready_ok!(spawn(rig.stream.read_to_end(&mut Vec::new())).poll());
    }
    rig
}

/// Calls with a new future each time: three times while the transport takes 100 bytes and blocks,
/// and once while it takes everything.
fn close_repeatedly(wire: &Wire, mut poll: impl FnMut() -> Poll<ShutdownState>) -> ShutdownState {
    for _ in 0..3 {
        wire.on_write([Step::Take(100), Step::Block]);
        let _ = poll();
    }
    wire.unblock_writes();
    assert_ready!(poll())
}

/// Around as many records as rustls shows at once, and around twice as many.
fn backlogs() -> impl Iterator<Item = usize> {
    [1].into_iter().chain(58..=68).chain(124..=130).chain([500])
}

#[test]
fn a01_queued_records_go_first_however_many_and_though_the_peer_has_closed() {
    for case in CASES {
        for count in backlogs() {
            for peer_closed in [false, true] {
                let expected = match peer_closed {
                    true => ShutdownState::COMPLETE,
                    false => ShutdownState::SENT,
                };
                let mut rig = backlog(case, count, peer_closed);
                let state = close_repeatedly(&rig.wire, || {
                    let close = rig.stream.close_notify().no_deadline();
                    spawn(close).poll().map(Result::unwrap)
                });
                assert_eq!(state, expected);
                rig.assert_wrote_and_closed(&vec![b'x'; count]);

                // What was queued before the stream was wrapped is not counted by it.
                for last in [&b""[..], b"bye"] {
                    let mut rig = backlog(case, count, peer_closed).map(GracefulStream::new);
                    let state = close_repeatedly(&rig.wire, || {
                        let close = rig.stream.close_notify_with(last).no_deadline();
                        spawn(close).poll().map(Result::unwrap)
                    });
                    assert_eq!(state, expected);
                    rig.assert_wrote_and_closed(&[&vec![b'x'; count], last].concat());
                }
            }
        }
    }
}

#[test]
fn a01_a_graceful_stream_of_tls_1_2_takes_no_write_while_more_is_queued_than_can_be_counted() {
    for case in CASES {
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.wire.every_write(Step::Block);
        let mut taken = 0;
        let mut write = spawn(async {
            while taken < 200 {
                rig.stream.write_all(b"x").await.unwrap();
                taken += 1;
            }
        });
        let mut poll = write.poll();
        assert_eq!(poll.is_ready(), case.is_tls13());
        rig.wire.unblock_writes();
        if poll.is_pending() {
            assert!(write.is_woken());
            poll = write.poll();
        }
        assert_ready!(poll);
        drop(write);
        assert_eq!(taken, 200);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.assert_wrote_and_closed(&[b'x'; 200]);

        // A close finds room.
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.wire.every_write(Step::Block);
        let mut taken = 0;
        while taken < 200 && spawn(rig.stream.write(b"x")).poll().is_ready() {
            taken += 1;
        }
        assert_eq!(taken, if case.is_tls13() { 200 } else { 62 });
        let state = close_repeatedly(&rig.wire, || {
            let close = rig.stream.close_notify_with(b"bye").no_deadline();
            spawn(close).poll().map(Result::unwrap)
        });
        assert_eq!(state, ShutdownState::SENT);
        rig.assert_wrote_and_closed(&[&vec![b'x'; taken], &b"bye"[..]].concat());
    }
}

#[test]
fn a15_the_last_data_and_the_alert_go_out_in_one_write() {
    for case in CASES {
        let mut rig = Rig::new(case).map(GracefulStream::new);
        let state = assert_ready_ok!(spawn(rig.stream.close_notify_with(b"bye")).poll());
        assert_eq!(state, ShutdownState::SENT);
        assert_eq!(rig.wire.counts().writes, 1);
        rig.assert_wrote_and_closed(b"bye");

        // What was blocked before goes with it.
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.wire.every_write(Step::Block);
        let before = [b'x'; 30_000];
        let taken = assert_ready_ok!(spawn(rig.stream.write(&before)).poll());
        assert_eq!(taken, before.len());
        rig.wire.unblock_writes();
        rig.wire.reset_counts();
        assert_ready_ok!(spawn(rig.stream.close_notify_with(b"bye")).poll());
        assert_eq!(rig.wire.counts().writes, 1);
        rig.assert_wrote_and_closed(&[&before[..], b"bye"].concat());
    }
}

#[test]
fn a15_a_buffer_limit_of_the_users_does_not_hold_the_last_data_back() {
    fn limited(case: Case, queued: &[u8]) -> Rig<GracefulStream<TlsStream<Scripted>>> {
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.wire.every_write(Step::Block);
        assert_ready_ok!(spawn(rig.stream.write(queued)).poll());
        match rig.stream.get_mut() {
            TlsStream::Client(tls) => tls.get_mut().1.set_buffer_limit(Some(10)),
            TlsStream::Server(tls) => tls.get_mut().1.set_buffer_limit(Some(10)),
        }
        rig.wire.unblock_writes();
        rig
    }

    for case in CASES {
        let mut rig = limited(case, b"what waits to be written");
        assert_ready_ok!(spawn(rig.stream.close_notify_with(b", bye")).poll());
        rig.assert_wrote_and_closed(b"what waits to be written, bye");

        // What waits may be as long as an alert.
        let mut rig = limited(case, b"ok");
        assert_ready_ok!(spawn(rig.stream.close_notify_with(b", bye")).poll());
        rig.assert_wrote_and_closed(b"ok, bye");
    }
}

#[test]
fn a15_last_data_of_any_length_is_sent_once_though_the_call_is_dropped_and_repeated() {
    for case in CASES {
        let data = vec![7; 300_000];
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.wire.on_write([Step::Take(100_000), Step::Block]);
        assert_pending!(spawn(rig.stream.close_notify_with(&data).no_deadline()).poll());
        rig.wire.on_write([Step::Take(100_000), Step::Block]);
        assert_pending!(spawn(rig.stream.close_notify_with(&data).no_deadline()).poll());
        rig.wire.on_write([Step::Take(100), Step::Block]);
        assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
        assert_ready_ok!(spawn(rig.stream.close_notify_with(&data)).poll());
        rig.assert_wrote_and_closed(&data);
    }
}

#[test]
fn a15_last_data_is_sent_once_wherever_a_repeated_call_finds_the_queue() {
    for case in CASES {
        // One that rustls takes as it is, and one that is longer than its buffer; behind a queue
        // that has room, and one that has not.
        for (data, before) in [(10, 0), (10, 1), (100_000, 0), (200_000, 1), (10, 70_000)] {
            for taken in [1, 10_000, 60_000, 65_000, 66_000, 150_000] {
                let mut rig = Rig::new(case).map(GracefulStream::new);
                rig.wire.every_write(Step::Block);
                let mut sent = vec![1; before];
                sent.truncate(assert_ready_ok!(spawn(rig.stream.write(&sent)).poll()));
                let data = vec![7; data];
                for step in [1, taken].into_iter().chain([1; 20]) {
                    rig.wire.on_write([Step::Take(step), Step::Block]);
                    let _ = spawn(rig.stream.close_notify_with(&data).no_deadline()).poll();
                }
                rig.wire.unblock_writes();
                assert_ready_ok!(spawn(rig.stream.close_notify_with(&data)).poll());
                sent.extend_from_slice(&data);
                rig.assert_wrote_and_closed(&sent);
            }
        }
    }
}

#[test]
fn a16_an_alert_that_rustls_has_queued_itself_is_flushed_and_not_repeated() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.stream.get_mut().1.send_close_notify();
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a17_a_fatal_alert_behind_our_close_notify_is_never_written() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        let mut bad = forge.seal(forge::APPLICATION_DATA, b"bad");
        *bad.last_mut().unwrap() ^= 1;
        wire.feed(&bad);
        for _ in 0..2 {
            assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
            assert_ready_err!(spawn(stream.close_notify()).poll());
        }
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn a17_no_renegotiation_behind_our_close_notify_is_never_written() {
    let case = Case::new(Version::Tls12, Role::Client);
    for taken in 0..=case.alert_len() {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        if taken > 0 {
            wire.on_write([Step::Take(taken)]);
        }
        wire.every_write(Step::Block);
        let hello_request = forge.seal(forge::HANDSHAKE, &[0, 0, 0, 0]);
        let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
        assert_pending!(close.poll());
        wire.feed(&hello_request);
        assert_pending!(close.poll());
        wire.unblock_writes();
        assert_pending!(close.poll());
        drop(close);
        wire.feed(&forge.close_notify());
        let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn each_stream_type_can_be_closed() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_closes();
        match &mut rig.stream {
            TlsStream::Client(stream) => {
                let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean() && stream.received_close_notify());
            }
            TlsStream::Server(stream) => {
                let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean() && stream.received_close_notify());
            }
        }
        assert!(rig.stream.received_close_notify());
        assert_eq!(records(&rig.wire.take_outbound()).len(), 1);
    }
}
