//! D5 to D7: a transport that outlives TLS.

mod support;

use std::{fmt::Debug, io::ErrorKind, sync::Arc};

use support::{CASES, Case, Peer, Rig, Role, Scripted, Step, Wire, pair};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, rustls::ConnectionCommon};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    ClosePolicy, CloseTracker, Closed, GracefulStream, PeerClose, RecordAligned, ShutdownError,
    ShutdownExt, ShutdownState, tokio_rustls,
};

type Aligned = RecordAligned<Scripted>;
type Tls = GracefulStream<TlsStream<Aligned>>;

/// What the peer sends in the clear right behind its close_notify.
const GLUED: &[u8] = b"200 Control connection is in the clear again\r\n";

fn rig(case: Case) -> Rig<Tls> {
    let (client, server) = (case.client_config(), case.server_config());
    Rig::over(case, client, server, RecordAligned::new).map(GracefulStream::new)
}

impl Rig<Tls> {
    /// The peer's close_notify, with `glued` right behind it.
    fn close_notify_and(&mut self, glued: &[u8]) -> Vec<u8> {
        self.peer.0.send_close_notify();
        [&self.peer.take_queue(), glued].concat()
    }
}

/// Reads what can be read now.
#[track_caller]
fn read_ahead(transport: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut got = Vec::new();
    let mut chunk = [0; 1000];
    while let std::task::Poll::Ready(n) = spawn(transport.read(&mut chunk)).poll() {
        match n.unwrap() {
            0 => break,
            n => got.extend(&chunk[..n]),
        }
    }
    got
}

/// Asserts that the transport has `glued`, and then everything that comes, in both directions.
#[track_caller]
fn assert_live(wire: &Wire, mut transport: impl AsyncRead + AsyncWrite + Unpin, glued: &[u8]) {
    // Asked for nothing, it gives nothing away.
    let _ = spawn(transport.read(&mut [])).poll();
    assert!(read_ahead(&mut transport) == glued);
    wire.take_outbound();
    for answer in ["first", "second"] {
        assert_ready_ok!(spawn(transport.write_all(answer.as_bytes())).poll());
        assert_eq!(wire.take_outbound(), answer.as_bytes());
        wire.feed(b"in the clear");
        assert_eq!(read_ahead(&mut transport), b"in the clear");
    }
    assert_ready_ok!(spawn(transport.shutdown()).poll());
    assert_eq!(wire.counts().shutdowns, 1);
    wire.at_end(Step::Zero);
    assert_eq!(assert_ready_ok!(spawn(transport.read(&mut [0])).poll()), 0);
}

#[track_caller]
fn assert_clean(closed: Closed) {
    assert!(closed.is_clean(), "{closed:?}");
}

#[test]
fn d05_what_is_glued_behind_close_notify_survives_every_split() {
    for case in CASES {
        for we_close_first in [true, false] {
            let len = case.alert_len() + GLUED.len();
            for cut in 0..=len {
                let mut rig = rig(case);
                let bytes = rig.close_notify_and(GLUED);
                assert_eq!(bytes.len(), len);
                if we_close_first {
                    assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                }
                rig.wire.feed(&bytes[..cut]);
                let first = spawn(rig.stream.read(&mut [0; 64])).poll();
                rig.wire.feed(&bytes[cut..]);
                if first.is_pending() {
                    assert!(cut < case.alert_len());
                    assert_eq!(assert_ready_ok!(spawn(rig.stream.read(&mut [0])).poll()), 0);
                }
                assert_clean(assert_ready_ok!(
                    spawn(rig.stream.shutdown_bidirectional()).poll()
                ));
                let outbound = rig.wire.take_outbound();
                assert_eq!(outbound.len(), case.alert_len());
                assert_live(&rig.wire, rig.stream.into_transport().unwrap(), GLUED);
            }
        }
    }
}

#[test]
fn d05_what_is_glued_behind_close_notify_survives_a_bidirectional_close_at_every_split() {
    for case in CASES {
        for cut in 0..=case.alert_len() + GLUED.len() {
            let mut rig = rig(case);
            let bytes = rig.close_notify_and(GLUED);
            rig.wire.feed(&bytes[..cut]);
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            let first = close.poll();
            rig.wire.feed(&bytes[cut..]);
            assert_eq!(first.is_pending(), cut < case.alert_len());
            if first.is_pending() {
                assert!(close.is_woken());
                assert_clean(assert_ready_ok!(close.poll()));
            }
            drop(close);
            rig.assert_wrote_and_closed(&[]);
            assert_live(&rig.wire, rig.stream.into_transport().unwrap(), GLUED);
        }
    }
}

#[test]
fn d05_nothing_is_lost_whatever_the_transport_gives_at_once() {
    // More than is read ahead at once, on both sides of close_notify.
    let data: Vec<u8> = (0..50_000_u32).map(|i| (i % 251) as u8).collect();
    let glued: Vec<u8> = (0..50_000_u32).map(|i| (i % 241) as u8).collect();
    for case in CASES {
        for size in [1, 5, 1000, 16 * 1024, usize::MAX] {
            let mut rig = rig(case);
            rig.wire.read_size(size);
            rig.peer.write(&data);
            let bytes = rig.close_notify_and(&glued);
            rig.wire.feed(&bytes);
            let mut got = Vec::new();
            assert_ready_ok!(spawn(rig.stream.read_to_end(&mut got)).poll());
            assert!(got == data);
            assert_clean(assert_ready_ok!(
                spawn(rig.stream.shutdown_bidirectional()).poll()
            ));
            assert_live(&rig.wire, rig.stream.into_transport().unwrap(), &glued);
        }
    }
}

#[test]
fn d05_a_close_that_discards_data_takes_nothing_glued_with_them() {
    for case in CASES {
        for size in [1, usize::MAX] {
            let mut rig = rig(case);
            rig.wire.read_size(size);
            rig.peer.write(&[7; 20_000]);
            let bytes = rig.close_notify_and(GLUED);
            rig.wire.feed(&bytes);
            let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
            let closed = loop {
                // It yields now and then.
                if let std::task::Poll::Ready(closed) = close.poll() {
                    break closed.unwrap();
                }
                assert!(close.is_woken());
            };
            drop(close);
            assert_clean(closed);
            assert_eq!(closed.discarded(), 20_000);
            assert_live(&rig.wire, rig.stream.into_transport().unwrap(), GLUED);
        }
    }
}

#[test]
fn d05_the_transport_and_what_was_read_ahead_can_be_had_apart() {
    for case in CASES {
        let mut rig = rig(case);
        let bytes = rig.close_notify_and(GLUED);
        rig.wire.feed(&bytes);
        assert_clean(assert_ready_ok!(
            spawn(rig.stream.shutdown_bidirectional()).poll()
        ));
        let (io, ahead) = rig.stream.into_transport().unwrap().into_parts();
        assert_eq!(ahead, GLUED);
        assert_live(&rig.wire, io, b"");
    }
}

#[test]
fn d05_the_streams_of_one_role_give_their_transport_back_too() {
    macro_rules! assert_reusable {
        ($rig:ident, $stream:expr) => {{
            let mut stream = GracefulStream::new($stream);
            assert_clean(assert_ready_ok!(
                spawn(stream.shutdown_bidirectional()).poll()
            ));
            assert_live(&$rig.wire, stream.into_transport().unwrap(), GLUED);
        }};
    }
    for case in CASES {
        let mut rig = rig(case);
        let bytes = rig.close_notify_and(GLUED);
        rig.wire.feed(&bytes);
        match rig.stream.into_inner() {
            TlsStream::Client(stream) => assert_reusable!(rig, stream),
            TlsStream::Server(stream) => assert_reusable!(rig, stream),
        }
    }
}

#[test]
fn d05_the_first_flight_may_have_been_read_before_tls_starts() {
    for case in CASES.into_iter().filter(|case| case.role == Role::Server) {
        let new = || Peer::new(case, case.client_config(), case.server_config());
        let len = new().take_queue().len();
        for cut in 0..=len {
            let mut peer = new();
            let hello = peer.take_queue();
            let cut = cut.min(hello.len());
            let wire = Wire::default();
            wire.feed(&hello[cut..]);
            let io = RecordAligned::with_prefix(wire.transport(), hello[..cut].to_vec());
            let (client, server) = (case.client_config(), case.server_config());
            let mut tls = GracefulStream::new(peer.meet(case, client, server, &wire, io));
            peer.receive(&wire.take_outbound());
            peer.write(b"data");
            peer.0.send_close_notify();
            wire.feed(&[&peer.take_queue(), GLUED].concat());
            let mut got = Vec::new();
            assert_ready_ok!(spawn(tls.read_to_end(&mut got)).poll());
            assert_eq!(got, b"data");
            assert_clean(assert_ready_ok!(spawn(tls.shutdown_bidirectional()).poll()));
            assert_live(&wire, tls.into_transport().unwrap(), GLUED);
        }
    }
}

/// TLS from the handshake to the transport that comes out of it. The peer sends `glued` right
/// behind its close_notify.
fn tls_once<IO: AsyncRead + AsyncWrite + Unpin + Debug>(
    case: Case,
    wire: &Wire,
    io: RecordAligned<IO>,
    mut peer: Peer,
    glued: &[u8],
) -> RecordAligned<IO> {
    let (client, server) = (case.client_config(), case.server_config());
    let mut tls = GracefulStream::new(peer.meet(case, client, server, wire, io));
    peer.receive(&wire.take_outbound());
    assert_ready_ok!(spawn(tls.write_all(b"question")).poll());
    assert_eq!(peer.receive(&wire.take_outbound()), b"question");
    peer.write(b"answer");
    peer.0.send_close_notify();
    wire.feed(&[&peer.take_queue(), glued].concat());
    let mut got = Vec::new();
    assert_ready_ok!(spawn(tls.read_to_end(&mut got)).poll());
    assert_eq!(got, b"answer");
    assert_clean(assert_ready_ok!(spawn(tls.shutdown_bidirectional()).poll()));
    peer.receive(&wire.take_outbound());
    assert!(peer.is_closed());
    tls.into_transport().unwrap()
}

/// Three peers for TLS three times, and the first flight of each.
fn peers(case: Case) -> [(Peer, Vec<u8>); 3] {
    std::array::from_fn(|_| {
        let mut peer = Peer::new(case, case.client_config(), case.server_config());
        let flight = peer.take_queue();
        (peer, flight)
    })
}

#[test]
fn d05_tls_again_on_the_transport_of_tls() {
    for case in CASES {
        for size in [1, usize::MAX] {
            let wire = Wire::default();
            wire.read_size(size);
            let [(first, hello), (second, hello_2), (third, hello_3)] = peers(case);
            wire.feed(&hello);
            let io = RecordAligned::new(wire.transport());
            let io = tls_once(case, &wire, io, first, &hello_2);
            let io = tls_once(case, &wire, RecordAligned::new(io), second, &hello_3);
            let io = tls_once(case, &wire, RecordAligned::new(io), third, GLUED);
            assert_live(&wire, io, GLUED);
        }
    }
}

#[test]
fn d05_tls_again_without_layers_that_grow() {
    for case in CASES {
        let wire = Wire::default();
        let peers = peers(case);
        wire.feed(&peers[0].1);
        let next: Vec<_> = (peers.iter().skip(1).map(|(_, hello)| hello.clone()))
            .chain([GLUED.to_vec()])
            .collect();
        let mut transport = RecordAligned::new(wire.transport());
        for ((peer, _), glued) in peers.into_iter().zip(next) {
            let (io, ahead) = transport.into_parts();
            let io = RecordAligned::with_prefix(io, ahead);
            transport = tls_once(case, &wire, io, peer, &glued);
        }
        assert_live(&wire, transport, GLUED);
    }
}

#[track_caller]
fn refused(stream: Tls, state: ShutdownState) -> Tls {
    let refused = stream.into_transport().unwrap_err();
    assert_eq!(refused.state(), state);
    let why = "the transport is still in use by TLS: both sides must send close_notify first";
    assert_eq!(refused.to_string(), why);
    refused.into_stream()
}

#[test]
fn d06_into_transport_is_refused_before_both_have_closed_and_the_stream_goes_on() {
    for case in CASES {
        let mut rig = rig(case).map(|stream| refused(stream, ShutdownState::NONE));
        let mut buf = [0; 16];
        rig.peer_writes(b"question");
        let n = assert_ready_ok!(spawn(rig.stream.read(&mut buf)).poll());
        assert_eq!(&buf[..n], b"question");
        assert_ready_ok!(spawn(rig.stream.write_all(b"answer")).poll());

        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        let mut rig = rig.map(|stream| refused(stream, ShutdownState::SENT));
        rig.peer_writes(b"more");
        let n = assert_ready_ok!(spawn(rig.stream.read(&mut buf)).poll());
        assert_eq!(&buf[..n], b"more");

        let bytes = rig.close_notify_and(GLUED);
        rig.wire.feed(&bytes);
        assert_clean(assert_ready_ok!(
            spawn(rig.stream.shutdown_bidirectional()).poll()
        ));
        rig.assert_wrote_and_closed(b"answer");
        assert_live(&rig.wire, rig.stream.into_transport().unwrap(), GLUED);
    }
}

/// What makes a state that was not exchanged.
type Assume = fn(&mut Tls);

#[test]
fn g19_into_transport_is_refused_where_the_alerts_only_count_as_exchanged() {
    let assumed: [(&str, Assume); 5] = [
        ("quiet shutdown", |tls| {
            tls.set_quiet_shutdown(true);
            let state = assert_ready_ok!(spawn(tls.close_notify()).poll());
            assert_eq!(state, ShutdownState::COMPLETE);
        }),
        ("a quiet bidirectional close", |tls| {
            tls.set_quiet_shutdown(true);
            let _ = assert_ready_ok!(spawn(tls.shutdown_bidirectional()).poll());
        }),
        ("set_state", |tls| tls.set_state(ShutdownState::COMPLETE)),
        ("set_state of the peer's", |tls| {
            tls.set_state(ShutdownState::RECEIVED);
            let _ = assert_ready_ok!(spawn(tls.shutdown_bidirectional()).poll());
        }),
        ("a policy of quiet", |tls| {
            tls.set_policy(ClosePolicy::Quiet);
            assert_ready_ok!(spawn(tls.shutdown()).poll());
            tls.set_state(ShutdownState::RECEIVED);
        }),
    ];
    for case in CASES {
        for (what, assume) in assumed {
            // A record that was written, and one of which a part was written.
            for taken in [usize::MAX, 7] {
                let mut rig = rig(case);
                rig.wire.set_room(taken);
                assert_ready_ok!(spawn(rig.stream.write_all(b"important")).poll());
                if taken == 7 && what.contains("policy") || what.contains("peer's") {
                    rig.wire.unblock_writes();
                }
                assume(&mut rig.stream);
                assert_eq!(rig.stream.state(), ShutdownState::COMPLETE, "{what}");
                let mut tls = refused(rig.stream, ShutdownState::COMPLETE);
                // The stream is as it was.
                assert_eq!(tls.state(), ShutdownState::COMPLETE);
            }
        }
    }
}

#[test]
fn g19_into_transport_is_refused_behind_a_fin_of_ours() {
    for case in CASES {
        for policy in [ClosePolicy::Notify, ClosePolicy::linger()] {
            for closed_before in [false, true] {
                let mut rig = rig(case);
                rig.stream.set_policy(policy);
                rig.peer_closes();
                if closed_before {
                    assert_clean(assert_ready_ok!(
                        spawn(rig.stream.shutdown_bidirectional()).poll()
                    ));
                }
                assert_ready_ok!(spawn(rig.stream.shutdown()).poll());
                assert_clean(assert_ready_ok!(
                    spawn(rig.stream.shutdown_bidirectional()).poll()
                ));
                assert_eq!(rig.stream.state(), ShutdownState::COMPLETE);
                refused(rig.stream, ShutdownState::COMPLETE);
            }
        }
    }
}

#[test]
fn g19_into_transport_is_refused_while_application_data_are_unread() {
    for case in CASES {
        for len in [2, 100, 16_384, 17_884, 40_000] {
            let mut rig = rig(case);
            rig.peer.write(&vec![7; len]);
            let bytes = rig.close_notify_and(GLUED);
            rig.wire.feed(&bytes);
            assert_ready_ok!(spawn(rig.stream.read_exact(&mut [0; 1])).poll());
            let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            rig.wire.take_outbound();
            let mut tls = refused(rig.stream, state);
            let mut rest = Vec::new();
            assert_ready_ok!(spawn(tls.read_to_end(&mut rest)).poll());
            assert_eq!(rest.len(), len - 1, "none of them is lost");
            assert_eq!(tls.state(), ShutdownState::COMPLETE);
            assert_live(&rig.wire, tls.into_transport().unwrap(), GLUED);
        }
    }
}

#[test]
fn g19_into_transport_is_refused_while_data_in_front_of_the_peers_alert_are_unread() {
    for case in CASES {
        let mut rig = rig(case);
        rig.peer.write(b"answer");
        let bytes = rig.close_notify_and(b"");
        // One record a read never brings both: given to rustls past the transport.
        match rig.stream.get_mut() {
            TlsStream::Client(tls) => receive(tls.get_mut().1, &bytes),
            TlsStream::Server(tls) => receive(tls.get_mut().1, &bytes),
        }
        let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        assert_eq!(state, ShutdownState::COMPLETE);
        let mut tls = refused(rig.stream, ShutdownState::COMPLETE);
        let mut answer = Vec::new();
        assert_ready_ok!(spawn(tls.read_to_end(&mut answer)).poll());
        assert_eq!(answer, b"answer");
        tls.into_transport().unwrap();
    }
}

fn receive<Data>(tls: &mut ConnectionCommon<Data>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        tls.read_tls(&mut bytes).unwrap();
        tls.process_new_packets().unwrap();
    }
}

#[test]
fn g19_an_undeliverable_alert_of_ours_is_not_exchanged() {
    for case in CASES {
        let mut rig = rig(case);
        rig.peer_closes();
        rig.wire.every_write(Step::Fail(ErrorKind::BrokenPipe));
        assert_clean(assert_ready_ok!(
            spawn(rig.stream.shutdown_bidirectional()).poll()
        ));
        refused(rig.stream, ShutdownState::RECEIVED);
    }
}

#[test]
fn d06_into_transport_is_refused_when_only_the_peer_has_closed() {
    for case in CASES {
        let mut rig = rig(case);
        let bytes = rig.close_notify_and(GLUED);
        rig.wire.feed(&bytes);
        assert_eq!(assert_ready_ok!(spawn(rig.stream.read(&mut [0])).poll()), 0);
        let mut rig = rig.map(|stream| refused(stream, ShutdownState::RECEIVED));
        assert_ready_ok!(spawn(rig.stream.write_all(b"answer")).poll());
        assert_clean(assert_ready_ok!(
            spawn(rig.stream.shutdown_bidirectional()).poll()
        ));
        rig.assert_wrote_and_closed(b"answer");
        assert_live(&rig.wire, rig.stream.into_transport().unwrap(), GLUED);
    }
}

#[test]
fn d06_an_alert_that_is_half_written_does_not_count() {
    for case in CASES {
        let mut rig = rig(case);
        let bytes = rig.close_notify_and(GLUED);
        rig.wire.feed(&bytes);
        rig.wire.on_write([Step::Take(3), Step::Block]);
        assert_pending!(spawn(rig.stream.shutdown_bidirectional().no_deadline()).poll());
        let mut rig = rig.map(|stream| refused(stream, ShutdownState::RECEIVED));
        assert_clean(assert_ready_ok!(
            spawn(rig.stream.shutdown_bidirectional()).poll()
        ));
        rig.assert_wrote_and_closed(&[]);
        assert_live(&rig.wire, rig.stream.into_transport().unwrap(), GLUED);
    }
}

/// What has arrived instead of TLS.
#[track_caller]
fn raw_bytes(stream: Tls) -> (Scripted, Vec<u8>) {
    let aligned = match stream.into_inner() {
        TlsStream::Client(stream) => stream.into_inner().0,
        TlsStream::Server(stream) => stream.into_inner().0,
    };
    aligned.into_parts()
}

#[test]
fn d07_plaintext_instead_of_close_notify_is_an_error_and_can_be_had() {
    for case in CASES {
        for plaintext in [GLUED, b"+OK\r\n", b"OK\r\n", b"\n"] {
            for we_close_first in [true, false] {
                let tracker = CloseTracker::new();
                let mut rig = rig(case);
                rig.stream.track(&tracker);
                if we_close_first {
                    assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                }
                rig.wire.feed(plaintext);
                for _ in 0..2 {
                    let close = spawn(rig.stream.shutdown_bidirectional().no_deadline()).poll();
                    let ShutdownError::Receive(error) = assert_ready_err!(close) else {
                        panic!("another error");
                    };
                    assert_eq!(error.kind(), ErrorKind::InvalidData);
                    assert!(error.to_string().contains("plaintext"), "{error}");
                }
                let error = assert_ready_err!(spawn(rig.stream.read(&mut [0; 64])).poll());
                assert_eq!(error.kind(), ErrorKind::InvalidData);
                rig.assert_wrote_and_closed(&[]);
                let rig = rig.map(|stream| refused(stream, ShutdownState::SENT));
                rig.wire.feed(b"and more");
                let (io, raw) = raw_bytes(rig.stream);
                assert_eq!(raw, plaintext);
                assert_live(&rig.wire, io, b"and more");
                assert_eq!((tracker.stats().failed, tracker.stats().total()), (1, 1));
            }
        }
    }
}

#[test]
fn d07_plaintext_instead_of_close_notify_ends_a_read() {
    for case in CASES {
        let tracker = CloseTracker::new();
        let mut rig = rig(case);
        rig.stream.track(&tracker);
        rig.peer.write(b"data");
        let bytes = [&rig.peer.take_queue(), GLUED].concat();
        rig.wire.feed(&bytes);
        let mut got = Vec::new();
        let error = assert_ready_err!(spawn(rig.stream.read_to_end(&mut got)).poll());
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("plaintext"), "{error}");
        assert_eq!(got, b"data");
        assert_eq!(raw_bytes(rig.stream).1, GLUED);
        assert_eq!((tracker.stats().failed, tracker.stats().total()), (1, 1));
    }
}

#[test]
fn d07_plaintext_and_the_end_instead_of_close_notify_can_be_had() {
    for case in CASES {
        for plaintext in [GLUED, b"OK\r\n", b"\n"] {
            let mut rig = rig(case);
            rig.wire.feed(plaintext);
            rig.wire.at_end(Step::Zero);
            let close = spawn(rig.stream.shutdown_bidirectional()).poll();
            assert!(matches!(
                assert_ready!(close),
                Err(ShutdownError::Receive(_))
            ));
            assert_eq!(raw_bytes(rig.stream).1, plaintext);
        }
    }
}

#[test]
fn d07_plaintext_instead_of_a_handshake_can_be_had() {
    for case in CASES {
        let wire = Wire::default();
        wire.feed(b"454\n");
        let io = RecordAligned::new(wire.transport());
        let (error, io) = match case.role {
            Role::Client => {
                let connector = TlsConnector::from(Arc::new(case.client_config()));
                let connect = connector.connect(pair::name(), io).into_fallible();
                assert_ready!(spawn(connect).poll()).err().unwrap()
            }
            Role::Server => {
                let acceptor = TlsAcceptor::from(Arc::new(case.server_config()));
                let accept = acceptor.accept(io).into_fallible();
                assert_ready!(spawn(accept).poll()).err().unwrap()
            }
        };
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert_eq!(io.into_parts().1, b"454\n");
    }
}

#[test]
fn b14_the_end_anywhere_in_close_notify_is_the_end_and_not_clean() {
    for case in CASES {
        for cut in 0..case.alert_len() {
            let mut rig = rig(case);
            let bytes = rig.close_notify_and(b"");
            rig.wire.feed(&bytes[..cut]);
            rig.wire.at_end(Step::Zero);
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert_eq!(closed.peer(), PeerClose::Eof);
            let reads = rig.wire.counts().reads;
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert_eq!(closed.peer(), PeerClose::Eof);
            assert_eq!(rig.wire.counts().reads, reads);
            rig.assert_wrote_and_closed(&[]);
            refused(rig.stream, ShutdownState::SENT);
        }
    }
}

#[test]
fn b16_a_reset_anywhere_in_close_notify_is_a_reset() {
    for case in CASES {
        for cut in 0..case.alert_len() {
            let mut rig = rig(case);
            let bytes = rig.close_notify_and(b"");
            rig.wire.feed(&bytes[..cut]);
            rig.wire.at_end(Step::Fail(ErrorKind::ConnectionReset));
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert_eq!(closed.peer(), PeerClose::Reset);
            refused(rig.stream, ShutdownState::SENT);
        }
    }
}

#[tokio::test]
async fn b16_a_reset_within_a_record_is_not_taken_for_the_end_though_a_socket_says_it_once() {
    for len in [100, 16_000] {
        for cut in [3, 5, 50, 99] {
            let io = tokio_test::io::Builder::new()
                .read(&record(len)[..cut])
                .read_error(ErrorKind::ConnectionReset.into())
                .build();
            let error = RecordAligned::new(io).read_to_end(&mut Vec::new()).await;
            assert_eq!(error.unwrap_err().kind(), ErrorKind::ConnectionReset);
        }
    }
}

#[test]
fn what_was_read_ahead_stays_out_of_logs() {
    let aligned = RecordAligned::with_prefix((), b"secret".to_vec());
    let printed = format!("{aligned:?}");
    assert!(printed.contains("ahead: 6"), "{printed}");
    assert!(!printed.contains("115, 101"), "{printed}");
}

/// A record of that many bytes, header and all.
fn record(len: u16) -> Vec<u8> {
    let [hi, lo] = (len - 5).to_be_bytes();
    let mut record = vec![0; len.into()];
    record[..5].copy_from_slice(&[23, 3, 3, hi, lo]);
    record
}

#[test]
fn short_records_are_read_at_once_and_a_long_one_in_two_reads() {
    for (lens, reads) in [
        (&[100; 40][..], 1),
        (&[16_000], 2),
        (&[100, 16_000, 100], 3),
    ] {
        let wire = Wire::default();
        let mut aligned = RecordAligned::new(wire.transport());
        lens.iter().for_each(|&len| wire.feed(&record(len)));
        let mut bytes = vec![0; lens.iter().map(|&len| usize::from(len)).sum()];
        assert_ready_ok!(spawn(aligned.read_exact(&mut bytes)).poll());
        assert_eq!(wire.counts().reads, reads, "{lens:?}");
    }
}

#[test]
fn a_read_of_nothing_does_not_wait_for_the_rest_of_a_record() {
    let wire = Wire::default();
    let mut aligned = RecordAligned::new(wire.transport());
    wire.feed(&record(16_000)[..10]);
    assert_eq!(
        assert_ready_ok!(spawn(aligned.read(&mut [0; 100])).poll()),
        10
    );
    assert_eq!(assert_ready_ok!(spawn(aligned.read(&mut [])).poll()), 0);
    assert_pending!(spawn(aligned.read(&mut [0; 100])).poll());
}

#[test]
fn writing_is_the_transports_own() {
    let wire = Wire::default();
    let mut aligned = RecordAligned::new(wire.transport());
    assert!(aligned.is_write_vectored());
    wire.every_flush(Step::Block);
    assert_pending!(spawn(aligned.flush()).poll());
    wire.unblock_flushes();
    assert_ready_ok!(spawn(aligned.flush()).poll());
    assert_eq!(wire.counts().flushes, 2);
    // `Mock` takes slices one by one.
    let plain = tokio_test::io::Builder::new().build();
    assert!(!RecordAligned::new(plain).is_write_vectored());
}
