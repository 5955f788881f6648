//! A: sending ours.

use std::{io::ErrorKind, task::Poll};

use rustls::{
    CipherSuiteCommon, ClientConfig, ClientConnection, RootCertStore, ServerConnection,
    SupportedCipherSuite, Tls12CipherSuite,
    crypto::{CryptoProvider, ring},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsStream, rustls};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseOnDrop, GracefulStream, ShutdownError, ShutdownExt, ShutdownState, tokio_rustls,
};

use crate::support::{CASES, Case, Rig, Role, Step, Version, forge, pair, rig::records};

#[test]
fn a01_queued_records_go_first_and_in_order() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let data: Vec<u8> = (0..50_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        rig.wire.every_write(Step::Block);
        assert_ready_ok!(spawn(rig.stream.write_all(&data)).poll());
        let mut close = spawn(rig.stream.close_notify().no_deadline());
        assert_pending!(close.poll());
        rig.wire.unblock_writes();
        assert!(close.is_woken());
        assert_eq!(assert_ready_ok!(close.poll()), ShutdownState::SENT);
        drop(close);
        rig.assert_wrote_and_closed(&data);
    }
}

#[test]
fn a02_the_transport_blocks_before_or_inside_the_alert() {
    for case in CASES {
        for sent in 0..case.alert_len() {
            let mut rig = Rig::new(case);
            match sent {
                0 => rig.wire.on_write([Step::Block]),
                _ => rig.wire.on_write([Step::Take(sent), Step::Block]),
            }
            let mut close = spawn(rig.stream.close_notify().no_deadline());
            assert_pending!(close.poll());
            assert_eq!(rig.wire.outbound_len(), sent);
            rig.wire.unblock_writes();
            assert!(close.is_woken());
            assert_eq!(assert_ready_ok!(close.poll()), ShutdownState::SENT);
            drop(close);
            rig.assert_wrote_and_closed(&[]);
        }
    }
}

#[test]
fn a02_sent_is_not_said_before_the_flush() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.on_flush([Step::Block]);
        let mut close = spawn(rig.stream.close_notify().no_deadline());
        assert_pending!(close.poll());
        rig.wire.unblock_flushes();
        assert!(close.is_woken());
        assert_eq!(assert_ready_ok!(close.poll()), ShutdownState::SENT);
    }
}

#[test]
fn a03_one_byte_a_poll_makes_one_alert() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Take(1));
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        assert_eq!(rig.wire.counts().writes, case.alert_len());
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a04_a_write_of_nothing_is_write_zero() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Zero);
        let error = assert_ready_err!(spawn(rig.stream.close_notify()).poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::WriteZero));
        let error = assert_ready_err!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::WriteZero));
        assert_eq!(rig.wire.counts().writes, 2, "one try a call");

        // Also where a long queue has to make room for the last data.
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        while spawn(rig.stream.write(&[7; 70_000])).poll().is_ready() {}
        rig.wire.every_write(Step::Zero);
        let error = assert_ready_err!(spawn(rig.stream.close_notify_with(b"bye")).poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::WriteZero));
    }
}

#[test]
fn a05_a_pending_flush_is_remembered() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.every_flush(Step::Block);
        assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
        // Dropped and called again, with everything written.
        let mut again = spawn(rig.stream.close_notify().no_deadline());
        assert_pending!(again.poll());
        rig.wire.unblock_flushes();
        assert!(again.is_woken());
        assert_ready_ok!(again.poll());
        drop(again);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a06_called_again_it_gives_the_same_answer_and_writes_nothing() {
    for case in CASES {
        let mut rig = Rig::new(case);
        for _ in 0..3 {
            let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            assert_eq!(state, ShutdownState::SENT);
        }
        rig.peer_closes();
        for _ in 0..3 {
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean());
            let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            assert_eq!(state, ShutdownState::COMPLETE);
        }
        assert_eq!(rig.wire.counts().reads, 1);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a07_after_a_fatal_alert_of_ours_nothing_more_is_sent() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        let mut bad = forge.seal(forge::APPLICATION_DATA, b"bad");
        *bad.last_mut().unwrap() ^= 1;
        wire.feed(&bad);
        assert_ready_err!(spawn(stream.read(&mut [0; 1])).poll());
        // tokio-rustls has told the peer.
        let outbound = wire.take_outbound();
        assert_eq!(
            forge.open(&outbound),
            (forge::ALERT, vec![forge::FATAL, 20])
        );
        for _ in 0..2 {
            let error = assert_ready_err!(spawn(stream.close_notify()).poll());
            assert!(matches!(
                error,
                ShutdownError::Tls(rustls::Error::DecryptError)
            ));
            let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
            assert!(matches!(
                error,
                ShutdownError::Tls(rustls::Error::DecryptError)
            ));
        }
        assert_eq!(wire.outbound_len(), 0);
    }
}

#[test]
fn a08_after_a_fatal_alert_of_theirs_nothing_is_sent_and_nobody_is_waited_for() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        wire.feed(&forge.alert(forge::FATAL, 40));
        assert_ready_err!(spawn(stream.read(&mut [0; 1])).poll());
        for _ in 0..2 {
            for error in [
                assert_ready_err!(spawn(stream.close_notify()).poll()),
                assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll()),
            ] {
                assert!(
                    matches!(
                        error,
                        ShutdownError::Tls(rustls::Error::AlertReceived(
                            rustls::AlertDescription::HandshakeFailure
                        ))
                    ),
                    "{error:?}"
                );
            }
        }
        assert_eq!(wire.outbound_len(), 0);
    }
}

#[test]
fn a09_an_unfinished_handshake_is_an_error_and_sends_no_alert_in_the_clear() {
    for case in CASES {
        let Rig {
            mut stream, wire, ..
        } = Rig::new(case);
        match &mut stream {
            TlsStream::Client(stream) => {
                let config = case.client_config().into();
                let mut fresh = ClientConnection::new(config, pair::name()).unwrap();
                // Its ClientHello is out, and no answer has come.
                fresh.write_tls(&mut Vec::new()).unwrap();
                *stream.get_mut().1 = fresh;
            }
            TlsStream::Server(stream) => {
                let config = case.server_config().into();
                *stream.get_mut().1 = ServerConnection::new(config).unwrap();
            }
        }
        // With early data the handshake is gone on with, and there is nothing to read.
        wire.at_end(Step::Zero);
        let errors = [
            assert_ready_err!(spawn(stream.close_notify()).poll()),
            assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll()),
            assert_ready_err!(spawn(stream.close_notify_with(b"data")).poll()),
        ];
        for error in errors {
            assert!(matches!(error, ShutdownError::Handshaking), "{error:?}");
        }
        let mut stream = GracefulStream::new(stream);
        assert_ready_err!(spawn(stream.shutdown()).poll());
        drop(CloseOnDrop::new(stream));
        assert_eq!(wire.outbound_len(), 0);
    }
}

#[test]
fn a11_a_stray_write_on_a_plain_stream_does_not_poison_a_later_close() {
    for case in CASES {
        for blocked in [false, true] {
            let mut rig = Rig::new(case);
            assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            rig.peer.receive(&rig.wire.take_outbound());
            assert!(rig.peer.is_closed());
            if blocked {
                rig.wire.every_write(Step::Block);
            }
            // Nobody can refuse it here; its bytes stay queued where the transport is blocked.
            let _ = spawn(rig.stream.write(b"stray data")).poll();
            rig.wire.take_outbound();
            rig.peer_closes();
            let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
            assert!(closed.is_clean());
            assert_eq!(rig.wire.outbound_len(), 0);
        }
    }
}

const GONE: [ErrorKind; 4] = [
    ErrorKind::BrokenPipe,
    ErrorKind::ConnectionReset,
    ErrorKind::ConnectionAborted,
    ErrorKind::NotConnected,
];

#[test]
fn a13_a_peer_that_has_closed_cleanly_and_left_is_success() {
    for case in CASES {
        for kind in GONE {
            for unread in [false, true] {
                let mut rig = Rig::new(case);
                rig.peer_closes();
                rig.wire.every_write(Step::Fail(kind));
                if !unread {
                    assert_ready_ok!(spawn(rig.stream.read(&mut [0; 1])).poll());
                    let state = assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                    assert_eq!(state, ShutdownState::RECEIVED, "ours was not delivered");
                }
                let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean());
            }
        }
    }
}

#[test]
fn a14_a_peer_that_has_not_closed_is_an_error_and_a_retry_makes_no_second_alert() {
    for case in CASES {
        for kind in GONE.into_iter().chain([ErrorKind::PermissionDenied]) {
            for taken in 0..case.alert_len() {
                let mut rig = Rig::new(case);
                if taken > 0 {
                    rig.wire.on_write([Step::Take(taken)]);
                }
                rig.wire.every_write(Step::Fail(kind));
                let error = assert_ready_err!(spawn(rig.stream.close_notify()).poll());
                assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == kind));
                let error = assert_ready_err!(spawn(rig.stream.shutdown_bidirectional()).poll());
                assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == kind));
                rig.wire.unblock_writes();
                assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
                rig.assert_wrote_and_closed(&[]);
            }
        }
    }
}

#[test]
fn a14_a_flush_that_fails_is_an_error_too() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.wire.on_flush([Step::Fail(ErrorKind::BrokenPipe)]);
        let error = assert_ready_err!(spawn(rig.stream.close_notify()).poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::BrokenPipe));
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn a01_queued_records_go_first_however_many_and_though_the_peer_has_closed() {
    for case in CASES {
        for count in [1, 62, 63, 64, 65, 500] {
            for (last, peer_closed) in [
                (&b""[..], false),
                (b"", true),
                (b"bye", false),
                (b"bye", true),
            ] {
                let expected = match peer_closed {
                    true => ShutdownState::COMPLETE,
                    false => ShutdownState::SENT,
                };
                let mut rig = Rig::new(case);
                rig.wire.every_write(Step::Block);
                for _ in 0..count {
                    assert_ready_ok!(spawn(rig.stream.write_all(b"x")).poll());
                }
                if peer_closed {
                    rig.peer_closes();
                    assert_ready_ok!(spawn(rig.stream.read_to_end(&mut Vec::new())).poll());
                }
                for _ in 0..3 {
                    rig.wire.on_write([Step::Take(100), Step::Block]);
                    let close = rig.stream.close_notify_with(last).no_deadline();
                    if let Poll::Ready(state) = spawn(close).poll() {
                        assert_eq!(state.unwrap(), expected);
                    }
                }
                rig.wire.unblock_writes();
                let close = rig.stream.close_notify_with(last);
                let state = assert_ready_ok!(spawn(close).poll());
                assert_eq!(state, expected);
                rig.assert_wrote_and_closed(&[&vec![b'x'; count], last].concat());
            }
        }
    }
}

#[test]
fn a15_the_last_data_and_the_alert_go_out_in_one_write() {
    for case in CASES {
        let mut rig = Rig::new(case);
        let state = assert_ready_ok!(spawn(rig.stream.close_notify_with(b"bye")).poll());
        assert_eq!(state, ShutdownState::SENT);
        assert_eq!(rig.wire.counts().writes, 1);
        rig.assert_wrote_and_closed(b"bye");

        // What was blocked before goes with it.
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        let before = [b'x'; 30_000];
        let taken = assert_ready_ok!(spawn(rig.stream.write(&before)).poll());
        assert_eq!(taken, before.len());
        rig.wire.unblock_writes();
        rig.wire.reset_counts();
        assert_ready_ok!(spawn(rig.stream.close_notify_with(b"bye")).poll());
        assert_eq!(rig.wire.counts().writes, 1);
        rig.assert_wrote_and_closed(&[&before[..], b"bye"].concat());
    }
}

#[test]
fn a15_a_buffer_limit_of_the_users_does_not_hold_the_last_data_back() {
    fn limited(case: Case, queued: &[u8]) -> Rig {
        let mut rig = Rig::new(case);
        rig.wire.every_write(Step::Block);
        assert_ready_ok!(spawn(rig.stream.write(queued)).poll());
        match &mut rig.stream {
            TlsStream::Client(tls) => tls.get_mut().1.set_buffer_limit(Some(10)),
            TlsStream::Server(tls) => tls.get_mut().1.set_buffer_limit(Some(10)),
        }
        rig.wire.unblock_writes();
        rig
    }

    for case in CASES {
        let mut rig = limited(case, b"what waits to be written");
        assert_ready_ok!(spawn(rig.stream.close_notify_with(b", bye")).poll());
        rig.assert_wrote_and_closed(b"what waits to be written, bye");

        // Unless what waits is as long as an alert: then they may have been queued before.
        let mut rig = limited(case, b"ok");
        let close = assert_ready!(spawn(rig.stream.close_notify_with(b", bye")).poll());
        if case.is_tls13() {
            assert!(matches!(close, Err(ShutdownError::Tls(_))), "{close:?}");
            assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
            rig.assert_wrote_and_closed(b"ok");
        } else {
            rig.assert_wrote_and_closed(b"ok, bye");
        }
    }
}

#[test]
fn a15_last_data_of_any_length_is_sent_once_though_the_call_is_dropped_and_repeated() {
    for case in CASES {
        let data = vec![7; 300_000];
        let mut rig = Rig::new(case);
        rig.wire.on_write([Step::Take(100_000), Step::Block]);
        assert_pending!(spawn(rig.stream.close_notify_with(&data).no_deadline()).poll());
        rig.wire.on_write([Step::Take(100_000), Step::Block]);
        assert_pending!(spawn(rig.stream.close_notify_with(&data).no_deadline()).poll());
        rig.wire.on_write([Step::Take(100), Step::Block]);
        assert_pending!(spawn(rig.stream.close_notify().no_deadline()).poll());
        assert_ready_ok!(spawn(rig.stream.close_notify_with(&data)).poll());
        rig.assert_wrote_and_closed(&data);
    }
}

#[test]
fn a15_last_data_is_sent_once_wherever_a_repeated_call_finds_the_queue() {
    for case in CASES {
        // One that rustls takes as it is, and one that is longer than its buffer; behind a queue
        // that has room, and one that has not.
        for (data, before) in [(10, 0), (10, 1), (100_000, 0), (200_000, 1), (10, 70_000)] {
            for taken in [1, 10_000, 60_000, 65_000, 66_000, 150_000] {
                let mut rig = Rig::new(case);
                rig.wire.every_write(Step::Block);
                let mut sent = vec![1; before];
                sent.truncate(assert_ready_ok!(spawn(rig.stream.write(&sent)).poll()));
                let data = vec![7; data];
                for step in [1, taken].into_iter().chain([1; 20]) {
                    rig.wire.on_write([Step::Take(step), Step::Block]);
                    let _ = spawn(rig.stream.close_notify_with(&data).no_deadline()).poll();
                }
                rig.wire.unblock_writes();
                assert_ready_ok!(spawn(rig.stream.close_notify_with(&data)).poll());
                sent.extend_from_slice(&data);
                rig.assert_wrote_and_closed(&sent);
            }
        }
    }
}

#[test]
fn a16_an_alert_that_rustls_has_queued_itself_is_flushed_and_not_repeated() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.stream.get_mut().1.send_close_notify();
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.assert_wrote_and_closed(&[]);
    }
}

/// A provider whose keys of TLS 1.2 are good for so many records.
fn short_lived_keys(records: u64) -> CryptoProvider {
    let suite = ring::cipher_suite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256;
    let SupportedCipherSuite::Tls12(suite) = suite else {
        panic!("not of TLS 1.2");
    };
    let suite = Tls12CipherSuite {
        common: CipherSuiteCommon {
            suite: suite.common.suite,
            hash_provider: suite.common.hash_provider,
            confidentiality_limit: records,
        },
        prf_provider: suite.prf_provider,
        kx: suite.kx,
        sign: suite.sign,
        aead_alg: suite.aead_alg,
    };
    let suite = SupportedCipherSuite::Tls12(Box::leak(Box::new(suite)));
    CryptoProvider {
        cipher_suites: vec![suite],
        ..ring::default_provider()
    }
}

#[test]
fn a16_keys_that_are_used_up_are_closed_with_one_alert() {
    let case = Case::new(Version::Tls12, Role::Client);
    for blocked in [false, true] {
        let mut roots = RootCertStore::empty();
        roots.add(pair::identity().0.clone()).unwrap();
        let client = ClientConfig::builder_with_provider(short_lived_keys(4).into())
            .with_protocol_versions(&[&rustls::version::TLS12])
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut rig = Rig::with(case, client, case.server_config());
        if blocked {
            rig.wire.every_write(Step::Block);
        }
        // Behind Finished there is room for three; rustls closes where the fourth would be.
        for _ in 0..4 {
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
        rig.assert_wrote_and_closed(b"xxx");
    }
}

#[test]
fn a17_a_fatal_alert_behind_ours_is_never_written() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        let mut bad = forge.seal(forge::APPLICATION_DATA, b"bad");
        *bad.last_mut().unwrap() ^= 1;
        wire.feed(&bad);
        for _ in 0..2 {
            assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
            assert_ready_err!(spawn(stream.close_notify()).poll());
        }
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn a17_no_renegotiation_behind_ours_is_never_written() {
    let case = Case::new(Version::Tls12, Role::Client);
    for taken in 0..=case.alert_len() {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        if taken > 0 {
            wire.on_write([Step::Take(taken)]);
        }
        wire.every_write(Step::Block);
        let hello_request = forge.seal(forge::HANDSHAKE, &[0, 0, 0, 0]);
        let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
        assert_pending!(close.poll());
        wire.feed(&hello_request);
        assert_pending!(close.poll());
        wire.unblock_writes();
        assert_pending!(close.poll());
        drop(close);
        wire.feed(&forge.close_notify());
        let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn each_stream_type_can_be_closed() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_closes();
        match &mut rig.stream {
            TlsStream::Client(stream) => {
                let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean() && stream.received_close_notify());
            }
            TlsStream::Server(stream) => {
                let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean() && stream.received_close_notify());
            }
        }
        assert!(rig.stream.received_close_notify());
        assert_eq!(records(&rig.wire.take_outbound()).len(), 1);
    }
}

#[cfg(feature = "early-data")]
mod early_data {
    use std::{sync::Arc, task::Poll};

    use rustls::server::ServerSessionMemoryCache;
    use tokio_rustls::TlsConnector;

    use super::*;
    use crate::support::{Peer, Scripted, Wire};

    const CASE: Case = Case::new(Version::Tls13, Role::Client);

    /// A client that has written early data which nobody has answered yet.
    fn early(accepted: bool, data: &[u8]) -> (TlsStream<Scripted>, Wire, Peer, usize) {
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
        let connect = connector.connect(pair::name(), wire.transport());
        let mut stream = TlsStream::from(assert_ready_ok!(spawn(connect).poll()));
        let mut taken = 0;
        while let Poll::Ready(n) = spawn(stream.write(&data[taken..])).poll() {
            match n.unwrap() {
                0 => break,
                n => taken += n,
            }
        }
        (stream, wire, peer, taken)
    }

    fn early_bytes(peer: &mut Peer) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let rustls::Connection::Server(server) = &mut peer.0 {
            if let Some(mut early) = server.early_data() {
                std::io::Read::read_to_end(&mut early, &mut bytes).unwrap();
            }
        }
        bytes
    }

    /// A call, and whether it waits for the peer.
    type Call = fn(&mut TlsStream<Scripted>) -> Poll<Result<ShutdownState, ShutdownError>>;

    const CALLS: [Call; 3] = [
        |stream| spawn(stream.close_notify().no_deadline()).poll(),
        |stream| spawn(stream.close_notify_with(LAST).no_deadline()).poll(),
        |stream| {
            let closed = spawn(stream.shutdown_bidirectional().no_deadline()).poll();
            closed.map_ok(|closed| {
                assert!(closed.is_clean());
                ShutdownState::SENT
            })
        },
    ];
    const LAST: &[u8] = b", late";

    #[test]
    fn a10_early_data_arrives_before_the_alert_though_the_call_is_dropped_at_every_poll() {
        // In one record and in many.
        for early_data in [&b"early"[..], &[b'x'; 30_000]] {
            for accepted in [true, false] {
                for most in [1, 7, 1000, 100_000] {
                    for (i, call) in CALLS.into_iter().enumerate() {
                        // Byte by byte it takes too long, and where it is refused the peer, which
                        // skips it, does not take so much at once.
                        if early_data.len() > 1000 && (most < 1000 || !accepted) {
                            continue;
                        }
                        let (mut stream, wire, mut peer, taken) = early(accepted, early_data);
                        let mut data = Vec::new();
                        let mut closed = None;
                        for _ in 0..10_000 {
                            wire.on_write([Step::Take(most), Step::Block]);
                            let done = call(&mut stream);
                            let late = peer.receive(&wire.take_outbound());
                            data.extend(early_bytes(&mut peer));
                            data.extend(late);
                            if peer.is_closed() {
                                peer.0.send_close_notify();
                            }
                            wire.feed(&peer.take_queue());
                            if let Poll::Ready(state) = done {
                                closed = Some(state.unwrap());
                                break;
                            }
                        }
                        let case = format!("accepted: {accepted}, {most} at a time, call {i}");
                        assert_eq!(closed, Some(ShutdownState::SENT), "{case}");
                        assert!(peer.is_closed(), "no close_notify: {case}");
                        let last = if i == 1 { LAST } else { b"" };
                        assert!(
                            data == [&early_data[..taken], last].concat(),
                            "{case}: {}",
                            data.len()
                        );
                    }
                }
            }
        }
    }

    #[test]
    fn a10_a_server_that_goes_away_in_the_handshake_is_an_error() {
        let (mut stream, wire, _peer, _) = early(true, b"early");
        wire.at_end(Step::Zero);
        let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(matches!(&error, ShutdownError::Send(e) if e.kind() == ErrorKind::UnexpectedEof));
    }

    #[test]
    fn a10_a_server_that_does_not_speak_tls_in_the_handshake_is_an_error_of_tls() {
        let (mut stream, wire, _peer, _) = early(true, b"early");
        wire.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
    }
}
