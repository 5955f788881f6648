//! `ClosePolicy::Linger`: what is drained, for how long, and for whom.

use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, split},
    task::yield_now,
    time::{Instant, sleep, timeout},
};
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{ClosePolicy, GracefulStream, PeerClose, tokio_rustls::TlsStream};

use crate::support::{CASES, Case, Rig, Scripted, Step, coop, forge, in_time};

const IDLE: Duration = Duration::from_secs(5);
const DEADLINE: Duration = Duration::from_secs(30);
const LIMIT: u64 = 100_000;

fn lingering<IO>(stream: TlsStream<IO>) -> GracefulStream<TlsStream<IO>>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let mut stream = GracefulStream::new(stream);
    stream.set_policy(ClosePolicy::Linger {
        idle: IDLE,
        deadline: DEADLINE,
        discard_limit: LIMIT,
    });
    stream
}

fn rig(case: Case) -> Rig<GracefulStream<TlsStream<Scripted>>> {
    Rig::new(case).map(lingering)
}

#[test]
fn the_usual_bounds_are_those_of_nginx() {
    assert_eq!(
        ClosePolicy::linger(),
        ClosePolicy::Linger {
            idle: IDLE,
            deadline: DEADLINE,
            discard_limit: 64 * 1024 * 1024,
        }
    );
}

/// A transport is not blocked because the task has spent its budget.
#[tokio::test]
async fn b13_a_bound_of_zero_counts_no_steps_of_the_task_before() {
    for case in CASES {
        for spent in [0, 127, coop::BUDGET] {
            let (ours, mut theirs) = case.duplex(4096).await;
            let mut ours = GracefulStream::new(ours);
            ours.set_policy(ClosePolicy::Linger {
                idle: Duration::ZERO,
                deadline: Duration::ZERO,
                discard_limit: 0,
            });
            yield_now().await;
            coop::spend(spent).await;
            ours.shutdown().await.unwrap();
            drop(ours);
            assert_eq!(
                theirs.read(&mut [0; 1]).await.unwrap(),
                0,
                "{case:?} {spent}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d03_unread_bytes_are_drained_after_the_fin_until_close_notify_or_the_end() {
    for case in CASES {
        for with_close_notify in [true, false] {
            let mut rig = rig(case);
            rig.peer_writes(&[7; 50_000]);
            let mut shutdown = spawn(rig.stream.shutdown());
            assert_pending!(shutdown.poll());
            assert_eq!(rig.wire.counts().shutdowns, 1, "the peer must not wait");
            assert_eq!(rig.wire.unread(), 0);
            rig.peer.write(&[7; 1000]);
            rig.wire.feed(&rig.peer.take_queue());
            assert!(shutdown.is_woken());
            assert_pending!(shutdown.poll());
            let peer = match with_close_notify {
                true => {
                    rig.peer.0.send_close_notify();
                    rig.wire.feed(&rig.peer.take_queue());
                    PeerClose::CloseNotify
                }
                false => {
                    rig.wire.at_end(Step::Zero);
                    PeerClose::Eof
                }
            };
            assert!(shutdown.is_woken());
            assert_ready_ok!(shutdown.poll());
            drop(shutdown);
            let closed = rig.stream.outcome().unwrap();
            assert_eq!((closed.peer(), closed.discarded()), (peer, 51_000));
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d04_a_peer_that_is_still_sending_is_not_cut_off_by_the_idle_time() {
    for case in CASES {
        let mut rig = rig(case);
        let begin = Instant::now();
        let feeder = async {
            for _ in 0..6 {
                sleep(IDLE - Duration::from_millis(500)).await;
                rig.peer.write(b"more");
                rig.wire.feed(&rig.peer.take_queue());
            }
            rig.peer.0.send_close_notify();
            rig.wire.feed(&rig.peer.take_queue());
        };
        let (_, result) = tokio::join!(feeder, rig.stream.shutdown());
        result.unwrap();
        assert!(begin.elapsed() > 5 * IDLE);
        let closed = rig.stream.outcome().unwrap();
        assert!(closed.is_clean());
        assert_eq!(closed.discarded(), 24);
    }
}

#[tokio::test(start_paused = true)]
async fn d04_a_silent_peer_ends_it_after_the_idle_time() {
    for case in CASES {
        let mut rig = rig(case);
        let begin = Instant::now();
        rig.stream.shutdown().await.unwrap();
        assert_eq!(begin.elapsed().as_secs(), IDLE.as_secs());
        assert_eq!(rig.stream.outcome().unwrap().peer(), PeerClose::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn d04_a_peer_that_drips_for_ever_is_ended_by_the_deadline() {
    for case in CASES {
        let mut rig = rig(case);
        let begin = Instant::now();
        let drip = async {
            loop {
                sleep(Duration::from_secs(1)).await;
                rig.peer.write(b".");
                rig.wire.feed(&rig.peer.take_queue());
            }
        };
        tokio::select! {
            () = drip => {}
            result = rig.stream.shutdown() => result.unwrap(),
        }
        assert_eq!(begin.elapsed().as_secs(), DEADLINE.as_secs());
        assert_eq!(rig.stream.outcome().unwrap().peer(), PeerClose::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn d04_a_policy_that_is_set_while_it_lingers_does_not_start_it_again() {
    for case in CASES {
        let mut rig = rig(case);
        let begin = Instant::now();
        for _ in 0..2 {
            let shutdown = timeout(IDLE * 2 / 3, rig.stream.shutdown());
            if shutdown.await.is_err() {
                rig.stream.set_policy(ClosePolicy::linger());
            }
        }
        assert_eq!(begin.elapsed().as_secs(), IDLE.as_secs());
        assert_eq!(rig.stream.outcome().unwrap().peer(), PeerClose::TimedOut);
    }
}

#[tokio::test(start_paused = true)]
async fn d04_a_peer_that_floods_is_ended_by_the_limit() {
    for case in CASES {
        let mut rig = rig(case);
        rig.peer_writes(&vec![7; 2 * usize::try_from(LIMIT).unwrap()]);
        let begin = Instant::now();
        rig.stream.shutdown().await.unwrap();
        assert_eq!(begin.elapsed(), Duration::ZERO);
        let closed = rig.stream.outcome().unwrap();
        assert_eq!(closed.peer(), PeerClose::DiscardLimit);
        // One record more than the limit, not all that came.
        assert!(closed.discarded() < LIMIT + 20_000, "{closed:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn b26_it_reads_while_the_alert_is_blocked_and_ends_at_the_deadline_all_the_same() {
    for case in CASES {
        let mut rig = rig(case);
        rig.wire.every_write(Step::Block);
        rig.peer_writes(&[7; 50_000]);
        let mut shutdown = spawn(rig.stream.shutdown());
        assert_pending!(shutdown.poll());
        assert_pending!(shutdown.poll());
        assert_eq!(rig.wire.unread(), 0);
        let begin = Instant::now();
        let error = shutdown.await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(begin.elapsed().as_secs(), DEADLINE.as_secs());
        assert_eq!(rig.wire.counts().shutdowns, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_while_it_lingers_gets_the_rest_and_ends_it() {
    for case in CASES {
        let rig = rig(case);
        let (wire, mut peer) = (rig.wire, rig.peer);
        let (mut reader, mut writer) = split(rig.stream);
        let mut shutdown = spawn(writer.shutdown());
        assert_pending!(shutdown.poll());
        let mut data = Vec::new();
        let mut read = spawn(reader.read_to_end(&mut data));
        assert_pending!(read.poll());
        assert!(shutdown.is_woken());
        assert_ready_ok!(shutdown.poll());
        peer.write(b"for the reader");
        peer.0.send_close_notify();
        wire.feed(&peer.take_queue());
        assert!(read.is_woken());
        assert_ready_ok!(read.poll());
        drop(read);
        assert_eq!(data, b"for the reader");
    }
}

#[tokio::test(start_paused = true)]
async fn f01_a_reader_that_was_there_before_is_asked_and_gets_all() {
    for case in CASES {
        let rig = rig(case);
        let (wire, mut peer) = (rig.wire, rig.peer);
        let (mut reader, mut writer) = split(rig.stream);
        let mut data = Vec::new();
        let mut read = spawn(reader.read_to_end(&mut data));
        assert_pending!(read.poll());
        let mut shutdown = spawn(writer.shutdown());
        assert_pending!(shutdown.poll());
        assert_eq!(wire.counts().shutdowns, 1, "the peer does not wait");
        assert!(read.is_woken());
        assert_pending!(read.poll());
        assert!(shutdown.is_woken());
        assert_ready_ok!(shutdown.poll());
        assert_eq!(wire.counts().shutdowns, 1);
        peer.write(b"for the reader");
        peer.0.send_close_notify();
        wire.feed(&peer.take_queue());
        assert!(read.is_woken());
        assert_ready_ok!(read.poll());
        drop(read);
        assert_eq!(data, b"for the reader");
    }
}

/// A read that is given up in another task leaves its waker behind.
async fn give_up_a_read<S>(mut stream: S) -> S
where
    S: AsyncRead + Send + Unpin + 'static,
{
    let read = async move {
        let read = timeout(Duration::from_millis(1), stream.read_u8()).await;
        assert!(read.is_err());
        stream
    };
    tokio::spawn(read).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn g13_a_reader_that_is_gone_is_asked_once_and_all_is_drained() {
    const ANSWERS_WITHIN: Duration = Duration::from_millis(100);
    for case in CASES {
        for blocked in [false, true] {
            let rig = rig(case);
            let (wire, mut peer) = (rig.wire, rig.peer);
            let mut stream = give_up_a_read(rig.stream).await;
            peer.write(&[7; 50_000]);
            peer.0.send_close_notify();
            wire.feed(&peer.take_queue());
            if blocked {
                // The peer reads when it has sent everything.
                wire.every_write(Step::Block);
            }
            let begin = Instant::now();
            let shutdown = async {
                stream.shutdown().await.unwrap();
            };
            let unblock = async {
                sleep(ANSWERS_WITHIN).await;
                sleep(Duration::from_millis(1)).await;
                assert_eq!(wire.unread(), 0, "{case:?}: nothing was drained");
                wire.unblock_writes();
            };
            match blocked {
                true => drop(tokio::join!(shutdown, unblock)),
                false => shutdown.await,
            }
            assert_eq!(wire.unread(), 0, "{case:?}: nothing was drained");
            assert!(begin.elapsed() >= ANSWERS_WITHIN);
            assert!(
                begin.elapsed() < 2 * ANSWERS_WITHIN,
                "{:?}",
                begin.elapsed()
            );
            let closed = stream.outcome().unwrap();
            assert_eq!((closed.discarded(), closed.is_clean()), (50_000, true));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g13_a_reader_in_another_task_gets_the_rest_though_the_alert_is_blocked() {
    for case in CASES {
        let rig = rig(case);
        let (wire, mut peer) = (rig.wire, rig.peer);
        let (mut reader, mut writer) = split(rig.stream);
        let read = tokio::spawn(async move {
            let mut data = Vec::new();
            reader.read_to_end(&mut data).await.unwrap();
            data
        });
        yield_now().await;
        wire.every_write(Step::Block);
        let shutdown = tokio::spawn(async move { writer.shutdown().await });
        sleep(Duration::from_secs(1)).await;
        peer.write(&[7; 50_000]);
        peer.0.send_close_notify();
        wire.feed(&peer.take_queue());
        let data = timeout(DEADLINE, read)
            .await
            .expect("the reader waits for ever");
        assert_eq!(data.unwrap().len(), 50_000, "{case:?}");
        wire.unblock_writes();
        shutdown.await.unwrap().unwrap();
        assert_eq!(wire.counts().shutdowns, 1);
    }
}

/// How the peer ends a drain.
type Ends = fn(&mut Rig<GracefulStream<TlsStream<Scripted>>>);

#[tokio::test(start_paused = true)]
async fn g14_a_second_shutdown_behind_late_data_says_the_same_and_waits_for_nothing() {
    for case in CASES {
        let ends: [(Ends, PeerClose); 4] = [
            (|_| {}, PeerClose::TimedOut),
            (Rig::peer_closes, PeerClose::CloseNotify),
            (|rig| rig.wire.at_end(Step::Zero), PeerClose::Eof),
            (
                |rig| rig.peer_writes(&[7; 150_000]),
                PeerClose::DiscardLimit,
            ),
        ];
        for (end, peer) in ends {
            let mut rig = rig(case);
            end(&mut rig);
            rig.stream.shutdown().await.unwrap();
            let outcome = rig.stream.outcome();
            assert_eq!(outcome.unwrap().peer(), peer);
            let reads = rig.wire.counts().reads;
            for _ in 0..3 {
                if peer != PeerClose::CloseNotify {
                    rig.peer_writes(b"late");
                }
                let begin = Instant::now();
                rig.stream.shutdown().await.unwrap();
                assert_eq!(begin.elapsed(), Duration::ZERO, "{peer:?}");
                assert_eq!(rig.stream.outcome(), outcome);
            }
            assert_eq!(rig.wire.counts().reads, reads, "{peer:?}");
            assert_eq!(rig.wire.counts().shutdowns, 1);
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_read_that_was_given_up_in_the_same_task_does_not_end_the_drain() {
    for case in CASES {
        let mut rig = rig(case);
        // As hyper does: a read that is pending, and a shutdown in the same task.
        let read = timeout(Duration::from_secs(1), rig.stream.read(&mut [0; 1])).await;
        assert!(read.is_err());
        let begin = Instant::now();
        let shutdown = timeout(DEADLINE, rig.stream.shutdown()).await;
        shutdown.expect("nothing wakes it").unwrap();
        assert_eq!(begin.elapsed().as_secs(), IDLE.as_secs());
    }
}

#[tokio::test(start_paused = true)]
async fn c02_dropped_while_it_lingers_it_goes_on_when_called_again() {
    for case in CASES {
        let mut rig = rig(case);
        for _ in 0..3 {
            let shutdown = timeout(Duration::from_secs(1), rig.stream.shutdown());
            assert!(shutdown.await.is_err());
        }
        rig.peer_writes(b"more");
        rig.peer_closes();
        rig.stream.shutdown().await.unwrap();
        let closed = rig.stream.outcome().unwrap();
        assert_eq!((closed.discarded(), closed.is_clean()), (4, true));
        assert_eq!(rig.wire.counts().shutdowns, 1);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[tokio::test(start_paused = true)]
async fn b20_a_bad_record_while_it_lingers_is_an_error_and_writes_nothing() {
    for case in CASES {
        let (mut stream, wire, mut forge) = rig(case).forge();
        let mut bad = forge.seal(forge::APPLICATION_DATA, b"bad");
        *bad.last_mut().unwrap() ^= 1;
        wire.feed(&bad);
        let error = stream.shutdown().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert_eq!(wire.counts().shutdowns, 1);
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[tokio::test(start_paused = true)]
async fn an_upload_of_any_length_is_drained_over_pipes_of_any_size() {
    for case in CASES {
        for pipe in [16, 4096, 65_536] {
            let (ours, mut theirs): (TlsStream<DuplexStream>, _) = case.duplex(pipe).await;
            let mut ours = lingering(ours);
            let upload = async {
                theirs.write_all(&[7; 90_000]).await.unwrap();
                theirs.shutdown().await.unwrap();
                let mut answer = Vec::new();
                theirs.read_to_end(&mut answer).await.unwrap();
                answer
            };
            let refuse = async {
                ours.write_all(b"too large").await.unwrap();
                ours.shutdown().await.unwrap();
                // As hyper does.
                let outcome = ours.outcome().unwrap();
                drop(ours);
                outcome
            };
            let (answer, outcome) = tokio::join!(upload, refuse);
            assert_eq!(answer, b"too large");
            assert_eq!((outcome.is_clean(), outcome.discarded()), (true, 90_000));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reader_whose_waker_panics_does_not_cost_the_drain() {
    struct Panics;

    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a panic on purpose");
        }
    }

    let panics = Waker::from(Arc::new(Panics));
    for case in CASES {
        let mut rig = rig(case);
        {
            let mut buf = [0];
            let mut read = pin!(rig.stream.read(&mut buf));
            let mut cx = Context::from_waker(&panics);
            assert!(read.as_mut().poll(&mut cx).is_pending());
        }
        let policy = rig.stream.policy();
        rig.stream.shutdown().await.unwrap();
        assert_eq!(rig.stream.policy(), policy);
        let outcome = rig.stream.outcome().unwrap();
        assert_eq!(outcome.peer(), PeerClose::TimedOut, "{case:?}");
    }
}

/// A bound of zero waits for nothing, whoever else reads.
#[tokio::test]
async fn a_bound_of_zero_ends_it_at_once_for_every_kind_of_reader() {
    const MAX: Duration = Duration::MAX;
    let bounds = [
        (Duration::ZERO, MAX),
        (MAX, Duration::ZERO),
        (Duration::ZERO, Duration::ZERO),
    ];
    for case in CASES {
        for (idle, deadline) in bounds {
            for discard_limit in [0, u64::MAX] {
                for reader in 0..4 {
                    let (ours, _theirs) = case.duplex(4096).await;
                    let mut ours = GracefulStream::new(ours);
                    ours.set_policy(ClosePolicy::Linger {
                        idle,
                        deadline,
                        discard_limit,
                    });
                    let what = format!("{case:?} {:?} {reader}", ours.policy());
                    let end = match reader {
                        0 => in_time(&what, ours.shutdown()).await,
                        1 => {
                            let mut ours = give_up_a_read(ours).await;
                            in_time(&what, ours.shutdown()).await
                        }
                        2 => {
                            let (mut read, mut write) = split(ours);
                            let read = tokio::spawn(async move { read.read_u8().await });
                            yield_now().await;
                            let end = in_time(&what, write.shutdown()).await;
                            read.abort();
                            end
                        }
                        _ => {
                            let (mut read, mut write) = split(ours);
                            let both = async {
                                tokio::select! {
                                    _ = read.read_u8() => panic!("nothing to read"),
                                    end = write.shutdown() => end,
                                }
                            };
                            in_time(&what, both).await
                        }
                    };
                    end.expect(&what);
                }
            }
        }
    }
}
