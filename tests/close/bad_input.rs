//! B20, B21, B23, B25: whatever bad input comes after our close_notify, it is an error, never a
//! panic, and makes us write nothing.

use rustls::{AlertDescription, Error, InvalidMessage, PeerMisbehaved};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::{TlsStream, rustls};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    Closed, GracefulStream, PeerClose, ShutdownError, ShutdownExt, ShutdownState, tokio_rustls,
};

use crate::support::{
    Arrival, CASES, Case, Forge, Rig, Scripted, Step, Wire,
    forge::{
        ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, CLOSE_NOTIFY, FATAL, HANDSHAKE,
        HANDSHAKE_FAILURE, WARNING, plain_record,
    },
    is_unnamed, poll_while_woken, tls_error,
};

type Expected = fn(&Error) -> bool;

/// What a bad input ends in.
#[derive(Clone, Copy)]
enum Ends {
    /// rustls fails, and does not want to tell the peer: the same error in every build.
    With(Expected),
    /// rustls wants to send a fatal alert behind our close_notify. Builds with debug assertions
    /// unwind there, and do not know the reason.
    Refused(Expected),
    /// The transport ends.
    Eof,
}

impl Ends {
    #[track_caller]
    fn check(self, error: &ShutdownError, context: &str) {
        let is_expected = match (self, tls_error(error)) {
            (Self::With(expected) | Self::Refused(expected), Some(e)) => expected(e),
            (Self::Refused(_), None) => is_unnamed(error),
            (Self::With(_), None) => false,
            (Self::Eof, _) => matches!(error, ShutdownError::Unclean(PeerClose::Eof)),
        };
        assert!(is_expected, "{context}: {error:?}");
    }

    fn is_eof(self) -> bool {
        matches!(self, Self::Eof)
    }
}

struct BadInput {
    name: &'static str,
    bytes: fn(&mut Forge) -> Vec<u8>,
    ends: Ends,
}

const INPUTS: &[BadInput] = &[
    BadInput {
        name: "garbage",
        bytes: |_| vec![0xff; 40],
        ends: Ends::Refused(invalid_content_type),
    },
    BadInput {
        name: "another protocol",
        bytes: |_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        ends: Ends::Refused(invalid_content_type),
    },
    BadInput {
        name: "a content type that does not exist",
        bytes: |_| plain_record(99, &[0; 20]),
        ends: Ends::Refused(invalid_content_type),
    },
    BadInput {
        name: "a heartbeat",
        bytes: |_| plain_record(24, &[0; 20]),
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "a version that does not exist",
        bytes: |_| vec![APPLICATION_DATA, 2, 0, 0, 20],
        ends: Ends::Refused(|e| {
            *e == Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)
        }),
    },
    BadInput {
        name: "a header that announces too much",
        bytes: |_| vec![APPLICATION_DATA, 3, 3, 0xff, 0xff],
        ends: Ends::Refused(too_long),
    },
    BadInput {
        name: "a record that holds too much",
        bytes: |forge| forge.seal(APPLICATION_DATA, &[7; (1 << 14) + 1]),
        ends: Ends::Refused(too_long),
    },
    BadInput {
        name: "a record that is longer than any",
        bytes: |forge| forge.seal(APPLICATION_DATA, &[7; (1 << 14) + 3000]),
        ends: Ends::Refused(too_long),
    },
    BadInput {
        name: "a bad MAC",
        bytes: |forge| {
            let mut record = forge.seal(APPLICATION_DATA, b"data");
            *record.last_mut().unwrap() ^= 1;
            record
        },
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "a bad MAC of a close_notify",
        bytes: |forge| {
            let mut record = forge.close_notify();
            *record.last_mut().unwrap() ^= 1;
            record
        },
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "a record left out",
        bytes: |forge| {
            forge.seal(APPLICATION_DATA, b"data");
            forge.close_notify()
        },
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "a record that comes twice",
        bytes: |forge| {
            let record = forge.seal(APPLICATION_DATA, b"data");
            [record.clone(), record].concat()
        },
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "a record too short for a MAC",
        bytes: |_| plain_record(APPLICATION_DATA, &[7; 15]),
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "a record without a body",
        bytes: |_| plain_record(APPLICATION_DATA, &[]),
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "application data in the clear",
        bytes: |_| plain_record(APPLICATION_DATA, b"data in the clear"),
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "close_notify in the clear",
        bytes: |_| plain_record(ALERT, &[WARNING, CLOSE_NOTIFY]),
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "a fatal alert in the clear",
        bytes: |_| plain_record(ALERT, &[FATAL, HANDSHAKE_FAILURE]),
        ends: Ends::Refused(|e| handshake_failure(e) || decrypt_error(e)),
    },
    BadInput {
        name: "a handshake message in the clear",
        bytes: |_| plain_record(HANDSHAKE, &[0, 0, 0, 0]),
        ends: Ends::Refused(decrypt_error),
    },
    BadInput {
        name: "change_cipher_spec in the clear",
        bytes: |_| plain_record(CHANGE_CIPHER_SPEC, &[1]),
        ends: Ends::Refused(|e| inappropriate(e) || decrypt_error(e)),
    },
    BadInput {
        name: "change_cipher_spec, encrypted",
        bytes: |forge| forge.seal(CHANGE_CIPHER_SPEC, &[1]),
        ends: Ends::Refused(|e| invalid_message(e) || matches!(e, Error::PeerMisbehaved(_))),
    },
    BadInput {
        name: "an unknown content type, encrypted",
        bytes: |forge| forge.seal(99, b"data"),
        ends: Ends::Refused(|e| invalid_message(e) || inappropriate(e)),
    },
    BadInput {
        name: "a fatal alert",
        bytes: |forge| forge.alert(FATAL, HANDSHAKE_FAILURE),
        ends: Ends::With(handshake_failure),
    },
    BadInput {
        name: "an alert of an unknown level",
        bytes: |forge| forge.alert(3, HANDSHAKE_FAILURE),
        ends: Ends::Refused(handshake_failure),
    },
    BadInput {
        name: "an alert cut short",
        bytes: |forge| forge.seal(ALERT, &[WARNING]),
        ends: Ends::Refused(invalid_message),
    },
    BadInput {
        name: "an alert with more behind it",
        bytes: |forge| forge.seal(ALERT, &[WARNING, CLOSE_NOTIFY, 0]),
        ends: Ends::Refused(invalid_message),
    },
    BadInput {
        name: "an unknown handshake message",
        bytes: |forge| forge.seal(HANDSHAKE, &[200, 0, 0, 1, 0]),
        ends: Ends::Refused(inappropriate),
    },
    BadInput {
        name: "half a handshake message, then close_notify",
        bytes: |forge| [forge.seal(HANDSHAKE, &HALF), forge.close_notify()].concat(),
        ends: Ends::With(interleaved),
    },
    BadInput {
        name: "half a handshake message, then data",
        bytes: |forge| {
            let data = |forge: &mut Forge| forge.seal(APPLICATION_DATA, b"data");
            [forge.seal(HANDSHAKE, &HALF), data(forge)].concat()
        },
        ends: Ends::With(interleaved),
    },
    BadInput {
        name: "half a handshake message, then the end",
        bytes: |forge| forge.seal(HANDSHAKE, &HALF),
        ends: Ends::Eof,
    },
    BadInput {
        name: "a handshake message that announces too much",
        bytes: |forge| forge.seal(HANDSHAKE, &[4, 0xff, 0xff, 0xff, 0]),
        ends: Ends::With(invalid_message),
    },
    BadInput {
        name: "the end within a header",
        bytes: |_| vec![APPLICATION_DATA, 3, 3],
        ends: Ends::Eof,
    },
    BadInput {
        name: "the end within data",
        bytes: |forge| all_but_one(forge.seal(APPLICATION_DATA, b"data")),
        ends: Ends::Eof,
    },
    BadInput {
        name: "the end within close_notify",
        bytes: |forge| all_but_one(forge.close_notify()),
        ends: Ends::Eof,
    },
    BadInput {
        name: "a flood of records without data",
        bytes: |forge| {
            (0..33)
                .flat_map(|_| forge.seal(APPLICATION_DATA, b""))
                .collect()
        },
        ends: Ends::With(|e| *e == Error::PeerMisbehaved(PeerMisbehaved::TooManyEmptyFragments)),
    },
];

/// A key_update that lacks its body.
const HALF: [u8; 4] = [24, 0, 0, 1];

fn all_but_one(mut record: Vec<u8>) -> Vec<u8> {
    record.pop();
    record
}

fn invalid_content_type(e: &Error) -> bool {
    *e == Error::InvalidMessage(InvalidMessage::InvalidContentType)
}

fn invalid_message(e: &Error) -> bool {
    matches!(e, Error::InvalidMessage(_))
}

fn too_long(e: &Error) -> bool {
    matches!(
        e,
        Error::PeerSentOversizedRecord | Error::InvalidMessage(InvalidMessage::MessageTooLarge)
    )
}

fn decrypt_error(e: &Error) -> bool {
    *e == Error::DecryptError
}

fn handshake_failure(e: &Error) -> bool {
    *e == Error::AlertReceived(AlertDescription::HandshakeFailure)
}

fn inappropriate(e: &Error) -> bool {
    matches!(
        e,
        Error::InappropriateMessage { .. } | Error::InappropriateHandshakeMessage { .. }
    )
}

fn interleaved(e: &Error) -> bool {
    *e == Error::PeerMisbehaved(PeerMisbehaved::MessageInterleavedWithHandshakeMessage)
}

/// Calls once more, with a good close_notify of the peer there to be read.
#[track_caller]
fn assert_fails_again(
    stream: &mut impl ShutdownExt,
    wire: &Wire,
    forge: &mut Forge,
    context: &str,
) {
    wire.feed(&forge.close_notify());
    for _ in 0..2 {
        let again = assert_ready!(poll_while_woken(&mut spawn(
            stream.shutdown_bidirectional()
        )));
        let error = again.and_then(Closed::require_clean);
        assert!(error.is_err(), "{context}: {error:?} the second time");
        assert!(!stream.received_close_notify(), "{context}");
    }
}

/// Where every cut is tried already.
const SOME_WAYS: [Arrival; 3] = [Arrival::Whole, Arrival::ByteByByte, Arrival::Cut(2)];

/// Closes while `input` arrives, and returns how that ends.
fn close_meanwhile(
    stream: &mut impl ShutdownExt,
    wire: &Wire,
    forge: &mut Forge,
    input: &BadInput,
    way: Arrival,
) -> ShutdownError {
    let bytes = (input.bytes)(forge);
    let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
    let mut poll = way.poll(&mut close, wire, &bytes);
    if input.ends.is_eof() {
        assert_pending!(poll, "{} before the end", input.name);
        wire.at_end(Step::Zero);
        assert!(close.is_woken());
        poll = poll_while_woken(&mut close);
    }
    let result = assert_ready!(poll, "{} {way:?}", input.name);
    (result.and_then(Closed::require_clean)).expect_err(input.name)
}

#[test]
fn b20_bad_input_is_an_error_and_nothing_follows_our_close_notify() {
    for case in CASES {
        for input in INPUTS {
            let len = (input.bytes)(&mut Rig::new(case).forge().2).len();
            for way in Arrival::ways(len) {
                let context = format!("{} {way:?} {case:?}", input.name);
                let (mut stream, wire, mut forge) = Rig::new(case).forge();
                let error = close_meanwhile(&mut stream, &wire, &mut forge, input, way);
                input.ends.check(&error, &context);
                assert_fails_again(&mut stream, &wire, &mut forge, &context);
                forge.assert_only_close_notify(&wire.take_outbound());
                assert_eq!(wire.counts().shutdowns, 0);
            }
        }
    }
}

#[test]
fn b20_so_it_is_after_a_close_notify_that_was_waited_for_and_on_a_graceful_stream() {
    for case in CASES {
        for input in INPUTS {
            for way in SOME_WAYS {
                let context = format!("{} {way:?} {case:?}", input.name);
                let (mut stream, wire, mut forge) = Rig::new(case).map(GracefulStream::new).forge();
                assert_ready!(spawn(stream.close_notify()).poll()).unwrap();
                let error = close_meanwhile(&mut stream, &wire, &mut forge, input, way);
                input.ends.check(&error, &context);
                assert_fails_again(&mut stream, &wire, &mut forge, &context);
                forge.assert_only_close_notify(&wire.take_outbound());
            }
        }
    }
}

#[test]
fn b20_behind_a_good_record_a_bad_header_is_an_error_wherever_the_input_is_cut() {
    let headers: [(Vec<u8>, Expected); 6] = [
        (vec![0xff; 40], invalid_content_type),
        (
            b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
            invalid_content_type,
        ),
        (vec![APPLICATION_DATA, 2, 0, 0, 20], |e| {
            *e == Error::InvalidMessage(InvalidMessage::UnknownProtocolVersion)
        }),
        (vec![APPLICATION_DATA, 3, 3, 0xff, 0xff], too_long),
        (plain_record(CHANGE_CIPHER_SPEC, &[1]), |e| {
            decrypt_error(e) || inappropriate(e)
        }),
        (plain_record(ALERT, &[FATAL, HANDSHAKE_FAILURE]), |e| {
            handshake_failure(e) || decrypt_error(e)
        }),
    ];
    for case in CASES {
        for (bad, expected) in &headers {
            let good = Rig::new(case)
                .forge()
                .2
                .seal(APPLICATION_DATA, b"good")
                .len();
            for cut in 1..good + bad.len() {
                let (mut stream, wire, mut forge) = Rig::new(case).forge();
                let bytes = [forge.seal(APPLICATION_DATA, b"good"), bad.clone()].concat();
                let cut = Arrival::Cut(cut);
                let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
                let error = assert_ready_err!(cut.poll(&mut close, &wire, &bytes));
                drop(close);
                let context = format!("{bad:?} {cut:?} {case:?}");
                Ends::Refused(*expected).check(&error, &context);
                assert_fails_again(&mut stream, &wire, &mut forge, &context);
                forge.assert_only_close_notify(&wire.take_outbound());
            }
        }
    }
}

#[test]
fn b20_before_our_close_notify_bad_input_is_named_in_every_build() {
    for case in CASES {
        for input in INPUTS.iter().filter(|input| !input.ends.is_eof()) {
            for way in SOME_WAYS {
                let context = format!("{} {way:?} {case:?}", input.name);
                let (stream, wire, mut forge) = Rig::new(case).forge();
                let mut stream = GracefulStream::new(stream);
                let bytes = (input.bytes)(&mut forge);
                let mut data = Vec::new();
                let mut read = spawn(stream.read_to_end(&mut data));
                let error = assert_ready_err!(way.poll(&mut read, &wire, &bytes), "{context}");
                drop(read);
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidData, "{context}");
                // rustls tells the peer, or not.
                wire.take_outbound();
                let (Ends::With(expected) | Ends::Refused(expected)) = input.ends else {
                    unreachable!("it has no end");
                };
                for _ in 0..2 {
                    for error in [
                        assert_ready_err!(spawn(stream.close_notify()).poll()),
                        assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll()),
                    ] {
                        let is_named = tls_error(&error).is_some_and(expected);
                        assert!(is_named, "{context}: {error:?}");
                    }
                }
                assert_eq!(wire.take_outbound(), b"", "{context}");
            }
        }
    }
}

#[test]
fn b20_while_our_close_notify_is_blocked_nothing_else_is_written() {
    for case in CASES {
        for input in INPUTS {
            for taken in [0, 1, 5, case.alert_len() - 1] {
                for way in SOME_WAYS {
                    let context = format!("{} {way:?} {case:?}, {taken} written", input.name);
                    let (mut stream, wire, mut forge) = Rig::new(case).forge();
                    if taken > 0 {
                        wire.on_write([Step::Take(taken)]);
                    }
                    wire.every_write(Step::Block);
                    blocked(&mut stream, &wire, &mut forge, (input, way), &context);
                    wire.unblock_writes();
                    assert_fails_again(&mut stream, &wire, &mut forge, &context);
                    // What rustls has not failed on does not keep us from finishing our alert.
                    let outbound = wire.take_outbound();
                    match outbound.len() == taken {
                        true => assert!(!input.ends.is_eof(), "{context}"),
                        false => forge.assert_only_close_notify(&outbound),
                    }
                }
            }
        }
    }
}

/// Closes while `input` arrives and our close_notify is blocked.
fn blocked(
    stream: &mut TlsStream<Scripted>,
    wire: &Wire,
    forge: &mut Forge,
    (input, way): (&BadInput, Arrival),
    context: &str,
) {
    let bytes = (input.bytes)(forge);
    let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
    let poll = way.poll(&mut close, wire, &bytes);
    if input.ends.is_eof() {
        wire.at_end(Step::Zero);
        assert_pending!(
            poll_while_woken(&mut close),
            "{context}: ours can still go out"
        );
    } else {
        input.ends.check(&assert_ready_err!(poll), context);
    }
}

#[test]
fn b21_a_fatal_alert_is_told_by_its_name() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        wire.feed(&forge.alert(FATAL, HANDSHAKE_FAILURE));
        let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(
            tls_error(&error).is_some_and(handshake_failure),
            "{error:?}"
        );
        assert_eq!(alert(&error), Some(HANDSHAKE_FAILURE));
        let error = std::io::Error::from(error);
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn b21_a_fatal_alert_in_the_clear_is_an_error_and_no_alert_of_the_peers() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        wire.feed(&plain_record(ALERT, &[FATAL, HANDSHAKE_FAILURE]));
        let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
        Ends::Refused(decrypt_error).check(&error, "in the clear");
        // It is not authenticated.
        assert_eq!(alert(&error), None);
        let error = std::io::Error::from(error);
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

/// The code of the fatal alert that has ended a session.
fn alert(error: &ShutdownError) -> Option<u8> {
    match error {
        ShutdownError::Tls(e) => e.alert(),
        e => panic!("{e:?}"),
    }
}

#[test]
fn b20_a_handshake_record_of_no_bytes_is_no_panic() {
    // rustls lets it pass, and panics if it is asked once more after close_notify.
    for case in CASES {
        for unread in [0, 1, 3000] {
            let (mut stream, wire, mut forge) = Rig::new(case).forge();
            wire.feed(&forge.seal(HANDSHAKE, b""));
            wire.feed(&forge.seal(APPLICATION_DATA, b"first"));
            wire.feed(&forge.seal(APPLICATION_DATA, &vec![b'x'; unread]));
            wire.feed(&forge.close_notify());
            assert_ready_ok!(spawn(stream.read_exact(&mut [0; 5])).poll());
            for _ in 0..2 {
                assert!(stream.received_close_notify(), "{case:?} {unread}");
                let state = assert_ready_ok!(spawn(stream.close_notify()).poll());
                assert_eq!(state, ShutdownState::COMPLETE, "{case:?} {unread}");
            }
            for left in [unread, 0] {
                let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
                assert!(closed.is_clean());
                assert_eq!(closed.discarded(), left as u64);
            }
            forge.assert_only_close_notify(&wire.take_outbound());
        }
    }
}

/// Bad input behind so much unread data, and a good close_notify behind that.
fn is_never_forgotten<S: ShutdownExt>(
    wrap: fn(TlsStream<Scripted>) -> S,
    case: Case,
    input: &BadInput,
    unread: usize,
) -> (Forge, Wire) {
    let context = format!("{} behind {unread} bytes, {case:?}", input.name);
    let (mut stream, wire, mut forge) = Rig::new(case).map(wrap).forge();
    for record in vec![b'x'; unread].chunks(1 << 14) {
        wire.feed(&forge.seal(APPLICATION_DATA, record));
    }
    wire.feed(&(input.bytes)(&mut forge));
    for _ in 0..3 {
        let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
        let result = assert_ready!(poll_while_woken(&mut close), "{context}");
        drop(close);
        let error = result.expect_err(&context);
        assert!(
            matches!(error, ShutdownError::Tls(_)),
            "{context}: {error:?}"
        );
        // Whatever comes behind it.
        wire.feed(&forge.close_notify());
        assert!(!stream.received_close_notify(), "{context}");
        let error = assert_ready_err!(spawn(stream.close_notify()).poll(), "{context}");
        assert!(
            matches!(error, ShutdownError::Tls(_)),
            "{context}: {error:?}"
        );
        let error = assert_ready_err!(spawn(stream.peer_closed()).poll(), "{context}");
        assert!(
            matches!(error, ShutdownError::Tls(_)),
            "{context}: {error:?}"
        );
    }
    (forge, wire)
}

#[test]
fn g11_behind_any_amount_of_unread_data_bad_input_is_never_forgotten() {
    for case in CASES {
        for input in INPUTS.iter().filter(|input| !input.ends.is_eof()) {
            for unread in [0, 100, 16_383, 16_384, 16_484, 17_884, 32_768] {
                let (mut forge, wire) = is_never_forgotten(|stream| stream, case, input, unread);
                forge.assert_only_close_notify(&wire.take_outbound());
                // It receives first, and a session that has failed is not closed: RFC 8446 section
                // 6.2.
                let (mut forge, wire) =
                    is_never_forgotten(GracefulStream::new, case, input, unread);
                forge.assert_at_most_a_fatal_alert(&wire.take_outbound());
            }
        }
    }
}

/// A `GracefulStream` receives both before it sends, and what it then has to send is no close_notify.
#[test]
fn b20_a_bad_record_behind_more_data_than_are_discarded_is_an_error() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).map(GracefulStream::new).forge();
        wire.feed(&forge.seal(APPLICATION_DATA, &[7; 1000]));
        wire.feed(&plain_record(APPLICATION_DATA, &[7; 1000]));
        let close = stream.shutdown_bidirectional().discard_limit(100);
        let error = assert_ready_err!(spawn(close).poll());
        assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
        assert_eq!(stream.state(), ShutdownState::NONE);
        forge.assert_at_most_a_fatal_alert(&wire.take_outbound());
    }
}

#[test]
fn a17_a_bad_record_leaves_nothing_behind_our_close_notify_that_tokio_rustls_would_send() {
    for case in CASES {
        for input in INPUTS.iter().filter(|input| !input.ends.is_eof()) {
            let (mut stream, wire, mut forge) = Rig::new(case).forge();
            wire.feed(&(input.bytes)(&mut forge));
            let _ = spawn(stream.shutdown_bidirectional().no_deadline()).poll();
            // tokio-rustls's own, for the FIN.
            assert_ready_ok!(spawn(stream.shutdown()).poll(), "{}", input.name);
            forge.assert_only_close_notify(&wire.take_outbound());
        }
    }
}
