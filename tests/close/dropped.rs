//! C1, C2: a call that is dropped at any poll, and any other call after it.

use std::{io::ErrorKind, iter, pin::Pin, task::Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsStream;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseProgress, GracefulStream, PeerStatus, ShutdownError, ShutdownExt, ShutdownState,
    tokio_rustls,
};

use crate::support::{CASES, Case, Rig, Scripted, Step, Wire, poll_while_woken};

type Plain = TlsStream<Scripted>;
type Graceful = GracefulStream<Plain>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Notify,
    Bidirectional,
    PeerClosed,
    Read,
    // Of a `GracefulStream`.
    With,
    Shutdown,
    Flush,
    Write,
}

const PLAIN: [Call; 4] = [
    Call::Notify,
    Call::Bidirectional,
    Call::PeerClosed,
    Call::Read,
];

const GRACEFUL: [Call; 8] = [
    Call::Notify,
    Call::Bidirectional,
    Call::PeerClosed,
    Call::Read,
    Call::With,
    Call::Shutdown,
    Call::Flush,
    Call::Write,
];

const BEFORE: &[u8] = b"what was written before";
const LAST: &[u8] = b", and the last data";
const LATE: &[u8] = b"more";

impl Call {
    /// Whether it closes our side.
    fn closes(self) -> bool {
        matches!(
            self,
            Self::Notify | Self::Bidirectional | Self::With | Self::Shutdown
        )
    }

    /// Whether it waits for the peer.
    fn waits(self) -> bool {
        matches!(self, Self::Bidirectional | Self::PeerClosed | Self::Read)
    }
}

/// A call under way, on either kind of stream.
type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn call<'a, S: ShutdownExt + AsyncRead + Unpin>(stream: &'a mut S, call: Call) -> Running<'a> {
    match call {
        Call::Notify => Box::pin(async {
            let state = stream.close_notify().no_deadline().await.unwrap();
            assert!(state.contains(ShutdownState::SENT));
        }),
        Call::Bidirectional => Box::pin(async {
            let closed = stream.shutdown_bidirectional().no_deadline().await.unwrap();
            assert!(closed.is_clean());
        }),
        Call::PeerClosed => Box::pin(async {
            let status = stream.peer_closed().await.unwrap();
            assert!(matches!(status, PeerStatus::Closed(_)));
        }),
        Call::Read => Box::pin(async {
            assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
        }),
        _ => unreachable!("a plain stream does not have it"),
    }
}

fn graceful_call(stream: &mut Graceful, what: Call) -> Running<'_> {
    match what {
        Call::With => Box::pin(async {
            // Sent, unless another call has closed before.
            match stream.close_notify_with(LAST).no_deadline().await {
                Ok(state) => assert!(state.contains(ShutdownState::SENT)),
                Err(ShutdownError::Send(e)) => assert_eq!(e.kind(), ErrorKind::BrokenPipe),
                Err(e) => panic!("{e:?}"),
            }
        }),
        Call::Shutdown => Box::pin(async { stream.shutdown().await.unwrap() }),
        Call::Flush => Box::pin(async { stream.flush().await.unwrap() }),
        Call::Write => Box::pin(async {
            // Taken as long as our side is open, and never behind the alert.
            if let Err(e) = stream.write_all(LATE).await {
                assert_eq!(e.kind(), ErrorKind::BrokenPipe);
            }
        }),
        other => call(stream, other),
    }
}

/// Which of the two calls were polled.
#[derive(Clone, Copy, Debug)]
struct Sequence {
    case: Case,
    first: Call,
    polls: usize,
    second: Call,
}

impl Sequence {
    fn polled(self) -> impl Iterator<Item = Call> {
        let first = (self.polls > 0).then_some(self.first);
        first.into_iter().chain([self.second])
    }

    /// What is written in front of the alert.
    fn expected(self) -> Vec<u8> {
        let mut data = BEFORE.to_vec();
        for call in self.polled() {
            match call {
                Call::Write => data.extend(LATE),
                Call::With => data.extend(LAST),
                _ => {}
            }
            if call.closes() {
                break;
            }
        }
        data
    }

    /// Returns `false` if the first call has ended within so many polls.
    fn run<S>(
        self,
        wrap: fn(Plain) -> S,
        call: for<'a> fn(&'a mut S, Call) -> Running<'a>,
        fin: bool,
    ) -> bool {
        let mut rig = Rig::new(self.case);
        rig.wire.every_write(Step::Block);
        assert_ready_ok!(spawn(rig.stream.write_all(BEFORE)).poll());
        // A few bytes, then blocked, over and over; and each flush is blocked once.
        let steps = iter::repeat_n([Step::Take(7), Step::Block], 1000).flatten();
        rig.wire.on_write(steps);
        rig.wire
            .on_flush(iter::repeat_n([Step::Block, Step::All], 10).flatten());
        let mut rig = rig.map(wrap);

        let mut first = spawn(call(&mut rig.stream, self.first));
        let has_ended = (0..self.polls).any(|_| first.poll().is_ready());
        drop(first);
        self.finish(&rig.wire, &mut spawn(call(&mut rig.stream, self.second)));

        // What has not closed our side is followed by something that has.
        if fin {
            self.finish(&rig.wire, &mut spawn(call(&mut rig.stream, Call::Shutdown)));
        }
        rig.peer_closes();
        let mut end = spawn(call(&mut rig.stream, Call::Bidirectional));
        assert_ready!(self.poll(&rig.wire, &mut end), "{self:?}");
        drop(end);
        let has_fin =
            fin || self.second == Call::Shutdown || has_ended && self.first == Call::Shutdown;
        assert_eq!(rig.wire.counts().shutdowns, usize::from(has_fin));
        rig.assert_wrote_and_closed(&self.expected());
        !has_ended
    }

    /// More polls than it takes, or as many as make no difference where it only waits.
    fn is_last(self) -> bool {
        self.polls >= if self.first.closes() { 30 } else { 3 }
    }

    /// Polls a call to its end, or to where it waits for the peer.
    fn finish(self, wire: &Wire, call: &mut tokio_test::task::Spawn<Running<'_>>) {
        let poll = self.poll(wire, call);
        assert!(poll.is_ready() || self.second.waits(), "{self:?}");
    }

    /// Polls for as long as the transport wakes the call.
    fn poll(self, wire: &Wire, call: &mut tokio_test::task::Spawn<Running<'_>>) -> Poll<()> {
        loop {
            let poll = call.poll();
            if poll.is_ready() {
                return poll;
            }
            wire.wake_writer();
            if !call.is_woken() {
                return Poll::Pending;
            }
        }
    }
}

#[test]
fn c01_whatever_is_dropped_at_any_poll_any_other_call_continues_on_a_plain_stream() {
    for case in CASES {
        for first in PLAIN {
            for second in PLAIN {
                for polls in 0.. {
                    let sequence = Sequence {
                        case,
                        first,
                        polls,
                        second,
                    };
                    if !sequence.run(|stream| stream, call, false) || sequence.is_last() {
                        break;
                    }
                }
            }
        }
    }
}

#[test]
fn c01_whatever_is_dropped_at_any_poll_any_other_call_continues_on_a_graceful_stream() {
    for case in CASES {
        for first in GRACEFUL {
            for second in GRACEFUL {
                for polls in 0.. {
                    let sequence = Sequence {
                        case,
                        first,
                        polls,
                        second,
                    };
                    let fin = polls % 2 == 0;
                    if !sequence.run(GracefulStream::new, graceful_call, fin) || sequence.is_last()
                    {
                        break;
                    }
                }
            }
        }
    }
}

/// As much as rustls queues waits to be written, and the peer's answer is cut.
fn backlog_and_cut_answer<S>(case: Case, cut: usize, same_progress: bool, wrap: fn(Plain) -> S)
where
    S: ShutdownExt + AsyncRead + Unpin,
{
    let mut rig = Rig::new(case);
    rig.wire.every_write(Step::Block);
    let data = vec![b'x'; 200_000];
    let taken = assert_ready_ok!(spawn(rig.stream.write(&data)).poll());
    let mut rig = rig.map(wrap);

    rig.peer.write(b"an answer");
    let record = rig.peer.take_queue();
    let (first, second) = record.split_at(cut);
    rig.wire.feed(first);
    let mut progress = CloseProgress::new();
    let stream = &mut rig.stream;
    let mut close = spawn(std::future::poll_fn(|cx| {
        stream.poll_shutdown_bidirectional(cx, &mut progress)
    }));
    assert_pending!(poll_while_woken(&mut close));
    drop(close);

    rig.wire.feed(second);
    let mut answer = [0; 9];
    assert_ready_ok!(spawn(rig.stream.read_exact(&mut answer)).poll());
    assert_eq!(&answer, b"an answer");

    rig.wire.unblock_writes();
    rig.peer_writes(b"and the end of it");
    rig.peer_closes();
    if !same_progress {
        progress = CloseProgress::new();
    }
    let stream = &mut rig.stream;
    let mut close = spawn(std::future::poll_fn(|cx| {
        stream.poll_shutdown_bidirectional(cx, &mut progress)
    }));
    let closed = assert_ready_ok!(poll_while_woken(&mut close), "{case:?} {cut}");
    drop(close);
    assert_eq!((closed.is_clean(), closed.discarded()), (true, 17));
    rig.assert_wrote_and_closed(&data[..taken]);
}

#[test]
fn g06_a_read_between_two_bidirectional_closes_finds_the_rest_of_a_record() {
    for case in CASES {
        for cut in [1, 4, 5, 6, 20, 30] {
            for same_progress in [false, true] {
                backlog_and_cut_answer(case, cut, same_progress, |stream| stream);
                backlog_and_cut_answer(case, cut, same_progress, GracefulStream::new);
            }
        }
    }
}

/// So many records of last data that rustls shows them and the alert at once, or does not.
#[test]
fn g03_last_data_are_sent_once_however_many_records_they_take() {
    for case in CASES {
        for records in (60..=66).chain(125..=129) {
            for peer_closed in [false, true] {
                for takes in [0, 100_000] {
                    let last = vec![b'z'; records * 16_384 - 7];
                    let mut rig = Rig::new(case).map(GracefulStream::new);
                    let mut expected = ShutdownState::SENT;
                    if peer_closed {
                        rig.peer_closes();
                        assert_ready_ok!(spawn(rig.stream.read_to_end(&mut Vec::new())).poll());
                        expected = ShutdownState::COMPLETE;
                    }
                    rig.wire.set_room(takes);
                    for _ in 0..2 {
                        let close = rig.stream.close_notify_with(&last).no_deadline();
                        assert_pending!(spawn(close).poll());
                    }
                    rig.wire.unblock_writes();
                    for _ in 0..2 {
                        let close = rig.stream.close_notify_with(&last);
                        assert_eq!(assert_ready_ok!(spawn(close).poll()), expected);
                    }
                    rig.assert_wrote_and_closed(&last);
                }
            }
        }
    }
}
