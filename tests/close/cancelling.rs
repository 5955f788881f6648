//! C: polling and cancelling.

use std::{
    future::poll_fn,
    io::ErrorKind,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::FusedFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime,
    sync::mpsc,
    time::{Instant, advance},
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseProgress, GracefulStream, PeerClose, ShutdownError, ShutdownExt, ShutdownState,
};

use crate::support::{CASES, Rig, Step, forge::APPLICATION_DATA, poll_while_woken};

#[test]
fn c01_dropped_with_the_alert_half_written_the_next_call_finishes_it() {
    for case in CASES {
        for first in 1..case.alert_len() {
            let mut rig = Rig::new(case);
            rig.wire.on_write([Step::Take(first), Step::Block]);
            assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
            rig.wire.on_write([Step::Take(1), Step::Block]);
            let _ = spawn(rig.stream.shutdown_bidirectional().no_deadline()).poll();
            assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn c01_dropped_after_every_single_poll_there_is_one_alert_behind_all_data() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        assert_ready_ok!(spawn(rig.stream.write_all(b"data of two bytes: ..")).poll());
        assert_ready_ok!(spawn(rig.stream.write_all(b"..")).poll());
        // One byte, then blocked, over and over.
        let steps = std::iter::repeat_n([Step::Take(1), Step::Block], 200).flatten();
        rig.wire.on_write(steps);
        rig.wire.every_flush(Step::Block);
        for _ in 0..200 {
            assert_pending!(spawn(rig.stream.shutdown_bidirectional().no_deadline()).poll());
        }
        rig.wire.unblock_flushes();
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.assert_wrote_and_closed(b"data of two bytes: ....");
    }
}

#[test]
fn c01_dropped_and_called_again_with_the_last_data_it_is_sent_once() {
    for case in CASES {
        // Of two bytes it is as long as an alert.
        for last in [&b"\r\n"[..], b"QUIT\r\n"] {
            let mut rig = Rig::new(case).map(GracefulStream::new);
            rig.wire.on_write(std::iter::repeat_n(Step::Block, 100));
            for _ in 0..100 {
                assert_pending!(spawn(rig.stream.close_notify_with(last).no_deadline()).poll());
            }
            assert_ready_ok!(spawn(rig.stream.close_notify_with(last)).poll());
            rig.assert_wrote_and_closed(last);
        }
    }
}

#[test]
fn c01_however_long_the_last_data_are_a_call_for_the_flush_does_not_send_them_again() {
    for case in CASES {
        for len in [1, 1021, 1022, 65_536, 2 << 20] {
            for peer_closed in [false, true] {
                let mut rig = Rig::new(case).map(GracefulStream::new);
                if peer_closed {
                    rig.peer_closes();
                    assert_ready_ok!(spawn(rig.stream.read_to_end(&mut Vec::new())).poll());
                }
                let last = vec![b'x'; len];
                rig.wire.on_flush([Step::Block, Step::Block]);
                for _ in 0..2 {
                    let close = rig.stream.close_notify_with(&last).no_deadline();
                    assert_pending!(spawn(close).poll());
                }
                for _ in 0..2 {
                    assert_ready_ok!(spawn(rig.stream.close_notify_with(&last)).poll());
                }
                let outbound = rig.wire.outbound_len();
                assert!(
                    outbound < len + len / 100 + 100,
                    "{outbound} bytes for {len}"
                );
                rig.assert_wrote_and_closed(&last);
            }
        }
    }
}

#[test]
fn c02_dropped_while_waiting_the_next_call_goes_on_waiting() {
    for case in CASES {
        let mut rig = Rig::new(case);
        for _ in 0..5 {
            assert_pending!(spawn(rig.stream.shutdown_bidirectional().no_deadline()).poll());
            rig.peer_writes(b"more");
        }
        rig.peer_closes();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        rig.assert_wrote_and_closed(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn c02_select_in_a_loop_finishes() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let mut ticks = tokio::time::interval(Duration::from_millis(10));
        let mut round = 0;
        let closed = loop {
            tokio::select! {
                biased;
                _ = ticks.tick() => {
                    round += 1;
                    match round {
                        10 => rig.wire.feed(&{ rig.peer.write(b"late"); rig.peer.take_queue() }),
                        20 => rig.wire.feed(&{
                            rig.peer.0.send_close_notify();
                            rig.peer.take_queue()
                        }),
                        _ => {}
                    }
                }
                closed = rig.stream.shutdown_bidirectional() => break closed.unwrap(),
            }
        };
        assert!(closed.is_clean() && round >= 20);
        rig.assert_wrote_and_closed(&[]);
    }
}

/// The three places where a close can block.
#[derive(Clone, Copy, Debug)]
enum Blocked {
    Write,
    Flush,
    Read,
}

#[test]
fn c03_the_newest_waker_counts_for_writing_flushing_and_reading() {
    for case in CASES {
        for blocked in [Blocked::Write, Blocked::Flush, Blocked::Read] {
            let mut rig = Rig::new(case);
            match blocked {
                Blocked::Write => rig.wire.every_write(Step::Block),
                Blocked::Flush => rig.wire.every_flush(Step::Block),
                Blocked::Read => {}
            }
            let mut progress = CloseProgress::new();
            let mut old = spawn(());
            let mut new = spawn(());
            let stream = &mut rig.stream;
            old.enter(|cx, _| {
                assert_pending!(stream.poll_shutdown_bidirectional(cx, &mut progress))
            });
            new.enter(|cx, _| {
                assert_pending!(stream.poll_shutdown_bidirectional(cx, &mut progress))
            });
            match blocked {
                Blocked::Write => rig.wire.unblock_writes(),
                Blocked::Flush => rig.wire.unblock_flushes(),
                Blocked::Read => rig.peer_closes(),
            }
            assert!(new.is_woken() && !old.is_woken(), "{blocked:?}");
        }
    }
}

#[test]
fn c04_the_poll_variants_answer_the_same_after_ready() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let mut progress = CloseProgress::new();
        answer_the_same(&mut rig, &mut progress);
        answer_the_same(&mut rig, &mut progress);
        rig.assert_wrote_and_closed(&[]);

        let mut rig = Rig::new(case).map(GracefulStream::new);
        let mut progress = CloseProgress::new();
        for _ in 0..3 {
            answer_the_same(&mut rig, &mut progress);
            let stream = &mut rig.stream;
            let close = poll_fn(|cx| stream.poll_close_notify_with(cx, b"", &mut progress));
            assert_eq!(
                assert_ready_ok!(spawn(close).poll()),
                ShutdownState::COMPLETE
            );
            let close = poll_fn(|cx| stream.poll_close_notify_with(cx, b"late", &mut progress));
            let error = assert_ready_err!(spawn(close).poll());
            assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::BrokenPipe));
        }
        rig.assert_wrote_and_closed(&[]);
    }
}

/// Closes with both poll variants while 6 bytes are unread, or after that.
fn answer_the_same<S: ShutdownExt>(rig: &mut Rig<S>, progress: &mut CloseProgress) {
    if progress.state() == ShutdownState::NONE {
        rig.peer_writes(b"unread");
        rig.peer_closes();
    }
    for _ in 0..3 {
        let stream = &mut rig.stream;
        let close = poll_fn(|cx| stream.poll_shutdown_bidirectional(cx, progress));
        let closed = assert_ready_ok!(spawn(close).poll());
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 6));
        let close = poll_fn(|cx| stream.poll_close_notify(cx, progress));
        assert_eq!(
            assert_ready_ok!(spawn(close).poll()),
            ShutdownState::COMPLETE
        );
    }
    assert_eq!(progress.state(), ShutdownState::COMPLETE);
}

#[test]
fn c04_the_poll_variants_repeat_an_error_and_continue_when_it_is_gone() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let mut progress = CloseProgress::new();
        rig.wire.on_write([Step::Take(3)]);
        rig.wire
            .every_write(Step::Fail(ErrorKind::PermissionDenied));
        for _ in 0..3 {
            let stream = &mut rig.stream;
            let close = poll_fn(|cx| stream.poll_close_notify(cx, &mut progress));
            let error = assert_ready_err!(spawn(close).poll());
            assert!(matches!(error, ShutdownError::Send(_)), "{error:?}");
        }
        rig.wire.unblock_writes();
        let stream = &mut rig.stream;
        let close = poll_fn(|cx| stream.poll_close_notify(cx, &mut progress));
        assert_ready_ok!(spawn(close).poll());
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn c04_the_futures_say_when_they_have_ended_and_can_be_polled_again() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let mut close = pin!(rig.stream.shutdown_bidirectional().no_deadline());
        assert_pending!(spawn(close.as_mut()).poll());
        assert!(!close.is_terminated());
        rig.wire.at_end(Step::Zero);
        for _ in 0..2 {
            let closed = assert_ready_ok!(spawn(close.as_mut()).poll());
            assert_eq!(closed.peer(), PeerClose::Eof);
            assert!(close.is_terminated());
        }
    }
}

#[test]
fn c05_without_a_timer_of_the_runtime() {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    for case in CASES {
        let mut rig = Rig::new(case);
        runtime.block_on(async {
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            assert_pending!(close.poll());
        });
        // A deadline is no trouble where nothing blocks, even without a runtime.
        rig.peer_closes();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
    }
}

#[test]
#[should_panic(expected = "timer")]
fn c05_a_deadline_that_has_to_be_waited_for_panics_without_a_timer_as_documented() {
    let runtime = runtime::Builder::new_current_thread().build().unwrap();
    let mut rig = Rig::new(CASES[0]);
    runtime.block_on(async {
        let _ = rig.stream.shutdown_bidirectional().await;
    });
}

#[test]
fn c06_a_zero_deadline_tries_to_send_and_waits_for_nothing() {
    for case in CASES {
        // Not even a timer is needed.
        let mut rig = Rig::new(case);
        let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
        let closed = assert_ready_ok!(spawn(close).poll());
        assert_eq!(closed.peer(), PeerClose::TimedOut);
        rig.assert_wrote_and_closed(&[]);

        // What has already arrived is taken.
        let mut rig = Rig::new(case);
        rig.peer_closes();
        let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
        assert!(assert_ready_ok!(spawn(close).poll()).is_clean());

        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
        let error = assert_ready_err!(spawn(close).poll());
        assert!(matches!(error, ShutdownError::SendTimedOut), "{error:?}");
        let close = rig.stream.close_notify().deadline(Duration::ZERO);
        let error = assert_ready_err!(spawn(close).poll());
        assert!(matches!(error, ShutdownError::SendTimedOut), "{error:?}");
    }
}

#[test]
fn g20_a_zero_deadline_takes_all_that_has_arrived() {
    for case in CASES {
        for size in [100_000, 1_000_000, 3_000_000] {
            for graceful in [false, true] {
                let mut rig = Rig::new(case);
                rig.peer_writes(&vec![7; size]);
                rig.peer_closes();
                let closed = match graceful {
                    true => {
                        let mut rig = rig.map(GracefulStream::new);
                        let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
                        assert_ready_ok!(poll_while_woken(&mut spawn(close)))
                    }
                    false => {
                        let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
                        assert_ready_ok!(poll_while_woken(&mut spawn(close)))
                    }
                };
                assert!(closed.is_clean(), "{size}: {closed:?}");
                assert_eq!(closed.discarded(), size as u64);
            }
            // And no more than has arrived.
            let mut rig = Rig::new(case);
            rig.peer_writes(&vec![7; size]);
            let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
            let closed = assert_ready_ok!(poll_while_woken(&mut spawn(close)));
            assert_eq!(closed.peer(), PeerClose::TimedOut);
            assert_eq!(closed.discarded(), size as u64);
        }
    }
}

/// Takes as much from a channel as tokio allows a task in one turn.
fn spend_budget(cx: &mut Context<'_>, full: &mut mpsc::UnboundedReceiver<()>) {
    while full.poll_recv(cx).is_ready() {}
}

#[tokio::test(start_paused = true)]
async fn g37_a_deadline_ends_closes_in_a_task_that_has_spent_its_budget() {
    for case in CASES {
        // Blocked where it waits, and where it sends.
        for blocked in [false, true] {
            let rigs: Vec<_> = (0..3).map(|_| Rig::new(case)).collect();
            let mut streams = Vec::new();
            let mut wires = Vec::new();
            for rig in rigs {
                if blocked {
                    rig.wire.every_write(Step::Block);
                }
                wires.push(rig.wire);
                streams.push(rig.stream);
            }
            let (sender, mut full) = mpsc::unbounded_channel();
            for _ in 0..100_000 {
                sender.send(()).unwrap();
            }
            let mut closes: Vec<_> = (streams.iter_mut())
                .map(|stream| Box::pin(stream.shutdown_bidirectional()))
                .collect();
            let mut ended = 0;
            for second in 0..6 {
                poll_fn(|cx| {
                    spend_budget(cx, &mut full);
                    for close in &mut closes {
                        if !close.is_terminated() && close.as_mut().poll(cx).is_ready() {
                            ended += 1;
                        }
                    }
                    Poll::Ready(())
                })
                .await;
                let expected = if second < 5 { 0 } else { 3 };
                assert_eq!(ended, expected, "{case:?} after {second} s");
                advance(Duration::from_secs(1)).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_five_seconds_unless_set_and_holds_for_the_whole_call() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let begin = Instant::now();
        let closed = rig.stream.shutdown_bidirectional().await.unwrap();
        assert_eq!(closed.peer(), PeerClose::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), 5);

        let begin = Instant::now();
        let seconds = Duration::from_secs(60);
        let close = rig.stream.shutdown_bidirectional().deadline(seconds);
        assert_eq!(close.await.unwrap().peer(), PeerClose::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), 60);

        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        let begin = Instant::now();
        let error = rig.stream.close_notify().await.unwrap_err();
        assert!(matches!(error, ShutdownError::SendTimedOut), "{error:?}");
        assert_eq!(begin.elapsed().as_secs(), 5);
    }
}

#[test]
fn c02_a_poll_variant_continues_after_the_application_has_read_from_the_middle_of_a_record() {
    for case in CASES {
        for cut in 1..10 {
            let (mut stream, wire, mut forge) = Rig::new(case).forge();
            let mut progress = CloseProgress::new();
            let data = [
                forge.seal(APPLICATION_DATA, b"discarded"),
                forge.seal(APPLICATION_DATA, b"data"),
            ];
            wire.feed(&data[0]);
            wire.feed(&data[1][..cut]);
            let close = poll_fn(|cx| stream.poll_shutdown_bidirectional(cx, &mut progress));
            assert_pending!(spawn(close).poll());

            wire.feed(&data[1][cut..]);
            let mut read = [0; 4];
            assert_ready_ok!(spawn(stream.read_exact(&mut read)).poll());
            assert_eq!(&read, b"data");

            wire.feed(&forge.close_notify());
            let close = poll_fn(|cx| stream.poll_shutdown_bidirectional(cx, &mut progress));
            assert!(assert_ready_ok!(spawn(close).poll(), "cut at {cut}").is_clean());
        }
    }
}
