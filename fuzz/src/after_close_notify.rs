//! What a peer sends after our close_notify: records that are well made, and bytes that are not.

use std::{io::ErrorKind, task::Poll};

use arbitrary::{Arbitrary, Unstructured};
use tokio::io::AsyncReadExt;
use tokio_test::task::spawn;
use tokio_tls_shutdown::{Closed, GracefulStream, ShutdownError, ShutdownExt};

use crate::support::{
    CASES, Forge, Rig, Step, Wire,
    forge::{ALERT, APPLICATION_DATA, CLOSE_NOTIFY, HANDSHAKE, plain_record},
    poll_while_woken,
};

#[derive(Arbitrary, Debug)]
struct Input {
    case: u8,
    call: Call,
    /// Bytes that one read gives at most.
    read_size: Option<u8>,
    sent: Vec<Sent>,
    end: End,
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Call {
    /// On a plain stream.
    Bidirectional,
    /// On a `GracefulStream`.
    Graceful,
    /// On a `GracefulStream` that has sent its close_notify, to the end.
    Read,
    /// The same, and a bidirectional close behind it.
    ReadAndClose,
}

#[derive(Arbitrary, Debug)]
enum Sent {
    Bytes(Vec<u8>),
    Clear {
        content_type: u8,
        body: Vec<u8>,
    },
    Sealed {
        content_type: u8,
        payload: Vec<u8>,
    },
    Alert {
        level: u8,
        description: u8,
    },
    Handshake {
        kind: u8,
        body: Vec<u8>,
    },
    Data(u16),
    CloseNotify,
    /// A record that is made well and then changed.
    Flipped {
        at: u8,
        data: Vec<u8>,
    },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum End {
    Silence,
    Fin,
    Reset,
}

impl Sent {
    fn bytes(&self, forge: &mut Forge) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Clear { content_type, body } => plain_record(*content_type, body),
            Self::Sealed {
                content_type,
                payload,
            } => {
                // In TLS 1.3 zero is padding: the type would be the last byte before it.
                forge.seal((*content_type).max(1), payload)
            }
            Self::Alert { level, description } => forge.alert(*level, *description),
            Self::Handshake { kind, body } => {
                let len = u32::try_from(body.len()).unwrap().to_be_bytes();
                forge.seal(HANDSHAKE, &[&[*kind], &len[1..], body].concat())
            }
            // What fits into one record.
            Self::Data(len) => forge.seal(APPLICATION_DATA, &vec![0; usize::from(*len >> 2)]),
            Self::CloseNotify => forge.close_notify(),
            Self::Flipped { at, data } => {
                let mut record = forge.seal(APPLICATION_DATA, data);
                // rustls takes type and version in TLS 1.3 as they must be, not as they are.
                let at = 3 + usize::from(*at) % (record.len() - 3);
                record[at] ^= 1;
                record
            }
        }
    }

    /// Tells whether it ends the peer's side, `None` if it ends the session.
    fn closes(&self) -> Option<bool> {
        match self {
            Self::CloseNotify
            | Self::Alert {
                description: CLOSE_NOTIFY,
                ..
            } => Some(true),
            Self::Sealed {
                content_type: ALERT,
                payload,
            } => Some(matches!(payload[..], [_, CLOSE_NOTIFY])),
            Self::Bytes(bytes) if !bytes.is_empty() => None,
            Self::Clear { .. } | Self::Flipped { .. } => None,
            _ => Some(false),
        }
    }

    fn data(&self) -> u64 {
        match self {
            Self::Data(len) => u64::from(len >> 2),
            Self::Sealed {
                content_type: APPLICATION_DATA,
                payload,
            } => payload.len() as u64,
            _ => 0,
        }
    }
}

/// What has come of it: how much data, and whether it was clean.
type Ended = Result<(u64, bool), ShutdownError>;

fn of_close(closed: Result<Closed, ShutdownError>) -> Ended {
    closed.map(|closed| (closed.discarded(), closed.is_clean()))
}

pub fn after_close_notify(data: &[u8]) {
    let Ok(input) = Input::arbitrary_take_rest(Unstructured::new(data)) else {
        return;
    };
    let case = CASES[usize::from(input.case) % CASES.len()];
    let (mut plain, wire, mut forge) = Rig::new(case).forge();
    if let Some(size) = input.read_size {
        wire.read_size(usize::from(size).max(1));
    }
    // `None` where it waits until the end.
    let ended = match input.call {
        Call::Bidirectional => {
            let close = plain.shutdown_bidirectional().no_deadline();
            happen(&input, &wire, &mut forge, close).map(of_close)
        }
        Call::Graceful => {
            let mut stream = GracefulStream::new(plain);
            let close = stream.shutdown_bidirectional().no_deadline();
            happen(&input, &wire, &mut forge, close).map(of_close)
        }
        Call::Read | Call::ReadAndClose => {
            let mut stream = GracefulStream::new(plain);
            assert!(spawn(stream.close_notify()).poll().is_ready());
            let mut read = Vec::new();
            let reading = stream.read_to_end(&mut read);
            let ended = happen(&input, &wire, &mut forge, reading);
            let clean = stream.received_close_notify();
            let read = read.len() as u64;
            if matches!(input.call, Call::ReadAndClose) {
                let close = spawn(stream.shutdown_bidirectional().no_deadline()).poll();
                if let Poll::Ready(Ok(closed)) = close {
                    assert_eq!(closed.is_clean(), clean);
                }
            }
            match ended {
                Some(Ok(_)) => {
                    assert!(clean, "the end without close_notify");
                    Some(Ok((read, true)))
                }
                Some(Err(_)) => Some(Ok((read, false))),
                None => None,
            }
        }
    };
    forge.assert_only_close_notify(&wire.take_outbound());

    let said: u64 = input.sent.iter().map(Sent::data).sum();
    match ended {
        Some(Ok((got, true))) => {
            let before = input
                .sent
                .iter()
                .position(|sent| sent.closes() != Some(false));
            let end = before.expect("clean without close_notify");
            assert_eq!(
                input.sent[end].closes(),
                Some(true),
                "clean after bad input"
            );
            let said: u64 = input.sent[..end].iter().map(Sent::data).sum();
            assert_eq!(got, said, "clean, but not everything");
        }
        Some(Ok((got, false))) => assert!(got <= said),
        Some(Err(e)) => assert!(
            matches!(e, ShutdownError::Tls(_)),
            "not the peer's doing: {e}"
        ),
        None => assert!(
            matches!(input.end, End::Silence),
            "it goes on after the end"
        ),
    }
}

/// Polls `call` while all of the input comes.
fn happen<F: Future>(input: &Input, wire: &Wire, forge: &mut Forge, call: F) -> Option<F::Output> {
    let mut call = spawn(call);
    let mut poll = poll_while_woken(&mut call);
    for sent in &input.sent {
        if poll.is_ready() {
            break;
        }
        let bytes = sent.bytes(forge);
        wire.feed(&bytes);
        assert!(bytes.is_empty() || call.is_woken(), "a lost wake-up");
        poll = poll_while_woken(&mut call);
    }
    if poll.is_pending() {
        match input.end {
            End::Silence => return None,
            End::Fin => wire.at_end(Step::Zero),
            End::Reset => wire.at_end(Step::Fail(ErrorKind::ConnectionReset)),
        }
        poll = poll_while_woken(&mut call);
    }
    match poll {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
