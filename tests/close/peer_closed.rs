//! G29, G30: `peer_closed` and `poll_peer_closed`, and `Closed::peer_closed_first`: whether the peer
//! has closed, without sending anything and without taking what it has sent.

use std::{future::poll_fn, io::ErrorKind, task::Poll};

use futures_core::FusedFuture;
use rustls::AlertDescription;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{TlsStream, rustls};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseProgress, CloseTracker, GracefulStream, PeerClose, PeerStatus, ShutdownError, ShutdownExt,
    ShutdownState, tokio_rustls,
};

use crate::support::{
    Arrival, CASES, Case, Rig, Role, Scripted, Step, Version,
    forge::{APPLICATION_DATA, FATAL, HANDSHAKE, HANDSHAKE_FAILURE},
    poll_while_woken, tls_error,
};

type Plain = TlsStream<Scripted>;
type Graceful = GracefulStream<Plain>;

trait Tls: ShutdownExt + AsyncRead + AsyncWrite + Unpin {}

impl Tls for Plain {}
impl Tls for Graceful {}

fn plain(stream: Plain) -> Plain {
    stream
}

fn tracked(stream: Plain) -> Graceful {
    let mut stream = GracefulStream::new(stream);
    stream.track(&CloseTracker::new());
    stream
}

/// Polls once, with a progress of its own: what a pool does that asks "is it still open?".
fn ask<S: ShutdownExt>(stream: &mut S) -> Poll<Result<PeerStatus, ShutdownError>> {
    let mut progress = CloseProgress::new();
    spawn(poll_fn(|cx| stream.poll_peer_closed(cx, &mut progress))).poll()
}

const CLEAN: PeerStatus = PeerStatus::Closed(PeerClose::CloseNotify);

#[test]
fn g29_it_waits_until_there_is_data_or_the_peer_has_closed() {
    fn waits<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            let mut rig = Rig::new(case).map(wrap);
            let mut wait = spawn(rig.stream.peer_closed());
            assert_pending!(wait.poll());
            assert!(!wait.is_terminated());
            rig.peer.write(b"data");
            rig.wire.feed(&rig.peer.take_queue());
            assert!(wait.is_woken());
            for _ in 0..2 {
                assert_eq!(assert_ready_ok!(wait.poll()), PeerStatus::Readable);
                assert!(wait.is_terminated());
            }
            drop(wait);
            for _ in 0..3 {
                assert_eq!(assert_ready_ok!(ask(&mut rig.stream)), PeerStatus::Readable);
            }
            // Nothing was taken.
            let mut data = [0; 4];
            assert_ready_ok!(spawn(rig.stream.read_exact(&mut data)).poll());
            assert_eq!(&data, b"data");
            assert_pending!(ask(&mut rig.stream));

            rig.peer_closes();
            for _ in 0..3 {
                assert_eq!(assert_ready_ok!(ask(&mut rig.stream)), CLEAN);
            }
            assert!(rig.stream.received_close_notify());
            assert_eq!(rig.wire.outbound_len(), 0, "nothing was sent");
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean() && closed.peer_closed_first());
            assert_eq!(closed.discarded(), 0);
            rig.assert_wrote_and_closed(&[]);
        }
    }
    waits(plain);
    waits(GracefulStream::new);
    waits(tracked);
}

#[test]
fn g29_data_and_close_notify_that_arrive_together_are_first_readable() {
    fn arrives<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            let (_, _, mut forge) = Rig::new(case).forge();
            let len = forge.seal(APPLICATION_DATA, b"data").len() + forge.close_notify().len();
            for way in Arrival::ways(len) {
                let (mut stream, wire, mut forge) = Rig::new(case).map(wrap).forge();
                let bytes = [forge.seal(APPLICATION_DATA, b"data"), forge.close_notify()].concat();
                let mut wait = spawn(stream.peer_closed());
                let status = assert_ready_ok!(way.poll(&mut wait, &wire, &bytes));
                drop(wait);
                assert_eq!(status, PeerStatus::Readable, "{case:?} {way:?}");
                // What had not arrived yet.
                wire.feed(&bytes[wire.counts().fed..]);
                let mut data = Vec::new();
                assert_ready_ok!(spawn(stream.read_to_end(&mut data)).poll());
                assert_eq!(data, b"data");
                assert_eq!(assert_ready_ok!(ask(&mut stream)), CLEAN);
                assert_eq!(wire.outbound_len(), 0);
            }
        }
    }
    arrives(plain);
    arrives(GracefulStream::new);
    arrives(tracked);
}

#[test]
fn g29_how_the_peer_has_closed_is_told() {
    fn tells<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            let ends = [
                (Step::Zero, PeerClose::Eof),
                (Step::Fail(ErrorKind::UnexpectedEof), PeerClose::Eof),
                (Step::Fail(ErrorKind::ConnectionReset), PeerClose::Reset),
                (Step::Fail(ErrorKind::ConnectionAborted), PeerClose::Reset),
                (Step::Fail(ErrorKind::BrokenPipe), PeerClose::Reset),
                (Step::Fail(ErrorKind::NotConnected), PeerClose::Reset),
            ];
            for (end, how) in ends {
                for data in [&b""[..], b"data"] {
                    let mut rig = Rig::new(case).map(wrap);
                    rig.peer_writes(data);
                    rig.wire.at_end(end);
                    if !data.is_empty() {
                        let status = assert_ready_ok!(ask(&mut rig.stream));
                        assert_eq!(status, PeerStatus::Readable);
                        assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 4])).poll());
                    }
                    for _ in 0..2 {
                        let status = assert_ready_ok!(ask(&mut rig.stream));
                        assert_eq!(status, PeerStatus::Closed(how), "{end:?}");
                    }
                    assert!(!rig.stream.received_close_notify());
                    assert_eq!(rig.wire.outbound_len(), 0);
                }
            }
            // It may pass.
            let mut rig = Rig::new(case).map(wrap);
            rig.wire.at_end(Step::Fail(ErrorKind::TimedOut));
            let error = assert_ready_err!(ask(&mut rig.stream));
            assert!(matches!(&error, ShutdownError::Receive(e) if e.kind() == ErrorKind::TimedOut));
            rig.wire.at_end(Step::Block);
            assert_pending!(ask(&mut rig.stream));
            rig.peer_closes();
            assert_eq!(assert_ready_ok!(ask(&mut rig.stream)), CLEAN);
        }
    }
    tells(plain);
    tells(GracefulStream::new);
    tells(tracked);
}

#[test]
fn g29_a_failed_session_is_an_error_of_tls() {
    fn fails<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            let (mut stream, wire, mut forge) = Rig::new(case).map(wrap).forge();
            wire.feed(&forge.alert(FATAL, HANDSHAKE_FAILURE));
            for _ in 0..2 {
                let error = assert_ready_err!(ask(&mut stream));
                let expected = rustls::Error::AlertReceived(AlertDescription::HandshakeFailure);
                assert_eq!(tls_error(&error), Some(&expected));
            }

            let (mut stream, wire, mut forge) = Rig::new(case).map(wrap).forge();
            let mut bad = forge.seal(APPLICATION_DATA, b"bad");
            *bad.last_mut().unwrap() ^= 1;
            wire.feed(&bad);
            for _ in 0..2 {
                let error = assert_ready_err!(ask(&mut stream));
                assert_eq!(tls_error(&error), Some(&rustls::Error::DecryptError));
            }
            assert_eq!(wire.outbound_len(), 0, "it sends nothing");
        }
    }
    fails(plain);
    fails(GracefulStream::new);
    fails(tracked);
}

#[test]
fn g29_tickets_and_new_keys_are_taken_in_while_it_waits() {
    fn takes<S: Tls>(wrap: fn(Plain) -> S) {
        let case = Case::new(Version::Tls13, Role::Client);
        let mut server = case.server_config();
        server.send_tls13_tickets = 3;
        let mut rig = Rig::with(case, case.client_config(), server).map(wrap);
        assert!(rig.wire.unread() > 0);
        let mut wait = spawn(rig.stream.peer_closed());
        assert_pending!(poll_while_woken(&mut wait));
        assert_eq!(rig.wire.unread(), 0, "the tickets");
        for _ in 0..3 {
            rig.peer.0.refresh_traffic_keys().unwrap();
            rig.wire.feed(&rig.peer.take_queue());
            assert_pending!(poll_while_woken(&mut wait));
        }
        assert_eq!(rig.wire.outbound_len(), 0);
        rig.peer.0.send_close_notify();
        rig.wire.feed(&rig.peer.take_queue());
        assert_eq!(assert_ready_ok!(wait.poll()), CLEAN);
        drop(wait);
        // None of them belongs to the close.
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert_eq!((closed.is_clean(), closed.tickets()), (true, 0));
        rig.assert_wrote_and_closed(&[]);
    }
    takes(plain);
    takes(GracefulStream::new);
    takes(tracked);
}

#[test]
fn c02_dropped_at_every_poll_it_loses_nothing() {
    fn drops<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            let mut rig = Rig::new(case).map(wrap);
            rig.peer.write(b"data");
            rig.peer.0.send_close_notify();
            let bytes = rig.peer.take_queue();
            let mut readable = false;
            for byte in &bytes {
                let poll = ask(&mut rig.stream);
                readable |= poll.is_ready();
                assert_eq!(poll.is_ready(), readable);
                rig.wire.feed(&[*byte]);
            }
            let mut data = Vec::new();
            assert_ready_ok!(spawn(rig.stream.read_to_end(&mut data)).poll());
            assert_eq!(data, b"data");
            assert_eq!(assert_ready_ok!(ask(&mut rig.stream)), CLEAN);
        }
    }
    drops(plain);
    drops(GracefulStream::new);
    drops(tracked);
}

#[test]
fn c03_the_newest_waker_counts() {
    fn wakes<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            let mut rig = Rig::new(case).map(wrap);
            let mut progress = CloseProgress::new();
            let (mut old, mut new) = (spawn(()), spawn(()));
            let stream = &mut rig.stream;
            for task in [&mut old, &mut new] {
                task.enter(|cx, _| assert_pending!(stream.poll_peer_closed(cx, &mut progress)));
            }
            rig.peer_closes();
            assert!(new.is_woken() && !old.is_woken());
        }
    }
    wakes(plain);
    wakes(GracefulStream::new);
    wakes(tracked);
}

/// RFC 8446 section 4.6.1: a lifetime of a day, an age, a nonce, four bytes of a ticket, and nothing
/// else.
const NEW_SESSION_TICKET: [u8; 22] = [
    4, 0, 0, 18, 0, 1, 0x51, 0x80, 0, 0, 0, 0, 1, 7, 0, 4, 7, 7, 7, 7, 0, 0,
];

#[test]
fn b27_a_flood_of_tickets_is_taken_in_turns() {
    let case = Case::new(Version::Tls13, Role::Client);
    let (mut stream, wire, mut forge) = Rig::new(case).forge();
    for _ in 0..2000 {
        wire.feed(&forge.seal(HANDSHAKE, &NEW_SESSION_TICKET));
    }
    wire.read_size(100);
    let mut wait = spawn(stream.peer_closed());
    let mut polls = 0;
    while wire.unread() > 0 {
        wire.reset_counts();
        assert_pending!(wait.poll());
        assert!(wire.counts().reads <= 64, "{:?}", wire.counts());
        assert!(wait.is_woken() || wire.unread() == 0);
        polls += 1;
    }
    assert!(polls > 10, "{polls}");
    wire.feed(&forge.close_notify());
    assert_eq!(assert_ready_ok!(poll_while_woken(&mut wait)), CLEAN);
}

#[test]
fn g29_behind_our_own_close_notify_it_waits_for_the_peers() {
    fn waits<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            let mut rig = Rig::new(case).map(wrap);
            assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            assert_pending!(ask(&mut rig.stream));
            rig.peer_writes(b"data");
            assert_eq!(assert_ready_ok!(ask(&mut rig.stream)), PeerStatus::Readable);
            assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 4])).poll());
            rig.peer_closes();
            assert_eq!(assert_ready_ok!(ask(&mut rig.stream)), CLEAN);
            let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            assert_eq!(state, ShutdownState::COMPLETE);
            rig.assert_wrote_and_closed(&[]);
        }
    }
    waits(plain);
    waits(GracefulStream::new);
    waits(tracked);
}

#[test]
fn g29_what_is_assumed_counts_as_closed() {
    for case in CASES {
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.stream.set_state(ShutdownState::RECEIVED);
        let status = assert_ready_ok!(ask(&mut rig.stream));
        assert_eq!(status, PeerStatus::Closed(PeerClose::Assumed));
        // Quiet shutdown assumes nothing before it closes.
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.stream.set_quiet_shutdown(true);
        assert_pending!(ask(&mut rig.stream));
        assert_eq!(rig.stream.state(), ShutdownState::NONE);
    }
}

#[test]
fn g29_a_pool_finds_out_before_it_writes_the_next_request() {
    fn finds_out<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            let mut rig = Rig::new(case).map(wrap);
            assert_ready_ok!(spawn(rig.stream.write_all(b"first request")).poll());
            rig.peer_writes(b"answer");
            assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 6])).poll());
            assert_pending!(ask(&mut rig.stream), "it is open");
            // The server gives up the idle connection.
            rig.peer_closes();
            // That lies in the socket: nothing but a read can see it.
            assert!(!rig.stream.received_close_notify());
            assert_eq!(assert_ready_ok!(ask(&mut rig.stream)), CLEAN);
            assert!(rig.stream.received_close_notify());
        }
    }
    finds_out(plain);
    finds_out(GracefulStream::new);
    finds_out(tracked);
}

#[test]
fn g29_g30_a_request_on_a_connection_that_the_peer_had_closed_is_known_to_be_late() {
    fn is_late<S: Tls>(wrap: fn(Plain) -> S) {
        for case in CASES {
            // Who has not asked learns it from the close.
            let mut rig = Rig::new(case).map(wrap);
            rig.peer_closes();
            assert_ready_ok!(spawn(rig.stream.write_all(b"request")).poll());
            let read = assert_ready_ok!(spawn(rig.stream.read(&mut [0; 1])).poll());
            assert_eq!(read, 0, "no answer");
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean() && closed.peer_closed_first());
        }
    }
    is_late(plain);
    is_late(GracefulStream::new);
    is_late(tracked);
}

#[test]
fn g30_a_peer_that_answers_has_not_closed_first() {
    fn answers<S: Tls>(wrap: fn(Plain) -> S, notify_first: bool) {
        for case in CASES {
            let mut rig = Rig::new(case).map(wrap);
            if notify_first {
                assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            }
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            assert_pending!(close.poll());
            rig.peer.0.send_close_notify();
            rig.wire.feed(&rig.peer.take_queue());
            let closed = assert_ready_ok!(close.poll());
            assert!(closed.is_clean() && !closed.peer_closed_first());
        }
    }
    for notify_first in [false, true] {
        answers(plain, notify_first);
        answers(GracefulStream::new, notify_first);
        answers(tracked, notify_first);
    }
}

#[test]
fn g30_a_graceful_stream_remembers_who_closed_first() {
    for case in CASES {
        // We did, in an earlier call, and the peer's was read in between.
        let mut rig = Rig::new(case).map(GracefulStream::new);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.peer_closes();
        assert_ready_ok!(spawn(rig.stream.read(&mut [0; 1])).poll());
        for _ in 0..2 {
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean() && !closed.peer_closed_first());
        }
        assert!(!rig.stream.outcome().unwrap().peer_closed_first());

        // The peer did, while our alert was half sent.
        for sent in 0..case.alert_len() {
            let mut rig = Rig::new(case).map(GracefulStream::new);
            rig.wire.set_room(sent);
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            assert_pending!(close.poll());
            rig.peer.0.send_close_notify();
            rig.wire.feed(&rig.peer.take_queue());
            assert_pending!(close.poll());
            rig.wire.unblock_writes();
            let closed = assert_ready_ok!(close.poll());
            assert!(closed.is_clean() && closed.peer_closed_first());
            drop(close);
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean() && closed.peer_closed_first());
        }
    }
}

#[test]
fn g30_what_has_not_closed_cleanly_has_not_closed_first() {
    for case in CASES {
        for end in [Step::Zero, Step::Fail(ErrorKind::ConnectionReset)] {
            let mut rig = Rig::new(case).map(GracefulStream::new);
            rig.wire.at_end(end);
            assert_ready_err!(spawn(rig.stream.read(&mut [0; 1])).poll());
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(!closed.is_clean() && !closed.peer_closed_first());
        }
    }
}

#[tokio::test]
async fn g29_it_is_selected_beside_a_queue_of_messages() {
    for case in CASES {
        let (ours, mut theirs) = case.duplex(4096).await;
        let mut ours = GracefulStream::new(ours);
        let (messages, mut queue) = tokio::sync::mpsc::channel::<&[u8]>(10);
        let peer = async {
            let mut got = [0; 30];
            for message in [&b"one, "[..], b"two, ", b"three"] {
                messages.send(message).await.unwrap();
                theirs.read_exact(&mut got[..message.len()]).await.unwrap();
                assert_eq!(&got[..message.len()], message);
            }
            theirs.close_notify().await.unwrap();
        };
        let writer = async {
            loop {
                tokio::select! {
                    Some(message) = queue.recv() => ours.write_all(message).await.unwrap(),
                    status = ours.peer_closed() => break status.unwrap(),
                }
            }
        };
        let (status, ()) = tokio::join!(writer, peer);
        assert_eq!(status, CLEAN);
    }
}
