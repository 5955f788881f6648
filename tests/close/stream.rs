//! `GracefulStream`: what it refuses, what it remembers, what it costs.

use std::{
    io::{self, ErrorKind},
    sync::Arc,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseOnDrop, ClosePolicy, GracefulAcceptor, GracefulConnector, GracefulStream, PeerClose,
    ShutdownError, ShutdownExt, ShutdownState,
    tokio_rustls::{TlsStream, client, server},
};

use crate::support::{
    CASES, Case, Forge, Rig, Role, Scripted, Step, Version, Wire, forge, pair, poll_while_woken,
};

type Graceful = GracefulStream<TlsStream<Scripted>>;

fn rig(case: Case) -> Rig<Graceful> {
    Rig::new(case).map(GracefulStream::new)
}

#[test]
fn costs_at_most_64_bytes() {
    let plain = size_of::<client::TlsStream<TcpStream>>();
    let graceful = size_of::<GracefulStream<client::TlsStream<TcpStream>>>();
    assert!(graceful <= plain + 64, "{graceful} > {plain} + 64");
}

#[test]
fn it_tells_its_policy() {
    let mut rig = rig(CASES[0]);
    assert_eq!(rig.stream.policy(), ClosePolicy::Notify);
    for policy in [
        ClosePolicy::Quiet,
        ClosePolicy::linger(),
        ClosePolicy::Notify,
        ClosePolicy::linger(),
        ClosePolicy::Quiet,
    ] {
        rig.stream.set_policy(policy);
        assert_eq!(rig.stream.policy(), policy);
    }
    for quiet in [false, true, false] {
        rig.stream.set_quiet_shutdown(quiet);
        assert_eq!(rig.stream.quiet_shutdown(), quiet);
    }
}

#[test]
fn a11_a_write_after_close_notify_is_a_broken_pipe_and_puts_nothing_on_the_wire() {
    for case in CASES {
        let mut rig = rig(case);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        let error = assert_ready_err!(spawn(rig.stream.write(b"late")).poll());
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        let late = [io::IoSlice::new(b"late")];
        let error = assert_ready_err!(spawn(rig.stream.write_vectored(&late)).poll());
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);

        rig.peer_closes();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a11_a_write_is_refused_from_the_first_poll_of_a_close_on() {
    for case in CASES {
        let mut rig = rig(case);
        rig.wire.every_write(Step::Block);
        assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
        assert_ready_err!(spawn(rig.stream.write(b"late")).poll());
        rig.wire.unblock_writes();
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.assert_wrote_and_closed(&[]);
    }
}

/// What closes our side, or counts as its close.
type Close = fn(&mut Graceful);

#[test]
fn a11_last_data_behind_close_notify_are_refused_and_nothing_is_sent() {
    const LATE: &[u8] = b"late";
    let refused = |stream: &mut Graceful| {
        for _ in 0..2 {
            let error = assert_ready_err!(spawn(stream.close_notify_with(LATE)).poll());
            let is_refused =
                matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::BrokenPipe);
            assert!(is_refused, "{error:?}");
        }
    };
    let closes: [Close; 5] = [
        |stream| {
            assert_ready_ok!(spawn(stream.close_notify()).poll());
        },
        |stream| assert_ready_ok!(spawn(stream.shutdown()).poll()),
        |stream| {
            assert_ready_ok!(spawn(stream.close_notify_with(b"")).poll());
        },
        |stream| assert_pending!(spawn(stream.shutdown_bidirectional().no_deadline()).poll()),
        |stream| stream.set_state(ShutdownState::SENT),
    ];
    for case in CASES {
        for (i, close) in closes.iter().enumerate() {
            let mut rig = rig(case);
            close(&mut rig.stream);
            refused(&mut rig.stream);
            // Without data it is the close that it was.
            let state = assert_ready_ok!(spawn(rig.stream.close_notify_with(b"")).poll());
            assert_eq!(state, ShutdownState::SENT);
            match i {
                4 => assert_eq!(rig.wire.outbound_len(), 0),
                _ => rig.assert_wrote_and_closed(&[]),
            }
        }
        // While the alert is on its way.
        for sent in 0..case.alert_len() {
            let mut rig = rig(case);
            rig.wire.set_room(sent);
            assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
            refused(&mut rig.stream);
            rig.wire.unblock_writes();
            assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            rig.assert_wrote_and_closed(&[]);
        }
        // Those of an earlier call are not late, however often it is repeated.
        let mut rig = rig(case);
        rig.wire.set_room(3);
        for _ in 0..2 {
            assert_pending!(spawn(rig.stream.close_notify_with(LATE).no_deadline()).poll());
        }
        rig.wire.unblock_writes();
        for _ in 0..2 {
            assert_ready_ok!(spawn(rig.stream.close_notify_with(LATE)).poll());
        }
        rig.assert_wrote_and_closed(LATE);
    }
}

#[test]
fn a12_a_flush_after_close_notify_is_ok_and_writes_nothing() {
    for case in CASES {
        let mut rig = rig(case);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.wire.reset_counts();
        assert_ready_ok!(spawn(rig.stream.flush()).poll());
        assert_eq!(rig.wire.counts().writes, 0);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a12_a_flush_after_close_notify_writes_nothing_that_a_read_has_queued_behind_it() {
    let case = Case::new(Version::Tls12, Role::Client);
    let (mut stream, wire, mut forge) = rig(case).forge();
    assert_ready_ok!(spawn(stream.close_notify()).poll());
    // rustls answers with no_renegotiation.
    wire.feed(&forge.seal(forge::HANDSHAKE, &[0, 0, 0, 0]));
    assert_pending!(spawn(stream.read(&mut [0; 8])).poll());
    assert_ready_ok!(spawn(stream.flush()).poll());
    forge.assert_only_close_notify(&wire.take_outbound());
}

#[test]
fn a12_a_flush_finishes_an_alert_that_is_half_written() {
    for case in CASES {
        let mut rig = rig(case);
        rig.wire.on_write([Step::Take(3), Step::Block]);
        assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
        assert_ready_ok!(spawn(rig.stream.flush()).poll());
        assert_eq!(rig.stream.state(), ShutdownState::SENT);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a13_a_peer_that_has_closed_and_left_is_no_error_for_shutdown() {
    for case in CASES {
        for kind in [
            ErrorKind::BrokenPipe,
            ErrorKind::ConnectionReset,
            ErrorKind::NotConnected,
        ] {
            let mut rig = rig(case);
            rig.peer_closes();
            assert_eq!(
                assert_ready_ok!(spawn(rig.stream.read(&mut [0; 1])).poll()),
                0
            );
            rig.wire.every_write(Step::Fail(kind));
            assert_ready_ok!(spawn(rig.stream.shutdown()).poll());
            assert_eq!(rig.stream.state(), ShutdownState::RECEIVED);
            assert_eq!(rig.wire.counts().shutdowns, 1);
        }
    }
}

#[test]
fn a14_the_fin_is_sent_even_if_the_alert_failed() {
    for case in CASES {
        for policy in [ClosePolicy::Notify, ClosePolicy::linger()] {
            let mut rig = rig(case);
            rig.stream.set_policy(policy);
            rig.wire.every_write(Step::Fail(ErrorKind::BrokenPipe));
            let error = assert_ready_err!(poll_while_woken(&mut spawn(rig.stream.shutdown())));
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            assert_eq!(rig.wire.counts().shutdowns, 1);
            assert_eq!(rig.stream.state(), ShutdownState::NONE);
            // The same answer again, and no second FIN.
            let error = assert_ready_err!(spawn(rig.stream.shutdown()).poll());
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
            assert_eq!(rig.wire.counts().shutdowns, 1);
        }
    }
}

/// Fails the session under it: by a bad record, or by a fatal alert of the peer.
fn fail(stream: &mut Graceful, wire: &Wire, forge: &mut Forge, by_alert: bool) {
    let mut record = match by_alert {
        true => forge.alert(forge::FATAL, forge::HANDSHAKE_FAILURE),
        false => forge.seal(forge::APPLICATION_DATA, b"bad"),
    };
    if !by_alert {
        *record.last_mut().unwrap() ^= 1;
    }
    wire.feed(&record);
    assert_ready_err!(spawn(stream.read(&mut [0; 1])).poll());
    // tokio-rustls has told the peer, if it was our alert.
    assert_eq!(wire.take_outbound().is_empty(), by_alert);
}

#[test]
fn a08_shutdown_sends_the_fin_alone_when_tls_has_failed() {
    for case in CASES {
        for by_alert in [false, true] {
            for policy in [ClosePolicy::Notify, ClosePolicy::linger()] {
                let (mut stream, wire, mut forge) = rig(case).forge();
                stream.set_policy(policy);
                fail(&mut stream, &wire, &mut forge, by_alert);
                for _ in 0..2 {
                    let error = assert_ready_err!(spawn(stream.shutdown()).poll());
                    assert_eq!(error.kind(), ErrorKind::InvalidData);
                }
                assert_eq!(wire.counts().shutdowns, 1);
                assert_eq!(stream.state(), ShutdownState::NONE);
                drop(CloseOnDrop::new(stream));
                assert_eq!(wire.outbound_len(), 0, "{case:?} {by_alert} {policy:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d02_alert_flush_fin_in_this_order_however_it_blocks() {
    let policies = [ClosePolicy::Notify, ClosePolicy::linger()];
    for (case, policy) in CASES
        .into_iter()
        .flat_map(|case| policies.map(|p| (case, p)))
    {
        let mut rig = rig(case);
        rig.stream.set_policy(policy);
        if policy != ClosePolicy::Notify {
            // So that there is nothing to wait for behind the FIN.
            rig.peer_closes();
        }
        rig.wire.on_write([Step::Take(1)]);
        rig.wire.every_write(Step::Block);
        rig.wire.every_flush(Step::Block);
        let mut shutdown = spawn(rig.stream.shutdown());
        assert_pending!(shutdown.poll());
        assert_eq!(rig.wire.counts().flushes, 0);
        rig.wire.unblock_writes();
        assert!(shutdown.is_woken());
        assert_pending!(shutdown.poll());
        assert!(rig.wire.counts().flushes > 0);
        assert_eq!(rig.wire.counts().shutdowns, 0);
        rig.wire.unblock_flushes();
        assert!(shutdown.is_woken());
        assert_ready_ok!(shutdown.poll());
        assert_eq!(rig.wire.counts().shutdowns, 1);
        let reads = usize::from(policy != ClosePolicy::Notify);
        assert_eq!(rig.wire.counts().reads, reads, "Notify only writes");
        drop(shutdown);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn shutdown_sends_one_alert_whatever_was_closed_before() {
    for case in CASES {
        let mut rig = rig(case);
        rig.peer_closes();
        assert_ready_ok!(spawn(rig.stream.write_all(b"data")).poll());
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        assert_ready_ok!(spawn(rig.stream.shutdown()).poll());
        assert_ready_ok!(spawn(rig.stream.shutdown()).poll());
        assert_eq!(rig.stream.state(), ShutdownState::COMPLETE);
        rig.assert_wrote_and_closed(b"data");
    }
}

#[test]
fn the_state_follows_what_was_exchanged() {
    for case in CASES {
        let mut rig = rig(case);
        assert_eq!(rig.stream.state(), ShutdownState::NONE);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        assert_eq!(rig.stream.state(), ShutdownState::SENT);
        assert_eq!(rig.stream.outcome(), None);
        rig.peer_writes(b"last");
        rig.peer_closes();
        let mut data = Vec::new();
        assert_ready_ok!(spawn(rig.stream.read_to_end(&mut data)).poll());
        assert_eq!(data, b"last");
        assert_eq!(rig.stream.state(), ShutdownState::COMPLETE);
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!(rig.stream.outcome(), Some(closed));
        assert!(closed.is_clean());
    }
}

#[test]
fn reading_goes_on_after_close_notify_by_every_way_to_read() {
    for case in CASES {
        let mut rig = rig(case);
        rig.wire.read_size(1);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        assert_pending!(spawn(rig.stream.read(&mut [0; 1])).poll());
        rig.peer_writes(b"one\ntwo\n");
        rig.peer_closes();
        let mut line = String::new();
        assert_ready_ok!(spawn(rig.stream.read_line(&mut line)).poll());
        let mut rest = String::new();
        assert_ready_ok!(spawn(rig.stream.read_to_string(&mut rest)).poll());
        assert_eq!((&*line, &*rest), ("one\n", "two\n"));
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a17_a_bad_record_read_after_close_notify_is_an_error_and_writes_nothing() {
    for case in CASES {
        for buffered in [false, true] {
            let (mut stream, wire, mut forge) = rig(case).forge();
            assert_ready_ok!(spawn(stream.close_notify()).poll());
            let good = forge.seal(forge::APPLICATION_DATA, b"good");
            let mut bad = forge.seal(forge::APPLICATION_DATA, b"bad");
            *bad.last_mut().unwrap() ^= 1;
            wire.feed(&[good, bad].concat());
            // What was whole before it is not lost.
            let mut data = vec![0; 4];
            let error = if buffered {
                data.clear();
                assert_ready_err!(spawn(stream.read_until(b'\n', &mut data)).poll())
            } else {
                assert_ready_ok!(spawn(stream.read_exact(&mut data)).poll());
                assert_ready_err!(spawn(stream.read(&mut [0; 4])).poll())
            };
            assert_eq!(data, b"good");
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
            assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
            assert_ready_err!(spawn(stream.shutdown()).poll());
            forge.assert_only_close_notify(&wire.take_outbound());
        }
    }
}

#[test]
fn b20_a_handshake_message_in_more_pieces_than_rustls_holds_ends_a_read_after_close_notify() {
    for case in CASES {
        let (mut stream, wire, mut forge) = rig(case).forge();
        assert_ready_ok!(spawn(stream.close_notify()).poll());
        wire.feed(&forge.seal(forge::HANDSHAKE, &[4, 0, 0xff, 0]));
        for _ in 0..5000 {
            wire.feed(&forge.seal(forge::HANDSHAKE, &[0]));
        }
        assert_ready_err!(spawn(stream.read(&mut [0; 4])).poll());
        let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn g21_a_reset_is_told_once_to_a_reader_and_then_the_stream_is_at_its_end() {
    for case in CASES {
        for kind in [
            ErrorKind::ConnectionReset,
            ErrorKind::ConnectionAborted,
            ErrorKind::BrokenPipe,
            ErrorKind::NotConnected,
        ] {
            for buffered in [false, true] {
                for closed in [false, true] {
                    let mut rig = rig(case);
                    if closed {
                        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                    }
                    rig.peer_writes(b"data");
                    rig.wire.at_end(Step::Fail(kind));
                    let mut read = || match buffered {
                        true => {
                            let len = assert_ready!(spawn(rig.stream.fill_buf()).poll())?.len();
                            rig.stream.consume(len);
                            Ok(len)
                        }
                        false => assert_ready!(spawn(rig.stream.read(&mut [0; 100])).poll()),
                    };
                    assert_eq!(read().unwrap(), 4);
                    let error: io::Error = read().unwrap_err();
                    assert_eq!(error.kind(), kind);
                    for _ in 0..3 {
                        assert_eq!(read().unwrap(), 0);
                    }
                }
            }
        }
    }
}

#[test]
fn g22_reads_through_the_wrapped_stream_may_alternate_with_reads_of_its_own() {
    for case in CASES {
        for closed in [false, true] {
            for cut in [1, 4, 5, 6, 10, 20] {
                let mut rig = rig(case);
                if closed {
                    assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                }
                rig.peer.write(b"first");
                let record = rig.peer.take_queue();
                let (begin, rest) = record.split_at(cut);
                rig.wire.feed(begin);
                assert_pending!(spawn(rig.stream.read_u8()).poll());
                rig.wire.feed(rest);
                let mut first = [0; 5];
                let read = spawn(rig.stream.get_mut().read_exact(&mut first)).poll();
                assert_ready_ok!(read, "{case:?} {cut}");
                assert_eq!(&first, b"first");
                rig.peer_writes(b"second");
                let mut second = [0; 6];
                assert_ready_ok!(spawn(rig.stream.read_exact(&mut second)).poll());
                assert_eq!(&second, b"second");
                rig.peer_closes();
                let ended = spawn(rig.stream.get_mut().read(&mut first)).poll();
                assert_eq!(assert_ready_ok!(ended), 0);
                let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean());
                rig.assert_wrote_and_closed(&[]);
            }
        }
    }
}

#[test]
fn a17_no_renegotiation_is_never_written_behind_close_notify_by_any_later_call() {
    let case = Case::new(Version::Tls12, Role::Client);
    let (mut stream, wire, mut forge) = rig(case).forge();
    wire.on_write([Step::Take(4), Step::Block]);
    assert_pending!(spawn(stream.shutdown_bidirectional().no_deadline()).poll());
    let hello_request = forge.seal(forge::HANDSHAKE, &[0, 0, 0, 0]);
    wire.feed(&hello_request);
    wire.every_write(Step::Block);
    assert_pending!(spawn(stream.shutdown_bidirectional().no_deadline()).poll());
    wire.unblock_writes();
    assert_pending!(spawn(stream.shutdown_bidirectional().no_deadline()).poll());
    assert_ready_ok!(spawn(stream.flush()).poll());
    assert_ready_ok!(spawn(stream.shutdown()).poll());
    // Nor by the owner of the wrapped stream.
    assert_ready_ok!(spawn(stream.into_inner().shutdown()).poll());
    forge.assert_only_close_notify(&wire.take_outbound());
}

#[test]
fn a_quiet_shutdown_sends_nothing_and_always_succeeds() {
    for case in CASES {
        let mut rig = rig(case);
        rig.stream.set_quiet_shutdown(true);
        assert!(rig.stream.quiet_shutdown());
        let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        assert_eq!(state, ShutdownState::COMPLETE);
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!(closed.peer(), PeerClose::Assumed);
        assert!(!closed.is_clean(), "the end is not authenticated");
        assert_ready_err!(spawn(rig.stream.write(b"late")).poll());
        assert_ready_ok!(spawn(rig.stream.shutdown()).poll());
        assert_eq!(rig.wire.counts().shutdowns, 1);
        assert_eq!(rig.wire.outbound_len(), 0);
        assert_eq!(rig.wire.counts().reads, 0);
    }
}

#[test]
fn a_quiet_shutdown_loses_nothing_that_was_written() {
    for case in CASES {
        for quiet_policy in [false, true] {
            let mut rig = rig(case);
            match quiet_policy {
                true => rig.stream.set_policy(ClosePolicy::Quiet),
                false => rig.stream.set_quiet_shutdown(true),
            }
            rig.wire.every_write(Step::Block);
            let n = assert_ready_ok!(spawn(rig.stream.write(b"data")).poll());
            let mut shutdown = spawn(rig.stream.shutdown());
            assert_pending!(shutdown.poll());
            rig.wire.unblock_writes();
            assert!(shutdown.is_woken());
            assert_ready_ok!(shutdown.poll());
            drop(shutdown);
            assert_eq!(rig.wire.counts().shutdowns, 1);
            assert_eq!(rig.peer.receive(&rig.wire.take_outbound()), b"data"[..n]);
            assert!(!rig.peer.is_closed());
        }
    }
}

#[test]
fn a_quiet_shutdown_refuses_last_data_instead_of_losing_it() {
    for case in CASES {
        let mut rig = rig(case);
        rig.stream.set_quiet_shutdown(true);
        let error = assert_ready_err!(spawn(rig.stream.close_notify_with(b"bye")).poll());
        assert_eq!(io::Error::from(error).kind(), ErrorKind::InvalidInput);
        assert_ready_ok!(spawn(rig.stream.write_all(b"bye")).poll());
    }
}

#[test]
fn set_state_only_adds() {
    for case in CASES {
        let mut rig = rig(case);
        rig.stream.set_state(ShutdownState::RECEIVED);
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!(closed.peer(), PeerClose::Assumed);
        rig.stream.set_state(ShutdownState::NONE);
        assert_eq!(rig.stream.state(), ShutdownState::COMPLETE);
        rig.assert_wrote_and_closed(&[]);
    }
    for case in CASES {
        let mut rig = rig(case);
        rig.stream.set_state(ShutdownState::SENT);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        assert_ready_err!(spawn(rig.stream.write(b"late")).poll());
        rig.peer_closes();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean(), "theirs has really come");
        assert_eq!(rig.wire.outbound_len(), 0);
    }
    // An alert that is on its way is finished all the same.
    for case in CASES {
        let mut rig = rig(case);
        rig.wire.on_write([Step::Take(1), Step::Block]);
        assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
        rig.stream.set_state(ShutdownState::SENT);
        assert_eq!(rig.stream.state(), ShutdownState::NONE);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn dropped_without_a_close_it_sends_nothing() {
    for case in CASES {
        let rig = rig(case);
        drop(rig.stream);
        assert_eq!(rig.wire.outbound_len(), 0);
        assert_eq!(rig.wire.counts().shutdowns, 0);
    }
}

#[test]
fn d09_a_transport_that_is_not_connected_is_closed_already() {
    for case in CASES {
        let mut rig = rig(case);
        rig.wire.on_shutdown(Step::Fail(ErrorKind::NotConnected));
        assert_ready_ok!(spawn(rig.stream.shutdown()).poll());
    }
    for case in CASES {
        let mut rig = rig(case);
        rig.wire
            .on_shutdown(Step::Fail(ErrorKind::PermissionDenied));
        let error = assert_ready_err!(spawn(rig.stream.shutdown()).poll());
        assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    }
}

#[test]
fn it_is_a_drop_in_for_all_three_stream_types() {
    fn is_drop_in<S>()
    where
        S: tokio::io::AsyncRead
            + tokio::io::AsyncBufRead
            + tokio::io::AsyncWrite
            + ShutdownExt
            + std::fmt::Debug
            + Send
            + Sync
            + Unpin,
    {
    }
    is_drop_in::<GracefulStream<client::TlsStream<TcpStream>>>();
    is_drop_in::<GracefulStream<server::TlsStream<TcpStream>>>();
    is_drop_in::<GracefulStream<TlsStream<TcpStream>>>();
    #[cfg(unix)]
    {
        fn has_fd<S: std::os::fd::AsFd + std::os::fd::AsRawFd>() {}
        has_fd::<GracefulStream<TlsStream<TcpStream>>>();
    }
}

#[test]
fn the_poll_variants_answer_the_same_again() {
    for case in CASES {
        let mut rig = rig(case);
        rig.peer_writes(b"unread");
        rig.peer_closes();
        let mut progress = tokio_tls_shutdown::CloseProgress::new();
        let mut poll = || {
            let stream = &mut rig.stream;
            let mut close = spawn(std::future::poll_fn(|cx| {
                stream.poll_shutdown_bidirectional(cx, &mut progress)
            }));
            assert_ready!(close.poll()).unwrap()
        };
        let closed = poll();
        assert_eq!((closed.discarded(), closed.is_clean()), (6, true));
        assert_eq!(poll(), closed);
    }
}

/// Code that takes either side gets all that is known of the close.
#[tokio::test]
async fn a_stream_of_one_side_becomes_one_of_either_side_and_keeps_its_close() {
    async fn close<S>(mut stream: GracefulStream<S>) -> GracefulStream<TlsStream<DuplexStream>>
    where
        GracefulStream<S>: ShutdownExt,
        GracefulStream<TlsStream<DuplexStream>>: From<GracefulStream<S>>,
    {
        stream.close_notify().await.unwrap();
        let mut either = GracefulStream::<TlsStream<DuplexStream>>::from(stream);
        assert_eq!(either.state(), ShutdownState::SENT);
        let error = either.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        either
    }

    for case in CASES {
        let (near, far) = duplex(4096);
        let connector = GracefulConnector::new(Arc::new(case.client_config()));
        let acceptor = GracefulAcceptor::new(Arc::new(case.server_config()));
        let name = pair::name();
        let (client, server) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        let _open = close(client.unwrap()).await;
        close(server.unwrap()).await;
    }
}
