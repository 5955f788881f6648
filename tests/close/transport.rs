//! D: the transport.

use std::{io::ErrorKind, time::Duration};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, duplex};
use tokio_test::{assert_pending, assert_ready, task::spawn};
use tokio_tls_shutdown::{
    GracefulStream, PeerClose, ShutdownError, ShutdownExt, ShutdownState, tokio_rustls::TlsStream,
};

use crate::support::{CASES, Case, Rig, Step, poll_while_woken};

/// One byte, less than an alert, less than what is written, and more.
const PIPES: [usize; 4] = [1, 16, 4096, 65_536];

type Tls = TlsStream<DuplexStream>;

#[tokio::test(start_paused = true)]
async fn d01_neither_call_closes_the_transport_however_it_ends() {
    for case in CASES {
        for end in [
            None,
            Some(PeerClose::CloseNotify),
            Some(PeerClose::Eof),
            Some(PeerClose::Reset),
            Some(PeerClose::DiscardLimit),
        ] {
            let mut rig = Rig::new(case).map(GracefulStream::new);
            rig.stream.close_notify().await.unwrap();
            match end {
                Some(PeerClose::CloseNotify) => rig.peer_closes(),
                Some(PeerClose::Eof) => rig.wire.at_end(Step::Zero),
                Some(PeerClose::Reset) => {
                    rig.wire.at_end(Step::Fail(ErrorKind::ConnectionReset));
                }
                Some(PeerClose::DiscardLimit) => rig.peer_writes(b"data"),
                _ => {}
            }
            let close = rig.stream.shutdown_bidirectional().discard_limit(0);
            let closed = close.await.unwrap();
            assert_eq!(closed.peer(), end.unwrap_or(PeerClose::TimedOut));
            assert_eq!(rig.wire.counts().shutdowns, 0);
            drop(rig.stream);
            assert_eq!(rig.wire.counts().shutdowns, 0);
        }
        for (write, flush) in [
            (Step::Fail(ErrorKind::BrokenPipe), Step::All),
            (Step::All, Step::Block),
        ] {
            let mut rig = Rig::new(case);
            rig.wire.every_write(write);
            rig.wire.every_flush(flush);
            rig.stream.close_notify().await.unwrap_err();
            rig.stream.shutdown_bidirectional().await.unwrap_err();
            assert_eq!(rig.wire.counts().shutdowns, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d01_the_transport_carries_other_bytes_both_ways_afterwards() {
    for case in CASES {
        for pipe in PIPES {
            let (mut ours, mut theirs) = case.duplex(pipe).await;
            close_both(&mut ours, &mut theirs, 0).await;
            let (ours, theirs) = (ours.get_mut().0, theirs.get_mut().0);
            let (mut ping, mut pong) = ([0; 4], [0; 4]);
            let (sent, got) = tokio::join!(ours.write_all(b"ping"), theirs.read_exact(&mut ping));
            assert!(sent.is_ok() && got.is_ok());
            let (sent, got) = tokio::join!(theirs.write_all(b"pong"), ours.read_exact(&mut pong));
            assert!(sent.is_ok() && got.is_ok());
            assert_eq!((&ping, &pong), (b"ping", b"pong"));
        }
    }
}

/// Closes both at once, and asserts that each has discarded so many bytes.
async fn close_both(ours: &mut Tls, theirs: &mut Tls, discarded: u64) {
    let (ours, theirs) = tokio::join!(
        ours.shutdown_bidirectional(),
        theirs.shutdown_bidirectional(),
    );
    for closed in [ours.unwrap(), theirs.unwrap()] {
        assert_eq!((closed.is_clean(), closed.discarded()), (true, discarded));
    }
}

#[tokio::test(start_paused = true)]
async fn b26_two_peers_with_full_buffers_close_at_once_over_pipes_of_any_size() {
    for case in CASES {
        for pipe in PIPES {
            let (mut ours, mut theirs) = case.duplex(pipe).await;
            ours.write_all(&[7; 40_000]).await.unwrap();
            theirs.write_all(&[7; 40_000]).await.unwrap();
            close_both(&mut ours, &mut theirs, 40_000).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_to_the_end_gets_all_before_the_close_is_clean() {
    for case in CASES {
        for pipe in PIPES {
            let (mut ours, mut theirs) = case.duplex(pipe).await;
            let data: Vec<u8> = (0..40_000_u32).map(|n| n.to_le_bytes()[0]).collect();
            let upload = async {
                ours.write_all(&data).await.unwrap();
                ours.shutdown_bidirectional().await.unwrap()
            };
            let reader = async {
                let mut got = Vec::new();
                theirs.read_to_end(&mut got).await.unwrap();
                // As an application does that does not know this crate.
                theirs.shutdown().await.unwrap();
                got
            };
            let (closed, got) = tokio::join!(upload, reader);
            assert!(closed.is_clean(), "{case:?} over {pipe}");
            assert!(got == data, "{} of {} bytes", got.len(), data.len());
        }
    }
}

/// TLS inside TLS: the outer stream of one side may be of any type.
type Nested<O> = (TlsStream<O>, TlsStream<O>);

/// Makes TLS inside TLS over a pipe of this many bytes.
async fn nested<O>(
    case: Case,
    pipe: usize,
    outer: fn(Tls) -> O,
    socket: fn(&mut O) -> &mut DuplexStream,
) -> Nested<O>
where
    O: AsyncRead + AsyncWrite + Unpin,
{
    let (ours, theirs) = case.duplex(65_536).await;
    let (mut ours, mut theirs) = case.pair(outer(ours), outer(theirs)).await;
    let (a, b) = duplex(pipe);
    *socket(ours.get_mut().0) = a;
    *socket(theirs.get_mut().0) = b;
    (ours, theirs)
}

async fn nested_graceful(case: Case, pipe: usize) -> Nested<GracefulStream<Tls>> {
    nested(case, pipe, GracefulStream::new, |outer| {
        outer.get_mut().get_mut().0
    })
    .await
}

async fn closes_from_the_inside_out<O>((mut ours, mut theirs): Nested<O>)
where
    O: ShutdownExt + AsyncRead + AsyncWrite + Unpin,
{
    ours.write_all(&[7; 2000]).await.unwrap();
    theirs.write_all(&[7; 2000]).await.unwrap();
    let (inner, inner_of_theirs) = tokio::join!(
        ours.shutdown_bidirectional(),
        theirs.shutdown_bidirectional(),
    );
    for closed in [inner.unwrap(), inner_of_theirs.unwrap()] {
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 2000));
    }
    let (ours, theirs) = (ours.get_mut().0, theirs.get_mut().0);
    assert!(!ours.received_close_notify(), "the outer one is open");
    let (outer, outer_of_theirs) = tokio::join!(
        ours.shutdown_bidirectional(),
        theirs.shutdown_bidirectional(),
    );
    for closed in [outer.unwrap(), outer_of_theirs.unwrap()] {
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 0));
    }
}

#[tokio::test(start_paused = true)]
async fn d08_tls_inside_tls_closes_from_the_inside_out() {
    for case in CASES {
        for pipe in PIPES {
            let plain = nested(case, pipe, |outer| outer, |outer| outer.get_mut().0);
            closes_from_the_inside_out(plain.await).await;
            closes_from_the_inside_out(nested_graceful(case, pipe).await).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d08_the_inner_close_waits_while_the_outer_stream_is_blocked_and_can_be_dropped() {
    for case in CASES {
        // Too small for the inner alert within a record of the outer.
        for pipe in [1, 16] {
            let (mut ours, mut theirs) = nested_graceful(case, pipe).await;
            for _ in 0..3 {
                assert_pending!(spawn(ours.close_notify().no_deadline()).poll());
            }
            assert_pending!(spawn(ours.shutdown_bidirectional().no_deadline()).poll());
            let mut data = Vec::new();
            let (state, end) = tokio::join!(ours.close_notify(), theirs.read_to_end(&mut data));
            assert_eq!((state.unwrap(), end.unwrap()), (ShutdownState::SENT, 0));

            let (closed, state) =
                tokio::join!(ours.shutdown_bidirectional(), theirs.close_notify());
            assert!(closed.unwrap().is_clean());
            assert_eq!(state.unwrap(), ShutdownState::COMPLETE);
            let (ours, theirs) = (ours.get_mut().0, theirs.get_mut().0);
            let (outer, outer_of_theirs) = tokio::join!(
                ours.shutdown_bidirectional(),
                theirs.shutdown_bidirectional()
            );
            assert!(outer.unwrap().is_clean() && outer_of_theirs.unwrap().is_clean());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d08_behind_the_close_of_the_outer_stream_the_inner_one_cannot_be_sent() {
    for case in CASES {
        for pipe in PIPES {
            let (mut ours, mut theirs) = nested_graceful(case, pipe).await;
            let outer = ours.get_mut().0;
            let blocked = spawn(outer.close_notify().no_deadline())
                .poll()
                .is_pending();
            assert_eq!(blocked, pipe <= 16);
            let close = ours.shutdown_bidirectional().deadline(Duration::ZERO);
            let error = assert_ready!(poll_while_woken(&mut spawn(close))).unwrap_err();
            let refused =
                matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::BrokenPipe);
            assert!(refused, "{error:?}");
            // The outer one is as good as ever.
            let (outer, theirs) = (ours.get_mut().0, theirs.get_mut().0);
            let (outer, outer_of_theirs) = tokio::join!(
                outer.shutdown_bidirectional(),
                theirs.shutdown_bidirectional()
            );
            for closed in [outer.unwrap(), outer_of_theirs.unwrap()] {
                assert_eq!((closed.is_clean(), closed.discarded()), (true, 0));
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn d08_the_end_of_the_outer_stream_is_no_clean_end_of_the_inner_one() {
    for case in CASES {
        for outer_is_clean in [true, false] {
            let (mut ours, mut theirs) = nested_graceful(case, 65_536).await;
            let outer = theirs.get_mut().0;
            match outer_is_clean {
                true => assert_eq!(outer.close_notify().await.unwrap(), ShutdownState::SENT),
                false => outer.get_mut().get_mut().0.shutdown().await.unwrap(),
            }
            let closed = ours.shutdown_bidirectional().await.unwrap();
            assert_eq!(closed.peer(), PeerClose::Eof);
        }
    }
}
