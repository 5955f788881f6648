//! F1 to F3, F5: split halves, `copy_bidirectional`, and `CloseOnDrop`.

use std::{
    cell::{Cell, RefCell},
    future::poll_fn,
    io::{self, ErrorKind},
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional, duplex, split},
    net::{TcpListener, TcpStream},
    runtime,
};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{CloseOnDrop, GracefulStream};

use crate::support::{CASES, Rig, Role, Step};

#[test]
fn f01_the_alert_goes_out_while_the_other_half_is_blocked_in_a_read() {
    for case in CASES {
        let rig = Rig::new(case).map(GracefulStream::new);
        let (wire, mut peer) = (rig.wire, rig.peer);
        let (mut reader, mut writer) = split(rig.stream);
        let mut data = Vec::new();
        let mut read = spawn(reader.read_to_end(&mut data));
        assert_pending!(read.poll());
        assert_ready_ok!(spawn(writer.shutdown()).poll());
        peer.receive(&wire.take_outbound());
        assert!(peer.is_closed());
        peer.write(b"data");
        peer.0.send_close_notify();
        wire.feed(&peer.take_queue());
        assert!(read.is_woken());
        assert_ready_ok!(read.poll());
        drop(read);
        assert_eq!(data, b"data");
    }
}

#[test]
fn f02_nothing_follows_the_alert_of_a_close_during_a_write() {
    let data: Vec<u8> = (0..300_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    for case in CASES {
        // Within a record, and so much that there is room for more when the close begins.
        for taken in [1, 100, 20_000, 150_000] {
            for write_goes_on_first in [true, false] {
                let mut rig = Rig::new(case).map(GracefulStream::new);
                rig.wire.on_write([Step::Take(taken)]);
                rig.wire.every_write(Step::Block);
                let stream = RefCell::new(&mut rig.stream);
                let accepted = Cell::new(0);
                let mut write = spawn(poll_fn(|cx| -> Poll<io::Result<()>> {
                    loop {
                        let (mut stream, rest) = (stream.borrow_mut(), &data[accepted.get()..]);
                        let n = ready!(Pin::new(&mut **stream).poll_write(cx, rest))?;
                        assert_ne!(n, 0);
                        accepted.set(accepted.get() + n);
                    }
                }));
                let mut shutdown = spawn(poll_fn(|cx| {
                    Pin::new(&mut **stream.borrow_mut()).poll_shutdown(cx)
                }));
                assert_pending!(write.poll());
                assert_pending!(shutdown.poll());
                // With early data in the queue it may take a client longer to begin.
                let mut poll = match write_goes_on_first {
                    true => write.poll(),
                    false => Poll::Pending,
                };
                let late = cfg!(feature = "early-data") && case.role == Role::Client;
                assert!(poll.is_ready() || late || !write_goes_on_first);
                rig.wire.unblock_writes();
                assert_ready_ok!(shutdown.poll());
                if poll.is_pending() {
                    poll = write.poll();
                }
                assert_eq!(assert_ready_err!(poll).kind(), ErrorKind::BrokenPipe);
                drop((write, shutdown));
                // What was taken before the close is whole, and nothing else is there.
                assert!((1..data.len()).contains(&accepted.get()));
                rig.assert_wrote_and_closed(&data[..accepted.get()]);
            }
        }
    }
}

/// One direction of a tunnel: a side says its piece, ends its direction, and hears the other out.
async fn talk(mut side: impl AsyncRead + AsyncWrite + Unpin, piece: &[u8]) -> Vec<u8> {
    let (mut reader, mut writer) = split(&mut side);
    let say = async {
        writer.write_all(piece).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let mut heard = Vec::new();
    let hear = async {
        reader.read_to_end(&mut heard).await.unwrap();
    };
    tokio::join!(say, hear);
    heard
}

#[tokio::test(start_paused = true)]
async fn f03_copy_bidirectional_loses_no_byte_in_either_direction() {
    for case in CASES {
        for pipe in [1, 16, 4096] {
            // More than the pipe and the buffers of rustls together, or as much as one byte at a
            // time allows.
            let bytes = if pipe < 4096 { 1000 } else { 100_000 };
            let (request, answer) = (vec![1; bytes], vec![2; bytes * 2]);
            // plaintext - tunnel - TLS - far end
            let (near, mut tunnel_near) = duplex(pipe);
            let (tunnel_far, far) = case.duplex(pipe).await;
            let mut tunnel_far = GracefulStream::new(tunnel_far);
            let tunnel = async {
                copy_bidirectional(&mut tunnel_near, &mut tunnel_far)
                    .await
                    .unwrap()
            };
            let (heard_near, heard_far, copied) = tokio::join!(
                talk(near, &request),
                talk(GracefulStream::new(far), &answer),
                tunnel,
            );
            assert!(heard_near == answer && heard_far == request);
            assert_eq!(copied, (bytes as u64, 2 * bytes as u64));
        }
    }
}

#[test]
fn f03_half_close_holds_wherever_the_transport_splits_and_blocks() {
    for case in CASES {
        for position in 1..2 * case.alert_len() {
            let rig = Rig::new(case).map(GracefulStream::new);
            let (wire, mut peer) = (rig.wire, rig.peer);
            wire.read_size(position);
            wire.on_write([Step::Take(position), Step::Block]);
            let (mut reader, mut writer) = split(rig.stream);
            let mut heard = Vec::new();
            let mut hear = spawn(reader.read_to_end(&mut heard));
            let mut say = spawn(async {
                writer.write_all(b"piece").await?;
                writer.shutdown().await
            });
            assert_pending!(hear.poll());
            if say.poll().is_pending() {
                wire.unblock_writes();
                assert!(say.is_woken());
                assert_ready_ok!(say.poll());
            }
            assert_eq!(peer.receive(&wire.take_outbound()), b"piece");
            assert!(peer.is_closed());
            peer.write(b"answer");
            peer.0.send_close_notify();
            wire.feed(&peer.take_queue());
            assert_ready_ok!(hear.poll());
            drop(hear);
            assert_eq!(heard, b"answer");
        }
    }
}

#[test]
fn f05_close_on_drop_sends_one_alert_without_a_runtime() {
    for case in CASES {
        let mut rig = Rig::new(case).map(CloseOnDrop::new);
        assert_ready_ok!(spawn(rig.stream.write_all(b"data")).poll());
        let mut rig = rig.map(drop);
        rig.assert_wrote_and_closed(b"data");
    }
    // A blocked transport gets one attempt.
    for case in CASES {
        let rig = Rig::new(case).map(CloseOnDrop::new);
        rig.wire.every_write(Step::Block);
        let rig = rig.map(drop);
        assert_eq!((rig.wire.counts().writes, rig.wire.outbound_len()), (1, 0));
    }
    // Closed, disarmed or panicking: nothing more.
    for case in CASES {
        let mut rig = Rig::new(case).map(CloseOnDrop::new);
        assert_ready_ok!(spawn(rig.stream.shutdown()).poll());
        rig.map(drop).assert_wrote_and_closed(&[]);

        let mut rig = Rig::new(case).map(CloseOnDrop::new);
        rig.stream.disarm();
        assert_eq!(rig.map(drop).wire.outbound_len(), 0);

        let rig = Rig::new(case).map(CloseOnDrop::new);
        let wire = rig.wire.clone();
        let unwound = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _stream = rig.stream;
            panic!("the handler fails");
        }));
        assert!(unwound.is_err());
        assert_eq!(wire.outbound_len(), 0);
    }
}

#[test]
fn f05_close_on_drop_while_a_runtime_ends_or_after_it_does_not_panic() {
    for case in CASES {
        for outlives in [true, false] {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            let (stream, peer) = runtime.block_on(async {
                let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
                let address = listener.local_addr().unwrap();
                let (ours, theirs) = tokio::join!(TcpStream::connect(address), listener.accept());
                case.pair(ours.unwrap(), theirs.unwrap().0).await
            });
            let stream = CloseOnDrop::new(stream);
            if outlives {
                drop(runtime);
                drop(stream);
            } else {
                // The task is dropped by the runtime, with the stream in it.
                runtime.spawn(async move {
                    let _stream = stream;
                    tokio::time::sleep(Duration::from_secs(3600)).await;
                });
                runtime.block_on(tokio::task::yield_now());
                drop(runtime);
            }
            drop(peer);
        }
    }
}
