//! A16, G2, G10: keys that are good for few records. A session of TLS 1.2 is closed by rustls itself
//! when they are used up, and rustls says `Ok` to what it drops; one of TLS 1.3 gets new keys.

use std::{
    io::{ErrorKind, IoSlice},
    task::Poll,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsStream;
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    Closed, GracefulStream, ShutdownError, ShutdownExt, ShutdownState, tokio_rustls,
};

use crate::support::{CASES, Case, Rig, Scripted, Step};

/// How much a record holds, at most.
const RECORD: usize = 16_384;

fn rig(case: Case, limit: u64) -> Rig {
    let (client, server) = case.short_lived(limit);
    Rig::with(case, client, server)
}

fn tls12() -> impl Iterator<Item = Case> {
    CASES.into_iter().filter(|case| !case.is_tls13())
}

/// How many records of application data the keys of TLS 1.2 are good for: one is spent on Finished.
fn capacity(limit: u64) -> usize {
    usize::try_from(limit).unwrap() - 1
}

/// What the transport does with writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Transport {
    TakesAll,
    TakesOneByte,
    /// Until it is told otherwise.
    Blocks,
    /// Takes this much, and then blocks.
    Takes(usize),
}

const TRANSPORTS: [Transport; 6] = [
    Transport::TakesAll,
    Transport::TakesOneByte,
    Transport::Blocks,
    Transport::Takes(1),
    Transport::Takes(31),
    Transport::Takes(100),
];

impl Transport {
    fn begin<S>(self, rig: &Rig<S>) {
        match self {
            Self::TakesAll => {}
            Self::TakesOneByte => rig.wire.every_write(Step::Take(1)),
            Self::Blocks => rig.wire.every_write(Step::Block),
            Self::Takes(bytes) => rig.wire.set_room(bytes),
        }
    }
}

/// How it is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Close {
    Notify,
    Bidirectional,
    Shutdown,
    /// With so many bytes of last data.
    With(usize),
}

const CLOSES: [Close; 8] = [
    Close::Notify,
    Close::Bidirectional,
    Close::Shutdown,
    Close::With(1),
    Close::With(RECORD),
    Close::With(RECORD + 1),
    Close::With(2 * RECORD),
    Close::With(3 * RECORD),
];

impl Close {
    fn last(self) -> Vec<u8> {
        match self {
            Self::With(len) => vec![b'y'; len],
            _ => Vec::new(),
        }
    }
}

/// Polls a close once. A bidirectional one does not wait for the peer.
fn poll_close(
    stream: &mut GracefulStream<TlsStream<Scripted>>,
    close: Close,
) -> Poll<Result<(), ShutdownError>> {
    match close {
        Close::Notify => {
            let close = stream.close_notify().no_deadline();
            spawn(close).poll().map_ok(assert_sent)
        }
        Close::With(_) => {
            let last = close.last();
            let close = stream.close_notify_with(&last).no_deadline();
            spawn(close).poll().map_ok(assert_sent)
        }
        Close::Bidirectional => {
            let poll = spawn(stream.shutdown_bidirectional().no_deadline()).poll();
            match poll {
                Poll::Pending if stream.state() == ShutdownState::SENT => Poll::Ready(Ok(())),
                poll => poll.map_ok(|_: Closed| unreachable!("the peer has not closed")),
            }
        }
        Close::Shutdown => {
            let poll = spawn(stream.shutdown()).poll();
            poll.map_err(|e| e.downcast().unwrap())
        }
    }
}

fn assert_sent(state: ShutdownState) {
    assert_eq!(state, ShutdownState::SENT);
}

/// Closes with a new future for each poll, and unblocks the transport in between.
fn close_at_last(
    rig: &mut Rig<GracefulStream<TlsStream<Scripted>>>,
    close: Close,
) -> Result<(), ShutdownError> {
    for _ in 0..3 {
        if let Poll::Ready(result) = poll_close(&mut rig.stream, close) {
            return result;
        }
    }
    rig.wire.unblock_writes();
    assert_ready!(poll_close(&mut rig.stream, close))
}

/// Writes one byte `count` times, and returns how many were taken.
#[track_caller]
fn write(rig: &mut Rig<GracefulStream<TlsStream<Scripted>>>, count: usize) -> usize {
    for written in 0..count {
        let poll = spawn(rig.stream.write(b"x")).poll();
        if let Poll::Ready(result) = poll {
            let Err(e) = result else { continue };
            assert_eq!(e.kind(), ErrorKind::BrokenPipe);
            return written;
        }
        panic!("the queue is short");
    }
    count
}

#[test]
fn g10_a_write_that_the_keys_are_not_good_for_is_a_broken_pipe_and_none_is_lost() {
    for case in tls12() {
        for limit in 1..=8 {
            for transport in TRANSPORTS {
                for close in CLOSES.into_iter().filter(|c| c.last().is_empty()) {
                    let context = format!("{case:?} {limit} {transport:?} {close:?}");
                    let mut rig = rig(case, limit).map(GracefulStream::new);
                    transport.begin(&rig);
                    let taken = write(&mut rig, 12);
                    assert_eq!(taken, capacity(limit), "{context}");
                    for _ in 0..3 {
                        let error = assert_ready_err!(spawn(rig.stream.write(b"x")).poll());
                        assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{context}");
                    }
                    close_at_last(&mut rig, close).expect(&context);
                    assert_eq!(rig.stream.state(), ShutdownState::SENT, "{context}");
                    let error = assert_ready_err!(spawn(rig.stream.write(b"x")).poll());
                    assert_eq!(error.kind(), ErrorKind::BrokenPipe, "{context}");
                    rig.assert_wrote_and_closed(&vec![b'x'; taken]);
                }
            }
        }
    }
}

#[test]
fn g10_a_write_of_several_records_is_taken_whole_or_refused() {
    for case in tls12() {
        for limit in 1..=8 {
            for len in [RECORD, RECORD + 1, 3 * RECORD] {
                for vectored in [false, true] {
                    let mut rig = rig(case, limit).map(GracefulStream::new);
                    let data = vec![b'x'; len];
                    let mut taken = 0;
                    loop {
                        let slices = [IoSlice::new(&data[..10]), IoSlice::new(&data[10..])];
                        let poll = match vectored {
                            true => spawn(rig.stream.write_vectored(&slices)).poll(),
                            false => spawn(rig.stream.write(&data)).poll(),
                        };
                        match assert_ready!(poll) {
                            Ok(n) => taken += n,
                            Err(e) => {
                                assert_eq!(e.kind(), ErrorKind::BrokenPipe);
                                break;
                            }
                        }
                    }
                    let writes = capacity(limit) / len.div_ceil(RECORD);
                    assert_eq!(taken, writes * len, "{case:?} {limit} {len}");
                    assert_eq!(rig.stream.state(), ShutdownState::SENT);
                    rig.assert_wrote_and_closed(&vec![b'x'; taken]);
                }
            }
        }
    }
}

#[test]
fn g10_the_close_of_rustls_is_sent_by_the_write_that_causes_it() {
    for case in tls12() {
        for limit in 1..=8 {
            let mut rig = rig(case, limit).map(GracefulStream::new);
            let taken = write(&mut rig, 12);
            // Without a call of the application.
            assert_eq!(rig.stream.state(), ShutdownState::SENT);
            rig.assert_wrote_and_closed(&vec![b'x'; taken]);
            // And nothing of it is on its way when the transport is flushed.
            assert_ready_ok!(spawn(rig.stream.flush()).poll());
            assert_eq!(rig.wire.outbound_len(), 0);
        }
    }
}

#[test]
fn g02_last_data_are_sent_whole_or_the_close_fails() {
    for case in tls12() {
        for limit in 1..=8 {
            for before in 0..=capacity(limit) {
                for transport in TRANSPORTS {
                    for close in CLOSES {
                        // Byte by byte it takes too long.
                        let is_short = close.last().len() < RECORD;
                        if is_short || transport != Transport::TakesOneByte {
                            last_data(case, limit, before, transport, close);
                        }
                    }
                }
            }
        }
    }
}

fn last_data(case: Case, limit: u64, before: usize, transport: Transport, close: Close) {
    let context = format!("{case:?} {limit}, {before} before, {transport:?} {close:?}");
    let mut rig = rig(case, limit).map(GracefulStream::new);
    transport.begin(&rig);
    assert_eq!(write(&mut rig, before), before, "{context}");
    let last = close.last();
    let all = [vec![b'x'; before], last.clone()].concat();
    let result = close_at_last(&mut rig, close);
    rig.wire.unblock_writes();
    if before + last.len().div_ceil(RECORD) <= capacity(limit) {
        result.expect(&context);
        rig.assert_wrote_and_closed(&all);
        return;
    }
    let error = result.expect_err(&context);
    assert!(
        matches!(error, ShutdownError::Tls(_)),
        "{context}: {error:?}"
    );
    // Not sent by a second call either, which must not say so.
    let again = spawn(rig.stream.close_notify_with(&last)).poll();
    assert!(matches!(again, Poll::Ready(Err(_))), "{context}: {again:?}");
    // The peer is still told that nothing follows.
    let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
    assert_eq!(state, ShutdownState::SENT, "{context}");
    // Nothing of the last data, rather than a part.
    rig.assert_wrote_and_closed(&all[..before]);
}

#[test]
fn a16_keys_that_are_used_up_are_closed_with_one_alert_on_a_plain_stream() {
    for case in tls12() {
        for limit in 1..=8 {
            for blocked in [false, true] {
                let mut rig = rig(case, limit);
                if blocked {
                    rig.wire.every_write(Step::Block);
                }
                // A plain stream says `Ok` to what rustls drops.
                for _ in 0..limit + 2 {
                    let _ = spawn(rig.stream.write(b"x")).poll();
                }
                let mut close = spawn(rig.stream.close_notify().no_deadline());
                if blocked {
                    assert_pending!(close.poll());
                    rig.wire.unblock_writes();
                }
                assert_eq!(assert_ready_ok!(close.poll()), ShutdownState::SENT);
                drop(close);
                rig.peer_closes();
                let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean());
                rig.assert_wrote_and_closed(&vec![b'x'; capacity(limit)]);
            }
        }
    }
}

/// Around as many records as rustls shows at once: more than that are written before the alert.
#[test]
fn g02_keys_that_are_used_up_within_a_long_queue_are_closed_with_one_alert() {
    for case in tls12() {
        for limit in (58..=68).chain(124..=131) {
            for before in [capacity(limit) - 2, capacity(limit) - 1, capacity(limit)] {
                for close in [Close::Notify, Close::With(1), Close::With(RECORD + 1)] {
                    // Queued before the stream was wrapped, which takes no more than 62.
                    let mut plain = rig(case, limit);
                    plain.wire.every_write(Step::Block);
                    for _ in 0..before {
                        assert_ready_ok!(spawn(plain.stream.write_all(b"x")).poll());
                    }
                    let mut rig = plain.map(GracefulStream::new);
                    let last = close.last();
                    let all = [vec![b'x'; before], last.clone()].concat();
                    let result = close_at_last(&mut rig, close);
                    let records = before + last.len().div_ceil(RECORD);
                    let sent = match records.checked_sub(capacity(limit)) {
                        None | Some(0) => {
                            result.unwrap();
                            all.len()
                        }
                        Some(_) => {
                            let error = result.unwrap_err();
                            assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
                            rig.wire.unblock_writes();
                            assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                            before
                        }
                    };
                    rig.assert_wrote_and_closed(&all[..sent]);
                }
            }
        }
    }
}

#[test]
fn g02_the_peer_may_answer_a_close_of_rustls_before_it_is_finished() {
    for case in tls12() {
        for limit in 1..=8 {
            let mut rig = rig(case, limit).map(GracefulStream::new);
            rig.wire.every_write(Step::Block);
            let taken = write(&mut rig, 12);
            rig.peer_writes(b"answer");
            rig.peer_closes();
            let mut answer = Vec::new();
            assert_ready_ok!(spawn(rig.stream.read_to_end(&mut answer)).poll());
            assert_eq!(answer, b"answer");
            rig.wire.unblock_writes();
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean() && closed.peer_closed_first());
            assert_eq!(rig.stream.state(), ShutdownState::COMPLETE);
            rig.assert_wrote_and_closed(&vec![b'x'; taken]);
        }
    }
}

#[test]
fn a16_new_keys_of_tls_1_3_go_in_front_of_the_alert() {
    for case in CASES.into_iter().filter(|case| case.is_tls13()) {
        for limit in 2..=8 {
            for before in (0..10).chain(58..=68) {
                for transport in [Transport::TakesAll, Transport::Blocks, Transport::Takes(31)] {
                    for close in [Close::Notify, Close::With(RECORD + 1), Close::Shutdown] {
                        let mut rig = rig(case, limit).map(GracefulStream::new);
                        transport.begin(&rig);
                        assert_eq!(write(&mut rig, before), before);
                        close_at_last(&mut rig, close).unwrap();
                        rig.assert_wrote_and_closed(&[vec![b'x'; before], close.last()].concat());
                    }
                }
            }
        }
    }
}
