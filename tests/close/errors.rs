//! What an error says once it is an `io::Error`, as most callers see it.

use std::{
    collections::HashSet,
    error::Error,
    io::{self, ErrorKind},
    iter,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::{assert_ready_err, task::spawn};
use tokio_tls_shutdown::{
    ClosePolicy, GracefulStream, PeerClose, ShutdownError, ShutdownExt, ShutdownState,
    is_missing_close_notify, tokio_rustls::rustls,
};

use crate::support::{CASES, Rig, Step, rustls_error};

/// A close that has failed because of a bad record.
fn failed_session() -> ShutdownError {
    let (mut stream, wire, mut forge) = Rig::new(CASES[0]).forge();
    let mut record = forge.close_notify();
    *record.last_mut().unwrap() ^= 1;
    wire.feed(&record);
    assert_ready_err!(spawn(stream.read(&mut [0; 1])).poll());
    assert_ready_err!(spawn(stream.close_notify()).poll())
}

#[test]
fn the_error_of_rustls_is_the_source_and_is_printed_once() {
    let error = failed_session();
    let source = error.source().unwrap();
    assert_eq!(source.downcast_ref(), Some(&rustls::Error::DecryptError));
    let ShutdownError::Tls(tls) = &error else {
        panic!("{error:?}");
    };
    assert_eq!(rustls_error(tls), Some(&rustls::Error::DecryptError));
    assert_eq!(tls.to_string(), rustls::Error::DecryptError.to_string());
    assert_eq!(tls.alert(), None, "the peer has sent none");
    let chain = io::Error::from(error);
    let texts = iter::successors(Some(&chain as &dyn Error), |e| (*e).source());
    let texts: Vec<_> = texts.map(ToString::to_string).collect();
    assert_eq!(
        texts.len(),
        texts.iter().collect::<HashSet<_>>().len(),
        "{texts:?}"
    );
}

#[test]
fn an_io_error_keeps_the_kind_and_the_cause() {
    let broken = || io::Error::from(ErrorKind::BrokenPipe);
    let table = [
        (ShutdownError::Handshaking, ErrorKind::NotConnected, false),
        (ShutdownError::Send(broken()), ErrorKind::BrokenPipe, true),
        (ShutdownError::SendTimedOut, ErrorKind::TimedOut, false),
        (
            ShutdownError::Receive(broken()),
            ErrorKind::BrokenPipe,
            true,
        ),
        (failed_session(), ErrorKind::InvalidData, true),
        (
            ShutdownError::Unclean(PeerClose::Eof),
            ErrorKind::UnexpectedEof,
            false,
        ),
        (
            ShutdownError::Unclean(PeerClose::Reset),
            ErrorKind::ConnectionReset,
            false,
        ),
        (
            ShutdownError::Unclean(PeerClose::TimedOut),
            ErrorKind::TimedOut,
            false,
        ),
        (
            ShutdownError::Unclean(PeerClose::DiscardLimit),
            ErrorKind::Other,
            false,
        ),
    ];
    for (error, kind, has_source) in table {
        let text = error.to_string();
        assert_eq!(error.source().is_some(), has_source, "{text}");
        let error = io::Error::from(error);
        assert_eq!((error.kind(), error.to_string()), (kind, text));
        let inner = error.get_ref().unwrap();
        assert!(inner.is::<ShutdownError>());
    }
}

#[test]
fn an_unclean_close_says_how_the_peer_has_ended() {
    for (peer, word) in [
        (PeerClose::CloseNotify, "closed with close_notify"),
        (PeerClose::Eof, "closed the transport without close_notify"),
        (PeerClose::Reset, "reset"),
        (PeerClose::TimedOut, "deadline"),
        (PeerClose::DiscardLimit, "discard limit"),
        (PeerClose::Assumed, "not waited for"),
    ] {
        let text = ShutdownError::Unclean(peer).to_string();
        assert!(text.contains(word) && text == peer.to_string(), "{text}");
    }
}

#[test]
fn a_missing_close_notify_is_known_through_other_errors() {
    let missing = || io::Error::from(ShutdownError::Unclean(PeerClose::Eof));
    assert!(is_missing_close_notify(&missing()));
    assert!(is_missing_close_notify(&io::Error::other(missing())));
    for other in [
        io::Error::from(ErrorKind::UnexpectedEof),
        io::Error::new(ErrorKind::UnexpectedEof, "early eof"),
        ShutdownError::Unclean(PeerClose::Reset).into(),
    ] {
        assert!(!is_missing_close_notify(&other), "{other:?}");
    }
}

#[test]
fn a_state_prints_as_its_name() {
    for (state, name) in [
        (ShutdownState::NONE, "NONE"),
        (ShutdownState::SENT, "SENT"),
        (ShutdownState::RECEIVED, "RECEIVED"),
        (ShutdownState::COMPLETE, "COMPLETE"),
        (ShutdownState::SENT | ShutdownState::RECEIVED, "COMPLETE"),
    ] {
        assert_eq!(format!("{state:?}"), name);
    }
}

/// Everything that a caller can learn from an error, but for the kinds that a chain begins with.
fn chain(error: &(dyn Error + 'static)) -> Vec<String> {
    let all = iter::successors(Some(error), |e| (*e).source());
    all.map(ToString::to_string).collect()
}

/// How a shutdown is made to fail.
type Failing = fn(&Rig);

#[tokio::test(start_paused = true)]
async fn a_shutdown_that_has_failed_says_why_each_time() {
    let ways: [(&str, Failing); 5] = [
        ("the transport does not close", |rig| {
            rig.wire.on_shutdown(Step::Fail(ErrorKind::OutOfMemory));
        }),
        ("an error of the system", |rig| {
            rig.wire.on_write([Step::Fail(ErrorKind::OutOfMemory)]);
        }),
        ("the peer is gone", |rig| {
            rig.wire.on_write([Step::Fail(ErrorKind::BrokenPipe)]);
        }),
        ("a bad record", |rig| rig.wire.feed(&[23, 3, 3, 0, 1, 0])),
        ("a bad record that a read has met", |_| {}),
    ];
    for case in CASES {
        for (what, fail) in &ways {
            for policy in [ClosePolicy::Notify, ClosePolicy::linger()] {
                let rig = Rig::new(case);
                fail(&rig);
                let mut rig = rig.map(GracefulStream::new);
                rig.stream.set_policy(policy);
                if *what == "a bad record that a read has met" {
                    rig.wire.feed(&[23, 3, 3, 0, 1, 0]);
                    rig.stream.read_u8().await.unwrap_err();
                }
                let Err(first) = rig.stream.shutdown().await else {
                    // It has not looked.
                    continue;
                };
                for _ in 0..2 {
                    let again = rig.stream.shutdown().await.expect_err(what);
                    assert_eq!(again.kind(), first.kind(), "{what}");
                    assert_eq!(chain(&again), chain(&first), "{what} {case:?}");
                    let is_ours = |e: &io::Error| {
                        e.get_ref().is_some_and(|inner| inner.is::<ShutdownError>())
                    };
                    assert_eq!(is_ours(&again), is_ours(&first), "{what}");
                }
            }
        }
    }
}
