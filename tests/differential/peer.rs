//! The scripted peer: the bytes of what it says, and what they mean to whoever reads them.

use std::collections::VecDeque;

use super::{
    keys::Keys,
    script::{Cut, PeerStep, Said},
};
use crate::support::forge::{
    ALERT, APPLICATION_DATA, CLOSE_NOTIFY, FATAL, HANDSHAKE, HANDSHAKE_FAILURE, USER_CANCELED,
    WARNING, plain_record,
};

/// How much application data a record holds.
const RECORD: usize = 1 << 14;

/// What arrives at once.
#[derive(Debug)]
pub struct Segment {
    pub bytes: Vec<u8>,
    pub after_alert: bool,
}

/// What the peer sends, and what it amounts to.
#[derive(Debug, Default)]
pub struct Speech {
    pub segments: VecDeque<Segment>,
    /// All its application data in front of its close_notify, or of what ends the session.
    pub data: usize,
    /// Where its close_notify ends, if nothing has ended the session before.
    pub close_notify_end: Option<usize>,
    /// Where something stands that ends the session.
    pub fails_at: Option<usize>,
    pub tickets: u32,
    /// Where a HelloRequest ends.
    pub hello_end: Option<usize>,
}

/// The byte at this place of all that the peer says.
pub fn peer_byte(at: usize) -> u8 {
    u8::try_from((at * 7 + at / 251) % 256).unwrap()
}

impl Speech {
    pub fn new(steps: &[PeerStep], mut keys: Keys) -> Self {
        let mut speech = Self::default();
        let (mut sent, mut joined) = (0, None::<Segment>);
        for step in steps {
            let is_over = speech.close_notify_end.is_some() || speech.fails_at.is_some();
            let bytes = match step.said {
                Said::Data(len) if !is_over => {
                    let data: Vec<_> = (speech.data..).take(len).map(peer_byte).collect();
                    speech.data += len;
                    seal_data(&mut keys, &data)
                }
                said => say(said, &mut keys),
            };
            if !is_over {
                match step.said {
                    Said::CloseNotify => speech.close_notify_end = Some(sent + bytes.len()),
                    Said::BadRecord | Said::PlainAlert | Said::FatalAlert | Said::Garbage(_) => {
                        speech.fails_at = Some(sent);
                    }
                    Said::Ticket => speech.tickets += 1,
                    Said::HelloRequest => speech.hello_end = Some(sent + bytes.len()),
                    _ => {}
                }
            }
            sent += bytes.len();
            let mut segment = joined.take().unwrap_or(Segment {
                bytes: Vec::new(),
                after_alert: false,
            });
            if step.after_alert && !segment.after_alert && !segment.bytes.is_empty() {
                speech.segments.push_back(segment);
                segment = Segment {
                    bytes: Vec::new(),
                    after_alert: true,
                };
            }
            segment.after_alert |= step.after_alert;
            segment.bytes.extend(bytes);
            match step.cut {
                Cut::Joined => joined = Some(segment),
                Cut::Whole => speech.segments.push_back(segment),
                Cut::In(pieces) => {
                    let size = segment.bytes.len().div_ceil(pieces).max(1);
                    speech
                        .segments
                        .extend(segment.bytes.chunks(size).map(|piece| Segment {
                            bytes: piece.to_vec(),
                            after_alert: segment.after_alert,
                        }));
                }
            }
        }
        speech.segments.extend(joined);
        speech.segments.retain(|segment| !segment.bytes.is_empty());
        speech
    }
}

fn seal_data(keys: &mut Keys, data: &[u8]) -> Vec<u8> {
    if data.is_empty() {
        return keys.seal(APPLICATION_DATA, &[]);
    }
    data.chunks(RECORD)
        .flat_map(|chunk| keys.seal(APPLICATION_DATA, chunk))
        .collect()
}

fn say(said: Said, keys: &mut Keys) -> Vec<u8> {
    match said {
        Said::Data(len) => seal_data(keys, &vec![0xee; len]),
        Said::Ticket => {
            // Lifetime, age, nonce, ticket, no extensions.
            let body = [
                &[0, 0, 14, 16, 1, 2, 3, 4, 1, 9, 0, 32][..],
                &[0x77; 32],
                &[0, 0],
            ]
            .concat();
            let len = u8::try_from(body.len()).unwrap();
            keys.seal(HANDSHAKE, &[&[4, 0, 0, len], &body[..]].concat())
        }
        Said::KeyUpdate { requests } => {
            let record = keys.seal(HANDSHAKE, &[24, 0, 0, 1, u8::from(requests)]);
            keys.update();
            record
        }
        Said::HelloRequest => keys.seal(HANDSHAKE, &[0, 0, 0, 0]),
        Said::UserCanceled => keys.seal(ALERT, &[WARNING, USER_CANCELED]),
        Said::CloseNotify => keys.seal(ALERT, &[WARNING, CLOSE_NOTIFY]),
        Said::BadRecord => {
            let mut record = keys.seal(APPLICATION_DATA, b"changed");
            *record.last_mut().unwrap() ^= 1;
            record
        }
        Said::PlainAlert => plain_record(ALERT, &[WARNING, CLOSE_NOTIFY]),
        Said::FatalAlert => keys.seal(ALERT, &[FATAL, HANDSHAKE_FAILURE]),
        // Not the beginning of a record that could go on.
        Said::Garbage(len) => vec![0xff; len],
    }
}
