//! A10, G7 to G9: a client that closes while its early data (0-RTT) are unanswered. The handshake and
//! the data are finished first.
//!
//! tokio-rustls sends early data only with its feature `early-data`, which another crate may turn on
//! while ours is off: `cargo test --features tokio-rustls/early-data --test close early_data`.

use std::{
    future::poll_fn,
    io::{ErrorKind, Read},
    sync::Arc,
    task::Poll,
};

use rustls::{Connection, ServerConnection, server::ServerSessionMemoryCache};
use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio_rustls::{TlsConnector, TlsStream, client, rustls};
use tokio_test::{assert_pending, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseProgress, GracefulStream, PeerClose, PeerStatus, ShutdownError, ShutdownExt,
    ShutdownState, tokio_rustls,
};

use crate::support::{Case, Peer, Role, Scripted, Step, Version, Wire, pair, poll_while_woken};

const CASE: Case = Case::new(Version::Tls13, Role::Client);

type Plain = TlsStream<Scripted>;
type Graceful = GracefulStream<Plain>;

/// What tokio-rustls's `TlsConnector` has itself where it can send early data.
#[allow(dead_code, reason = "it is hidden where the method exists")]
trait WithoutEarlyData {
    fn early_data(self, _: bool) -> Self;
}

impl WithoutEarlyData for TlsConnector {
    fn early_data(self, _: bool) -> Self {
        self
    }
}

/// A client that has written early data that the server has not answered.
struct Early<S = Plain> {
    stream: S,
    wire: Wire,
    peer: Peer,
    /// What was written.
    data: Vec<u8>,
}

impl Early {
    /// `None` if tokio-rustls sends no early data in this build.
    fn new(accepted: bool, data: &[u8]) -> Option<Self> {
        let mut client = CASE.client_config();
        client.enable_early_data = true;
        let connector = TlsConnector::from(Arc::new(client)).early_data(true);
        let mut server = CASE.server_config();
        server.max_early_data_size = 1_000_000;
        server.send_tls13_tickets = 1;
        let mut refusing = server.clone();
        // It does not know the session, and skips what came with it.
        refusing.session_storage = ServerSessionMemoryCache::new(1);
        let (server, refusing) = (Arc::new(server), Arc::new(refusing));

        // A connection before, for its ticket.
        let wire = Wire::default();
        let mut peer = Peer(ServerConnection::new(Arc::clone(&server)).unwrap().into());
        let mut connect = spawn(connector.connect(pair::name(), wire.transport()));
        let mut first = loop {
            if let Poll::Ready(stream) = connect.poll() {
                break stream.unwrap();
            }
            peer.receive(&wire.take_outbound());
            wire.feed(&peer.take_queue());
        };
        assert_ready_ok!(spawn(first.flush()).poll());
        peer.receive(&wire.take_outbound());
        wire.feed(&peer.take_queue());
        assert_pending!(spawn(first.read(&mut [0; 1])).poll());

        let wire = Wire::default();
        let config = if accepted { server } else { refusing };
        let peer = Peer(ServerConnection::new(config).unwrap().into());
        let mut connect = spawn(connector.connect(pair::name(), wire.transport()));
        let Poll::Ready(stream) = connect.poll() else {
            // With our feature, tokio-rustls has its own.
            let is_missing = cfg!(feature = "early-data");
            assert!(!is_missing, "no early data are sent");
            return None;
        };
        let mut stream = Plain::from(stream.unwrap());
        let mut taken = 0;
        while let Poll::Ready(n) = spawn(stream.write(&data[taken..])).poll() {
            match n.unwrap() {
                0 => break,
                n => taken += n,
            }
        }
        Some(Self {
            stream,
            wire,
            peer,
            data: data[..taken].to_vec(),
        })
    }

    fn client(&mut self) -> &mut client::TlsStream<Scripted> {
        match &mut self.stream {
            TlsStream::Client(stream) => stream,
            TlsStream::Server(_) => unreachable!("it is a client"),
        }
    }

    fn map<S>(self, wrap: fn(Plain) -> S) -> Early<S> {
        Early {
            stream: wrap(self.stream),
            wire: self.wire,
            peer: self.peer,
            data: self.data,
        }
    }
}

impl<S> Early<S> {
    /// The server receives what was written, and answers. Returns the data that it has received.
    fn exchange(&mut self) -> Vec<u8> {
        let late = self.peer.receive(&self.wire.take_outbound());
        let mut data = Vec::new();
        if let Connection::Server(server) = &mut self.peer.0 {
            if let Some(mut early) = server.early_data() {
                early.read_to_end(&mut data).unwrap();
            }
        }
        data.extend(late);
        if self.peer.is_closed() {
            self.peer.0.send_close_notify();
        }
        self.wire.feed(&self.peer.take_queue());
        data
    }
}

type Called = Poll<Result<(), ShutdownError>>;

/// A call that closes, and what it sends in front of the alert.
type Call<S> = (fn(&mut S) -> Called, &'static [u8]);

fn notify<S: ShutdownExt>(stream: &mut S) -> Called {
    let poll = spawn(stream.close_notify().no_deadline()).poll();
    poll.map_ok(|state| assert!(state.contains(ShutdownState::SENT)))
}

fn bidirectional<S: ShutdownExt>(stream: &mut S) -> Called {
    let poll = spawn(stream.shutdown_bidirectional().no_deadline()).poll();
    poll.map_ok(|closed| assert!(closed.is_clean()))
}

fn notify_with(stream: &mut Graceful) -> Called {
    let poll = spawn(stream.close_notify_with(LAST).no_deadline()).poll();
    poll.map_ok(|state| assert!(state.contains(ShutdownState::SENT)))
}

fn shutdown(stream: &mut Graceful) -> Called {
    let poll = spawn(stream.shutdown()).poll();
    poll.map_err(|e| e.downcast().unwrap())
}

const LAST: &[u8] = b", late";

const PLAIN: [Call<Plain>; 2] = [(notify, b""), (bidirectional, b"")];
const GRACEFUL: [Call<Graceful>; 4] = [
    (notify, b""),
    (notify_with, LAST),
    (bidirectional, b""),
    (shutdown, b""),
];

/// Calls until the close has ended, with a new future each time, and asserts that the server has
/// received everything.
#[track_caller]
fn close<S>(mut early: Early<S>, most: usize, (call, last): Call<S>, context: &str) {
    let mut received = Vec::new();
    let mut ended = false;
    for _ in 0..30_000 {
        early.wire.on_write([Step::Take(most), Step::Block]);
        let poll = call(&mut early.stream);
        received.extend(early.exchange());
        if let Poll::Ready(result) = poll {
            result.expect(context);
            ended = true;
            break;
        }
    }
    let (got, expected) = (received.len(), early.data.len() + last.len());
    assert!(ended, "{context}: {got} of {expected} bytes");
    assert!(early.peer.is_closed(), "{context}: no close_notify");
    assert!(
        received == [&early.data, last].concat(),
        "{context}: {got} of {expected} bytes"
    );
}

#[test]
fn a10_g07_early_data_arrive_before_the_alert_though_the_call_is_dropped_at_every_poll() {
    // In one record and in many.
    for data in [&b"early"[..], &[b'x'; 30_000]] {
        for accepted in [true, false] {
            for most in [1, 7, 1000, 100_000] {
                // Byte by byte it takes too long, and where it is refused the peer, which skips it,
                // does not take so much at once.
                if data.len() > 1000 && (most < 1000 || !accepted) {
                    continue;
                }
                let context = format!("{} bytes, accepted {accepted}, {most} a write", data.len());
                for call in PLAIN {
                    let Some(early) = Early::new(accepted, data) else {
                        return;
                    };
                    close(early, most, call, &context);
                }
                for call in GRACEFUL {
                    let early = Early::new(accepted, data).unwrap();
                    close(early.map(GracefulStream::new), most, call, &context);
                }
            }
        }
    }
}

#[test]
fn g08_early_data_arrive_whole_whatever_buffer_limit_the_user_has_set() {
    for limit in [1, 100, 2000, 16_384, 70_000] {
        for (accepted, len) in [(true, 5), (true, 30_000), (false, 5), (false, 12_000)] {
            for most in [1000, 100_000] {
                let context = format!("limit {limit}, {len} bytes, accepted {accepted}, {most}");
                let data = vec![b'x'; len];
                let limited = || {
                    let mut early = Early::new(accepted, &data)?;
                    early.client().get_mut().1.set_buffer_limit(Some(limit));
                    Some(early)
                };
                for call in PLAIN {
                    let Some(early) = limited() else { return };
                    close(early, most, call, &context);
                }
                for call in GRACEFUL {
                    let early = limited().unwrap();
                    close(early.map(GracefulStream::new), most, call, &context);
                }
            }
        }
    }
}

#[test]
fn a11_a_write_behind_the_close_is_refused_while_the_handshake_goes_on() {
    for accepted in [true, false] {
        let Some(early) = Early::new(accepted, b"early") else {
            return;
        };
        let mut early = early.map(GracefulStream::new);
        assert_pending!(spawn(early.stream.close_notify().no_deadline()).poll());
        let error = assert_ready_err!(spawn(early.stream.write(b"late")).poll());
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        close(early, 100_000, (notify, b""), "behind a write");
    }
}

#[test]
fn g09_a_read_behind_an_assumed_close_is_woken() {
    for accepted in [true, false] {
        let Some(early) = Early::new(accepted, b"early") else {
            return;
        };
        let mut early = early.map(GracefulStream::new);
        early.stream.set_state(ShutdownState::SENT);
        let Early {
            mut stream,
            wire,
            mut peer,
            ..
        } = early;
        let mut read = spawn(stream.read_u8());
        let mut byte = None;
        for _ in 0..10 {
            if let Poll::Ready(result) = read.poll() {
                byte = Some(result.unwrap());
                break;
            }
            peer.receive(&wire.take_outbound());
            if !peer.0.is_handshaking() {
                peer.write(b"x");
            }
            wire.feed(&peer.take_queue());
            assert!(read.is_woken(), "nothing wakes it");
        }
        assert_eq!(byte, Some(b'x'));
    }
}

#[test]
fn g09_a_close_behind_an_assumed_close_is_woken() {
    for accepted in [true, false] {
        let Some(early) = Early::new(accepted, b"early") else {
            return;
        };
        let mut early = early.map(GracefulStream::new);
        early.stream.set_state(ShutdownState::SENT);
        let Early {
            mut stream,
            wire,
            mut peer,
            ..
        } = early;
        let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
        let mut closed = None;
        for _ in 0..10 {
            if let Poll::Ready(result) = poll_while_woken(&mut close) {
                closed = Some(result.unwrap());
                break;
            }
            peer.receive(&wire.take_outbound());
            if !peer.0.is_handshaking() {
                peer.0.send_close_notify();
            }
            wire.feed(&peer.take_queue());
            assert!(close.is_woken(), "nothing wakes it");
        }
        assert!(closed.unwrap().is_clean());
        assert!(!peer.is_closed(), "no alert was to be sent");
    }
}

/// Polls `peer_closed` until it is ready, and has the server send `data` and `close_notify`.
#[track_caller]
fn until_peer_closed<S: ShutdownExt>(early: &mut Early<S>, data: &[u8]) -> PeerStatus {
    let mut progress = CloseProgress::new();
    let mut has_sent = false;
    for _ in 0..10 {
        let stream = &mut early.stream;
        let mut wait = spawn(poll_fn(|cx| stream.poll_peer_closed(cx, &mut progress)));
        if let Poll::Ready(status) = poll_while_woken(&mut wait) {
            return status.unwrap();
        }
        early.peer.receive(&early.wire.take_outbound());
        if !early.peer.0.is_handshaking() && !has_sent {
            early.peer.write(data);
            early.peer.0.send_close_notify();
            has_sent = true;
        }
        early.wire.feed(&early.peer.take_queue());
        assert!(wait.is_woken(), "nothing wakes it");
    }
    panic!("it waits for ever");
}

#[test]
fn g29_peer_closed_finishes_the_handshake_and_takes_nothing() {
    for accepted in [true, false] {
        let Some(mut early) = Early::new(accepted, b"early") else {
            return;
        };
        let status = until_peer_closed(&mut early, b"");
        assert_eq!(status, PeerStatus::Closed(PeerClose::CloseNotify));

        let early = Early::new(accepted, b"early").unwrap();
        let mut early = early.map(GracefulStream::new);
        let status = until_peer_closed(&mut early, b"answer");
        assert_eq!(status, PeerStatus::Readable);
        let mut answer = Vec::new();
        assert_ready_ok!(spawn(early.stream.read_to_end(&mut answer)).poll());
        assert_eq!(answer, b"answer");
        let status = until_peer_closed(&mut early, b"");
        assert_eq!(status, PeerStatus::Closed(PeerClose::CloseNotify));
    }
}

#[test]
fn a10_a_server_that_goes_away_in_the_handshake_is_an_error() {
    let Some(mut early) = Early::new(true, b"early") else {
        return;
    };
    early.wire.at_end(Step::Zero);
    let error = assert_ready_err!(spawn(early.stream.shutdown_bidirectional()).poll());
    assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::UnexpectedEof));
}

#[test]
fn a10_a_server_that_does_not_speak_tls_in_the_handshake_is_an_error_of_tls() {
    let Some(mut early) = Early::new(true, b"early") else {
        return;
    };
    early.wire.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let error = assert_ready_err!(spawn(early.stream.shutdown_bidirectional()).poll());
    assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
}

/// Whichever of them gets to finish the handshake.
#[test]
fn a10_a_reader_in_another_task_does_not_take_the_wake_up_of_a_close() {
    for accepted in [true, false] {
        let Some(early) = Early::new(accepted, b"early") else {
            return;
        };
        let Early {
            stream,
            wire,
            mut peer,
            ..
        } = early.map(GracefulStream::new);
        let (mut read_half, mut write_half) = split(stream);
        let mut close = spawn(write_half.shutdown());
        assert_pending!(close.poll());
        let mut reader = spawn(read_half.read_u8());
        assert_pending!(reader.poll());
        let mut has_closed = false;
        for _ in 0..10 {
            peer.receive(&wire.take_outbound());
            wire.feed(&peer.take_queue());
            if reader.is_woken() {
                assert_pending!(reader.poll());
            }
            has_closed |= close.is_woken() && close.poll().is_ready();
        }
        assert!(has_closed, "the close waits for ever, accepted {accepted}");
    }
}
