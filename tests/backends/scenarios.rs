//! What a close does, whatever the TLS library: a peer of rustls that moves when it is told, and
//! fails if anything follows our `close_notify`.

use std::{
    io::{self, ErrorKind},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWrite, AsyncWriteExt, duplex, split},
    net::{TcpListener, TcpStream},
};
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseOnDrop, CloseOutcome, ClosePolicy, CloseTracker, GracefulStream, PeerClose, PeerStatus,
    RecordAligned, Role as Side, ShutdownError, ShutdownExt, ShutdownState,
    is_missing_close_notify,
};

use crate::{
    library::Library,
    support::{
        CASES, Case, Peer, Rig, Role, Scripted, Step, Wire, forge, in_time, pair, poll_while_woken,
    },
};

/// Runs a scenario in all cases. Where an exception says that it does not hold, it must fail.
pub(crate) fn run<L: Library>(name: &str, scenario: impl Fn(Case)) {
    let runtime = runtime();
    // The clock of a deadline needs one, though none runs out.
    let _entered = runtime.enter();
    for case in CASES.into_iter().filter(|case| L::speaks(*case)) {
        let holds = catch_unwind(AssertUnwindSafe(|| scenario(case)));
        let exception = L::EXCEPTIONS
            .iter()
            .find(|(of, version, _)| *of == name && *version == case.version);
        match (holds, exception) {
            (Ok(()), None) | (Err(_), Some(_)) => {}
            (Ok(()), Some((.., why))) => panic!("{case:?} holds, but: {why}"),
            (Err(_), None) => panic!("{name} does not hold over {} in {case:?}", L::NAME),
        }
    }
}

/// A test of each scenario over each library.
macro_rules! scenarios {
    ($($scenario:ident),* $(,)?) => {
        for_each_library!(of_library: $($scenario)*);
    };
}

macro_rules! of_library {
    ($library:ident $Library:ident: $($scenario:ident)*) => {
        mod $library {
            use crate::libraries::$Library;

            $(
                #[test]
                fn $scenario() {
                    crate::scenarios::run::<$Library>(stringify!($scenario), super::$scenario::<$Library>);
                }
            )*
        }
    };
}

scenarios! {
    one_way,
    bidirectional,
    peer_ends_without_close_notify,
    peer_ends_without_close_notify_on_a_plain_stream,
    peer_stays_silent,
    peer_floods,
    both_with_full_buffers,
    half_close_and_read_on,
    dropped_at_every_await,
    bidirectional_dropped_at_every_await,
    abandoned_write,
    abandoned_write_on_a_plain_stream,
    nothing_behind_the_alert,
    bad_record,
    bad_record_behind_the_alert,
    write_behind_a_bad_record,
    fatal_alert,
    plaintext_behind_the_peers_alert,
    peer_closed_first,
    write_behind_the_peers_close,
    waits_for_the_peer,
    waits_for_the_peer_on_a_plain_stream,
    undeliverable,
    unanswered_key_updates,
    failing_transport,
    failing_write,
    last_data,
    quiet,
    unread_upload,
    drained,
    dropped,
    plain_stream,
    plain_stream_that_was_read,
    plain_stream_waits,
    two_tasks,
    role,
}

pub(crate) type Tls<L> = <L as Library>::Tls<Scripted>;

/// A plain stream and its peer: the handshake is done, and nothing is in flight.
pub(crate) fn plain<L: Library>(case: Case) -> Rig<Tls<L>> {
    let wire = Wire::default();
    let mut peer = Peer::new(case, case.client_config(), case.server_config());
    let stream = peer.shake_hands(&wire, L::open(case, wire.transport()));
    settle(Rig {
        case,
        stream,
        wire,
        peer,
    })
}

fn settle<S>(mut rig: Rig<S>) -> Rig<S> {
    rig.deliver();
    assert!(rig.peer.receive(&rig.wire.take_outbound()).is_empty());
    rig.wire.reset_counts();
    rig
}

pub(crate) fn rig<L: Library>(case: Case) -> Rig<GracefulStream<Tls<L>>> {
    plain::<L>(case).map(GracefulStream::new)
}

/// Runs `future` as far as it comes by itself.
pub(crate) fn now<F: Future>(future: F) -> Option<F::Output> {
    let mut task = spawn(future);
    match poll_while_woken(&mut task) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}

pub(crate) fn done<F: Future>(future: F) -> F::Output {
    now(future).expect("it waits")
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

/// Writes until the stream blocks. Returns how much it has taken.
fn fill<S: AsyncWrite + Unpin>(stream: &mut S, most: usize) -> usize {
    let mut taken = 0;
    while taken < most {
        match now(stream.write(&vec![7; most - taken])) {
            Some(written) => taken += written.unwrap(),
            None => break,
        }
    }
    taken
}

fn one_way<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    done(rig.stream.write_all(b"ping")).unwrap();
    for _ in 0..2 {
        assert_eq!(
            done(rig.stream.close_notify()).unwrap(),
            ShutdownState::SENT
        );
    }
    rig.assert_wrote_and_closed(b"ping");
    let write = done(rig.stream.write_all(b"more"));
    assert_eq!(write.unwrap_err().kind(), ErrorKind::BrokenPipe);
    done(rig.stream.flush()).unwrap();
    assert_eq!(rig.wire.outbound_len(), 0);
    assert_eq!(rig.wire.counts().shutdowns, 0);
    done(rig.stream.shutdown()).unwrap();
    assert_eq!(rig.wire.outbound_len(), 0);
    assert_eq!(rig.wire.counts().shutdowns, 1);
}

fn bidirectional<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.peer_writes(&[9; 30_000]);
    let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
    assert_pending!(poll_while_woken(&mut close));
    rig.peer.0.send_close_notify();
    rig.wire.feed(&rig.peer.take_queue());
    let closed = assert_ready_ok!(poll_while_woken(&mut close));
    drop(close);
    assert_eq!(
        (closed.peer(), closed.discarded()),
        (PeerClose::CloseNotify, 30_000)
    );
    assert!(closed.is_clean() && !closed.peer_closed_first());
    assert_eq!(rig.stream.state(), ShutdownState::COMPLETE);
    rig.assert_wrote_and_closed(b"");
    assert_eq!(rig.wire.counts().shutdowns, 0);
}

fn peer_ends_without_close_notify<L: Library>(case: Case) {
    let ends = [
        (Step::Zero, PeerClose::Eof),
        (Step::Fail(ErrorKind::ConnectionReset), PeerClose::Reset),
    ];
    for (end, expected) in ends {
        let mut rig = rig::<L>(case);
        rig.wire.at_end(end);
        let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
        assert_eq!(closed.peer(), expected);
        assert_eq!(rig.stream.state(), ShutdownState::SENT);

        let mut rig = self::rig::<L>(case);
        rig.peer_writes(b"half of it");
        rig.wire.at_end(end);
        let mut got = Vec::new();
        let read = done(rig.stream.read_to_end(&mut got)).unwrap_err();
        assert_eq!(got, b"half of it");
        assert_eq!(
            read.kind(),
            match expected {
                PeerClose::Eof => ErrorKind::UnexpectedEof,
                _ => ErrorKind::ConnectionReset,
            }
        );
        assert_eq!(is_missing_close_notify(&read), expected == PeerClose::Eof);
    }
}

/// The error is that of the library, if it has one.
fn peer_ends_without_close_notify_on_a_plain_stream<L: Library>(case: Case) {
    for (end, expected) in [
        (Step::Zero, PeerClose::Eof),
        (Step::Fail(ErrorKind::ConnectionReset), PeerClose::Reset),
    ] {
        let mut rig = plain::<L>(case);
        rig.peer_writes(b"half of it");
        rig.wire.at_end(end);
        let mut got = Vec::new();
        let read = done(rig.stream.read_to_end(&mut got));
        assert_eq!(got, b"half of it");
        if L::REPORTS_EOF || expected == PeerClose::Reset {
            let read = read.unwrap_err();
            let is_missing = expected == PeerClose::Eof;
            assert_eq!(is_missing_close_notify(&read), is_missing, "{read:?}");
            let wrapped = io::Error::new(read.kind(), read);
            assert_eq!(is_missing_close_notify(&wrapped), is_missing);
        } else {
            assert_eq!(read.unwrap(), 10);
        }
        assert!(!rig.stream.received_close_notify());
        let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
        assert_eq!(closed.peer(), expected);
    }

    let mut rig = plain::<L>(case);
    rig.wire
        .feed(&forge::plain_record(forge::APPLICATION_DATA, &[1; 40]));
    let failed = done(rig.stream.read(&mut [0; 9])).unwrap_err();
    assert!(!is_missing_close_notify(&failed), "{failed:?}");
}

fn peer_stays_silent<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    let close = rig.stream.shutdown_bidirectional().deadline(Duration::ZERO);
    assert_eq!(done(close).unwrap().peer(), PeerClose::TimedOut);
    assert_eq!(rig.stream.state(), ShutdownState::SENT);
    rig.assert_wrote_and_closed(b"");
}

fn peer_floods<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.peer_writes(&[9; 200_000]);
    let close = rig.stream.shutdown_bidirectional().discard_limit(100_000);
    let closed = done(close).unwrap();
    assert_eq!(closed.peer(), PeerClose::DiscardLimit);
    assert!(closed.discarded() > 100_000 && closed.discarded() < 140_000);
}

/// Both have queued 40 kB, and the pipe holds 4 KiB.
fn both_with_full_buffers<L: Library>(case: Case) {
    let paused = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    paused.block_on(async {
        let (ours, theirs) = duplex(4096);
        let other = Case::new(
            case.version,
            match case.role {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            },
        );
        let (ours, theirs) = tokio::join!(L::open(case, ours), L::open(other, theirs));
        let mut ours = GracefulStream::new(ours.unwrap());
        let mut theirs = GracefulStream::new(theirs.unwrap());
        assert_eq!(fill(&mut ours, 40_000), 40_000);
        assert_eq!(fill(&mut theirs, 40_000), 40_000);
        let (ours, theirs) = in_time("both close", async {
            tokio::join!(
                ours.shutdown_bidirectional(),
                theirs.shutdown_bidirectional()
            )
        })
        .await;
        for closed in [ours.unwrap(), theirs.unwrap()] {
            assert_eq!(
                (closed.peer(), closed.discarded()),
                (PeerClose::CloseNotify, 40_000)
            );
        }
    });
}

fn half_close_and_read_on<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    done(rig.stream.close_notify()).unwrap();
    rig.assert_wrote_and_closed(b"");
    rig.peer_writes(&[9; 50_000]);
    rig.peer_closes();
    let mut got = Vec::new();
    done(rig.stream.read_to_end(&mut got)).unwrap();
    assert_eq!(got, [9; 50_000]);
    assert_eq!(rig.stream.state(), ShutdownState::COMPLETE);
    assert_eq!(rig.wire.outbound_len(), 0);
}

/// How many bytes of our alert the transport takes before it blocks: every number over one library,
/// the ends and the middle over the others, which are closed by the same code.
fn rooms<L: Library>(case: Case) -> impl Iterator<Item = usize> {
    let last = case.alert_len();
    (0..=last)
        .filter(move |room| L::TRIES_EVERY_BYTE || [0, 1, 5, 17, last - 1, last].contains(room))
}

fn dropped_at_every_await<L: Library>(case: Case) {
    for room in rooms::<L>(case) {
        let mut rig = rig::<L>(case);
        rig.wire.set_room(room);
        rig.wire.every_flush(Step::Block);
        for _ in 0..3 {
            assert!(now(rig.stream.close_notify().no_deadline()).is_none());
            assert!(now(rig.stream.shutdown_bidirectional().no_deadline()).is_none());
            assert_eq!(rig.stream.state(), ShutdownState::NONE);
        }
        let at_once = done(rig.stream.close_notify().deadline(Duration::ZERO));
        assert!(
            matches!(at_once, Err(ShutdownError::SendTimedOut)),
            "{at_once:?}"
        );
        rig.wire.unblock_writes();
        assert!(now(rig.stream.close_notify().no_deadline()).is_none());
        rig.wire.unblock_flushes();
        assert_eq!(
            done(rig.stream.close_notify()).unwrap(),
            ShutdownState::SENT
        );
        assert!(now(rig.stream.shutdown_bidirectional().no_deadline()).is_none());
        rig.assert_wrote_and_closed(b"");
    }
}

fn bidirectional_dropped_at_every_await<L: Library>(case: Case) {
    for room in rooms::<L>(case).filter(|room| *room < case.alert_len()) {
        let mut rig = rig::<L>(case);
        rig.peer.write(&[9; 40_000]);
        rig.peer.0.send_close_notify();
        let arrives = rig.peer.take_queue();
        rig.wire.set_room(room);
        for piece in arrives.chunks(1 + arrives.len() / 10) {
            let close = rig.stream.shutdown_bidirectional().no_deadline();
            assert!(now(close).is_none());
            rig.wire.feed(piece);
        }
        rig.wire.unblock_writes();
        assert!(
            done(rig.stream.shutdown_bidirectional())
                .unwrap()
                .is_clean()
        );
        rig.assert_wrote_and_closed(b"");
    }
}

/// A write that is blocked and given up, in the middle of a record.
fn abandoned_write<L: Library>(case: Case) {
    for room in [1, 1000, 40_000] {
        let mut rig = rig::<L>(case);
        rig.wire.set_room(room);
        let taken = fill(&mut rig.stream, 1 << 20);
        assert!((60_000..300_000).contains(&taken), "{taken}");
        assert!(now(rig.stream.write(&[8; 100_000])).is_none());
        rig.wire.unblock_writes();
        assert_eq!(
            done(rig.stream.close_notify()).unwrap(),
            ShutdownState::SENT
        );
        rig.assert_wrote_and_closed(&vec![7; taken]);
    }
}

/// Over OpenSSL, the write has to be repeated first.
fn abandoned_write_on_a_plain_stream<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    rig.wire.set_room(1000);
    let mut taken = 0;
    // Until the library itself is blocked.
    while let Some(written) = now(rig.stream.write(&[7; 100_000])) {
        taken += written.unwrap();
        assert!(taken < 1 << 20, "it is not bounded");
    }
    rig.wire.unblock_writes();
    let close = done(rig.stream.close_notify());
    if L::REPEATS_WRITES {
        let Err(ShutdownError::Send(e)) = close else {
            panic!("{close:?}");
        };
        assert_eq!(e.kind(), ErrorKind::Other);
        done(rig.stream.write(&[7; 100_000])).unwrap();
        assert_eq!(
            done(rig.stream.close_notify()).unwrap(),
            ShutdownState::SENT
        );
    } else {
        assert_eq!(close.unwrap(), ShutdownState::SENT);
    }
    let outbound = rig.wire.take_outbound();
    assert!(rig.peer.receive(&outbound).iter().all(|byte| *byte == 7));
    assert!(rig.peer.is_closed());
}

/// The peer asks for new keys (TLS 1.3), and goes on with its own.
fn nothing_behind_the_alert<L: Library>(case: Case) {
    if case.is_tls13() {
        let mut rig = rig::<L>(case);
        done(rig.stream.close_notify()).unwrap();
        rig.assert_wrote_and_closed(b"");
        rig.peer.0.refresh_traffic_keys().unwrap();
        rig.peer_writes(b"with new keys");
        let mut got = [0; 13];
        done(rig.stream.read_exact(&mut got)).unwrap();
        assert_eq!(&got, b"with new keys");
        rig.peer_closes();
        assert!(
            done(rig.stream.shutdown_bidirectional())
                .unwrap()
                .is_clean()
        );
        assert_eq!(rig.wire.outbound_len(), 0);
    } else {
        // For another handshake.
        let (mut stream, wire, mut peer) = rig::<L>(case).forge();
        done(stream.close_notify()).unwrap();
        peer.assert_only_close_notify(&wire.take_outbound());
        wire.feed(&peer.seal(forge::HANDSHAKE, &forge::renegotiation(case.role)));
        let _ = now(stream.read(&mut [0; 9]));
        let _ = done(stream.shutdown_bidirectional().deadline(Duration::ZERO));
        assert_eq!(wire.outbound_len(), 0);
    }
}

/// Behind our alert no fatal one may follow.
fn bad_record_behind_the_alert<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    done(rig.stream.close_notify()).unwrap();
    rig.assert_wrote_and_closed(b"");
    rig.peer_writes(b"good");
    rig.wire
        .feed(&forge::plain_record(forge::APPLICATION_DATA, &[1; 40]));
    let mut got = Vec::new();
    let read = done(rig.stream.read_to_end(&mut got)).unwrap_err();
    assert_eq!(got, b"good");
    assert!(tls_error(&read).is_some(), "{read:?}");
    assert_eq!(rig.wire.outbound_len(), 0);
}

/// A close that meets it fails. What it sends before may be our alert, but nothing behind that.
fn bad_record<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.wire
        .feed(&forge::plain_record(forge::APPLICATION_DATA, &[1; 40]));
    let read = done(rig.stream.read(&mut [0; 9])).unwrap_err();
    assert!(tls_error(&read).is_some(), "{read:?}");
    rig.wire.take_outbound();
    for _ in 0..2 {
        let close = done(rig.stream.shutdown_bidirectional());
        assert!(matches!(close, Err(ShutdownError::Tls(_))), "{close:?}");
        let close = done(rig.stream.close_notify());
        assert!(matches!(close, Err(ShutdownError::Tls(_))), "{close:?}");
    }
    assert_eq!(rig.wire.outbound_len(), 0);
}

fn tls_error(error: &io::Error) -> Option<&tokio_tls_shutdown::TlsError> {
    match error.get_ref()?.downcast_ref()? {
        ShutdownError::Tls(e) => Some(e),
        _ => None,
    }
}

/// The alert that the library wants to send waits behind data. A write must not wait for ever.
fn write_behind_a_bad_record<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.wire.set_room(100);
    fill(&mut rig.stream, 200_000);
    rig.wire
        .feed(&forge::plain_record(forge::APPLICATION_DATA, &[1; 40]));
    done(rig.stream.read(&mut [0; 9])).unwrap_err();
    rig.wire.unblock_writes();
    done(rig.stream.write(b"data")).unwrap_err();
}

fn fatal_alert<L: Library>(case: Case) {
    let (mut stream, wire, mut peer) = rig::<L>(case).forge();
    wire.feed(&peer.alert(forge::FATAL, forge::HANDSHAKE_FAILURE));
    let error = done(stream.read(&mut [0; 9])).unwrap_err();
    let error = tls_error(&error).unwrap();
    assert_eq!(
        error.alert(),
        L::TELLS_ALERTS.then_some(forge::HANDSHAKE_FAILURE)
    );
    // Then nothing is sent.
    for _ in 0..2 {
        let close = done(stream.close_notify());
        assert!(matches!(close, Err(ShutdownError::Tls(_))), "{close:?}");
    }
    assert_eq!(wire.outbound_len(), 0);
}

fn plaintext_behind_the_peers_alert<L: Library>(case: Case) {
    let wire = Wire::default();
    let mut peer = Peer::new(case, case.client_config(), case.server_config());
    let io = RecordAligned::new(wire.transport());
    let stream = GracefulStream::new(peer.shake_hands(&wire, L::open(case, io)));
    let mut rig = settle(Rig {
        case,
        stream,
        wire,
        peer,
    });
    rig.peer.write(b"last");
    rig.peer.0.send_close_notify();
    let segment = [&rig.peer.take_queue()[..], b"plaintext follows"].concat();
    rig.wire.feed(&segment);
    let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
    assert_eq!(
        (closed.peer(), closed.discarded()),
        (PeerClose::CloseNotify, 4)
    );
    let Ok(mut transport) = L::into_transport(rig.stream) else {
        panic!("the transport is not given back");
    };
    let mut got = [0; 17];
    done(transport.read_exact(&mut got)).unwrap();
    assert_eq!(&got, b"plaintext follows");
    rig.wire.take_outbound();
    done(transport.write_all(b"so do we")).unwrap();
    assert_eq!(rig.wire.take_outbound(), b"so do we");
}

fn peer_closed_first<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.peer_writes(b"bye");
    rig.peer_closes();
    let mut got = Vec::new();
    done(rig.stream.read_to_end(&mut got)).unwrap();
    assert_eq!(got, b"bye");
    assert_eq!(rig.stream.state(), ShutdownState::RECEIVED);
    assert!(rig.stream.received_close_notify());
    done(rig.stream.write_all(b"you too")).unwrap();
    assert_eq!(
        done(rig.stream.close_notify()).unwrap(),
        ShutdownState::COMPLETE
    );
    let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
    assert!(closed.is_clean() && closed.peer_closed_first());
    rig.assert_wrote_and_closed(b"you too");
}

/// Whether the library still writes or not, its session has not failed.
fn write_behind_the_peers_close<L: Library>(case: Case) {
    let outcome = Arc::new(Mutex::new(None));
    let writer = outcome.clone();
    let tracker = CloseTracker::with_on_close(move |report| {
        *writer.lock().unwrap() = Some(report.outcome());
    });
    let mut rig = rig::<L>(case);
    rig.stream.track(&tracker);
    rig.peer_closes();
    assert_eq!(done(rig.stream.read(&mut [0; 9])).unwrap(), 0);
    let _ = done(rig.stream.write(b"you too"));
    drop(rig.stream);
    assert_eq!(*outcome.lock().unwrap(), Some(CloseOutcome::Dropped));
}

fn waits_for_the_peer<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    assert!(now(rig.stream.peer_closed()).is_none());
    rig.peer_writes(b"data");
    for _ in 0..2 {
        let status = done(rig.stream.peer_closed()).unwrap();
        assert_eq!(status, PeerStatus::Readable);
    }
    let mut got = [0; 4];
    done(rig.stream.read_exact(&mut got)).unwrap();
    assert_eq!(&got, b"data");
    assert!(now(rig.stream.peer_closed()).is_none());
    rig.peer_closes();
    let status = done(rig.stream.peer_closed()).unwrap();
    assert_eq!(status, PeerStatus::Closed(PeerClose::CloseNotify));
    assert_eq!(rig.wire.outbound_len(), 0);

    let mut rig = self::rig::<L>(case);
    rig.wire.at_end(Step::Zero);
    let status = done(rig.stream.peer_closed()).unwrap();
    assert_eq!(status, PeerStatus::Closed(PeerClose::Eof));
}

fn waits_for_the_peer_on_a_plain_stream<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    if !L::LOOKS_AHEAD {
        let status = done(rig.stream.peer_closed());
        let Err(ShutdownError::Receive(e)) = status else {
            panic!("{status:?}");
        };
        assert_eq!(e.kind(), ErrorKind::Unsupported);
        return;
    }
    assert!(now(rig.stream.peer_closed()).is_none());
    rig.peer_writes(b"data");
    assert_eq!(
        done(rig.stream.peer_closed()).unwrap(),
        PeerStatus::Readable
    );
    let mut got = [0; 4];
    done(rig.stream.read_exact(&mut got)).unwrap();
    assert_eq!(&got, b"data");
    assert!(!rig.stream.received_close_notify());
    rig.peer_closes();
    let status = done(rig.stream.peer_closed()).unwrap();
    assert_eq!(status, PeerStatus::Closed(PeerClose::CloseNotify));
    assert!(rig.stream.received_close_notify());
}

/// Our write fails because the peer has left: its `close_notify` counts if it is there.
fn undeliverable<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.peer_closes();
    rig.wire.every_write(Step::Fail(ErrorKind::BrokenPipe));
    let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
    assert_eq!(closed.peer(), PeerClose::CloseNotify);
    assert_eq!(
        done(rig.stream.close_notify()).unwrap(),
        ShutdownState::RECEIVED
    );

    let mut rig = self::rig::<L>(case);
    rig.wire.every_write(Step::Fail(ErrorKind::BrokenPipe));
    rig.wire.at_end(Step::Fail(ErrorKind::ConnectionReset));
    let close = done(rig.stream.shutdown_bidirectional());
    let Err(ShutdownError::Send(e)) = close else {
        panic!("{close:?}");
    };
    assert_eq!(e.kind(), ErrorKind::BrokenPipe);
}

/// The library has to answer a peer that has left: what that had sent is there all the same.
fn unanswered_key_updates<L: Library>(case: Case) {
    if !case.is_tls13() {
        return;
    }
    for updates in 1..4 {
        let mut rig = rig::<L>(case);
        rig.wire.every_write(Step::Fail(ErrorKind::BrokenPipe));
        for _ in 0..updates {
            rig.peer.0.refresh_traffic_keys().unwrap();
            rig.peer_writes(b"more");
        }
        rig.peer_closes();
        rig.wire.at_end(Step::Zero);
        let mut got = Vec::new();
        done(rig.stream.read_to_end(&mut got)).unwrap();
        assert_eq!(got, b"more".repeat(updates));
        // Who writes is told.
        let written = done(async {
            rig.stream.write_all(b"data").await?;
            rig.stream.flush().await
        });
        written.unwrap_err();
    }
}

/// A failure that has nothing to do with the peer.
fn failing_transport<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.wire.at_end(Step::Fail(ErrorKind::OutOfMemory));
    let close = done(rig.stream.shutdown_bidirectional());
    let Err(ShutdownError::Receive(e)) = close else {
        panic!("{close:?}");
    };
    assert_eq!(e.kind(), ErrorKind::OutOfMemory);

    let mut rig = self::rig::<L>(case);
    rig.wire.on_write([Step::Fail(ErrorKind::OutOfMemory)]);
    let close = done(rig.stream.close_notify());
    let Err(ShutdownError::Send(e)) = close else {
        panic!("{close:?}");
    };
    assert_eq!(e.kind(), ErrorKind::OutOfMemory);
    // The same bytes again, and no second alert.
    assert_eq!(
        done(rig.stream.close_notify()).unwrap(),
        ShutdownState::SENT
    );
    rig.assert_wrote_and_closed(b"");
}

/// A write that has returned may fail later: then the next call says so. That is no failure of TLS.
fn failing_write<L: Library>(case: Case) {
    let outcome = Arc::new(Mutex::new(None));
    let writer = outcome.clone();
    let tracker = CloseTracker::with_on_close(move |report| {
        *writer.lock().unwrap() = Some(report.outcome());
    });
    let mut rig = rig::<L>(case);
    rig.stream.track(&tracker);
    rig.wire.on_write([Step::Fail(ErrorKind::OutOfMemory)]);
    let written = done(async {
        rig.stream.write_all(b"data").await?;
        rig.stream.flush().await
    });
    assert_eq!(written.unwrap_err().kind(), ErrorKind::OutOfMemory);
    drop(rig.stream);
    assert_eq!(*outcome.lock().unwrap(), Some(CloseOutcome::Dropped));
}

fn last_data<L: Library>(case: Case) {
    for len in [1, 100, 100_000] {
        let mut rig = rig::<L>(case);
        let data = vec![5; len];
        let state = done(rig.stream.close_notify_with(&data)).unwrap();
        assert_eq!(state, ShutdownState::SENT);
        assert!(len > 60_000 || rig.wire.counts().writes == 1);
        rig.assert_wrote_and_closed(&data);

        // Dropped and called again, nothing is sent twice.
        let mut rig = self::rig::<L>(case);
        rig.wire.set_room(7);
        assert!(now(rig.stream.close_notify_with(&data).no_deadline()).is_none());
        rig.wire.unblock_writes();
        done(rig.stream.close_notify_with(&data)).unwrap();
        rig.assert_wrote_and_closed(&data);
    }
}

fn quiet<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.stream.set_quiet_shutdown(true);
    let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
    assert_eq!(closed.peer(), PeerClose::Assumed);
    done(rig.stream.shutdown()).unwrap();
    assert_eq!(
        (rig.wire.outbound_len(), rig.wire.counts().shutdowns),
        (0, 1)
    );
}

/// A server that answers before it has read the request, over TCP.
fn unread_upload<L: Library>(case: Case) {
    runtime().block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (theirs, ours) = tokio::join!(TcpStream::connect(address), listener.accept());
        let (theirs, ours) = (theirs.unwrap(), ours.unwrap().0);
        let other = Case::new(
            case.version,
            match case.role {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            },
        );
        let (ours, theirs) = tokio::join!(L::open(case, ours), pair::open(other, theirs));
        let mut ours = GracefulStream::new(ours.unwrap());
        ours.set_policy(ClosePolicy::linger());
        let (mut answer, mut upload) = split(theirs);
        let peer = tokio::spawn(async move {
            let upload = async {
                let _ = upload.write_all(&vec![1; 3 << 20]).await;
                let _ = upload.shutdown().await;
            };
            let mut got = Vec::new();
            let (_, read) = tokio::join!(upload, answer.read_to_end(&mut got));
            read.map(|_| got.len())
        });
        in_time("the answer", async {
            ours.write_all(&vec![2; 1 << 20]).await.unwrap();
            ours.shutdown().await.unwrap();
        })
        .await;
        assert!(ours.outcome().unwrap().discarded() >= 3 << 20);
        drop(ours);
        assert_eq!(in_time("the peer", peer).await.unwrap().unwrap(), 1 << 20);
    });
}

fn drained<L: Library>(case: Case) {
    let tracker = CloseTracker::new();
    let mut clean = rig::<L>(case);
    let mut stays = rig::<L>(case);
    clean.stream.track(&tracker);
    stays.stream.track(&tracker);
    let report = runtime().block_on(async {
        let drain = tracker.begin_drain();
        clean.peer_closes();
        assert!(
            clean
                .stream
                .shutdown_bidirectional()
                .await
                .unwrap()
                .is_clean()
        );
        drop(clean.stream);
        let reader = async {
            let read = stays.stream.read(&mut [0; 9]).await;
            assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionAborted);
            drop(stays.stream);
        };
        let drain = drain.finish(Duration::from_millis(20));
        tokio::join!(reader, drain).1
    });
    assert_eq!(report.open_before, 2, "{report}");
    assert_eq!((report.closed.clean, report.aborted), (1, 1), "{report}");
}

/// What is dropped sends nothing, or `close_notify` if it was asked to.
fn dropped<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    done(rig.stream.write_all(b"half")).unwrap();
    drop(rig.stream);
    assert_eq!(rig.peer.receive(&rig.wire.take_outbound()), b"half");
    assert!(!rig.peer.is_closed());

    let mut rig = self::rig::<L>(case).map(CloseOnDrop::new);
    done(rig.stream.write_all(b"whole")).unwrap();
    let Rig {
        case,
        stream,
        wire,
        peer,
    } = rig;
    drop(stream);
    rig = Rig {
        case,
        stream: CloseOnDrop::new(self::rig::<L>(case).stream),
        wire,
        peer,
    };
    rig.assert_wrote_and_closed(b"whole");
}

/// A plain stream remembers nothing, and sends one alert all the same.
fn plain_stream<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    done(rig.stream.write_all(b"ping")).unwrap();
    rig.wire.set_room(5);
    assert!(now(rig.stream.close_notify().no_deadline()).is_none());
    rig.wire.unblock_writes();
    assert_eq!(
        done(rig.stream.close_notify()).unwrap(),
        ShutdownState::SENT
    );
    assert_eq!(
        done(rig.stream.close_notify()).unwrap(),
        ShutdownState::SENT
    );
    if L::REFUSES_WRITES {
        assert!(done(rig.stream.write(b"more")).is_err());
    }
    rig.assert_wrote_and_closed(b"ping");
}

/// The application has read to the end by itself.
fn plain_stream_that_was_read<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    assert!(!rig.stream.received_close_notify());
    // To ask takes nothing of a record of which only a part was read.
    rig.peer_writes(b"in parts");
    let mut got = [0; 3];
    done(rig.stream.read_exact(&mut got)).unwrap();
    assert!(!rig.stream.received_close_notify());
    let mut rest = [0; 5];
    done(rig.stream.read_exact(&mut rest)).unwrap();
    assert_eq!((&got, &rest), (b"in ", b"parts"));
    rig.peer_closes();
    assert_eq!(done(rig.stream.read(&mut [0; 9])).unwrap(), 0);
    assert_eq!(rig.stream.received_close_notify(), L::TELLS_HOW_READS_ENDED);
    let state = done(rig.stream.close_notify()).unwrap();
    let expected = match L::TELLS_HOW_READS_ENDED {
        true => ShutdownState::COMPLETE,
        // A session that makes an alert has not failed.
        false => ShutdownState::SENT,
    };
    assert_eq!(state, expected);
    assert!(rig.stream.received_close_notify());
    rig.assert_wrote_and_closed(b"");
}

fn plain_stream_waits<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    assert!(now(rig.stream.shutdown_bidirectional().no_deadline()).is_none());
    rig.peer_writes(b"pong");
    rig.peer_closes();
    let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
    assert_eq!(
        (closed.peer(), closed.discarded()),
        (PeerClose::CloseNotify, 4)
    );
    assert!(rig.stream.received_close_notify());
    rig.assert_wrote_and_closed(b"");
}

/// One task reads and one writes: each wakes when its turn has come.
fn two_tasks<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.wire.set_room(100);
    let (mut read_half, mut write_half) = split(rig.stream);
    let data = vec![3; 400_000];
    let mut reader = spawn(async {
        let mut got = [0; 4];
        read_half.read_exact(&mut got).await.map(|_| got)
    });
    let mut writer = spawn(write_half.write_all(&data));
    assert_pending!(reader.poll());
    assert_pending!(writer.poll());
    // The one who waits last is not the only one that wakes.
    assert_pending!(poll_while_woken(&mut reader));
    rig.wire.unblock_writes();
    for _ in 0..1000 {
        if reader.is_woken() {
            assert_pending!(reader.poll());
        }
        if writer.is_woken() && writer.poll().is_ready() {
            rig.peer.write(b"done");
            rig.wire.feed(&rig.peer.take_queue());
            assert!(reader.is_woken());
            assert_eq!(&assert_ready_ok!(reader.poll()), b"done");
            return;
        }
    }
    panic!("the writer was forgotten");
}

/// Who we are comes from the library, or from who has written first.
fn role<L: Library>(case: Case) {
    let seen = Arc::new(Mutex::new(None));
    let writer = seen.clone();
    let tracker = CloseTracker::with_on_close(move |report| {
        *writer.lock().unwrap() = Some((report.role(), report.outcome()));
    });
    let mut rig = rig::<L>(case);
    rig.stream.track(&tracker);
    drop(rig.stream);
    let expected = match case.role {
        Role::Client => Side::Client,
        Role::Server => Side::Server,
    };
    assert_eq!(
        *seen.lock().unwrap(),
        Some((expected, CloseOutcome::Dropped))
    );
}
