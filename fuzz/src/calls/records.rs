//! What the peer sends: records that are well made, and bytes that are not.

use std::io::Write;

use arbitrary::Unstructured;
use tokio_rustls::rustls::Connection;

use super::{length, number, pick};
use crate::support::{
    Case, Forge, Role, Version,
    forge::{ALERT, APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE, plain_record},
};

const MOST_RECORDS: usize = 24;

const HELLO_REQUEST: u8 = 0;
const CLIENT_HELLO: u8 = 1;
const NEW_SESSION_TICKET: u8 = 4;
const KEY_UPDATE: u8 = 24;

/// All that the peer sends, and where each record ends.
#[derive(Default)]
pub(super) struct Flight {
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<usize>,
}

impl Flight {
    /// First what rustls sends as the peer, with its own KeyUpdates, then records of any kind.
    pub(super) fn any(
        u: &mut Unstructured<'_>,
        case: Case,
        mut peer: Connection,
        trace: bool,
    ) -> Self {
        let mut flight = Self::default();
        let say = |what: String| {
            if trace {
                println!("the peer sends {what}");
            }
        };
        peer.set_buffer_limit(None);
        for _ in 0..pick(u, &[0, 0, 1, 2, 4]) {
            if case.is_tls13() && pick(u, &[true, false]) {
                say("a KeyUpdate that asks for one".into());
                peer.refresh_traffic_keys().unwrap();
            } else {
                let data = length(u);
                say(format!("{data} bytes"));
                peer.writer().write_all(&vec![b'p'; data]).unwrap();
            }
            while peer.wants_write() {
                peer.write_tls(&mut flight.bytes).unwrap();
            }
            flight.ends.push(flight.bytes.len());
        }
        let forge = &mut Forge::new(case, peer);
        // The rest of the input is left for the calls.
        let reserve = u.len() / 2;
        let mut add = |(what, bytes): (String, Vec<u8>)| {
            say(what);
            flight.bytes.extend(bytes);
            flight.ends.push(flight.bytes.len());
        };
        if pick(u, &[true, false, false, false]) {
            for record in unread(u, case, forge) {
                add(record);
            }
        }
        for _ in 0..MOST_RECORDS {
            if u.len() <= reserve || number(u, 11) == 11 {
                break;
            }
            add(records(u, case, forge));
        }
        flight
    }
}

/// What was once enough to make rustls slice out of range: handshake records of which it keeps
/// something, more data than it reads ahead, and close_notify.
fn unread(u: &mut Unstructured<'_>, case: Case, forge: &mut Forge) -> Vec<(String, Vec<u8>)> {
    let mut records = Vec::new();
    for _ in 0..pick(u, &[1, 1, 2, 5]) {
        records.push(match pick(u, &[0, 0, 1]) {
            0 => empty(forge, HANDSHAKE, 1),
            _ => handshake(u, case, forge),
        });
        for _ in 0..pick(u, &[0, 1, 1, 2, 3]) {
            records.push(data(forge, pick(u, &[1, 1500, 16_384, 16_384])));
        }
    }
    if pick(u, &[true, true, false]) {
        records.push(("close_notify".into(), forge.close_notify()));
    }
    records
}

fn bytes(u: &mut Unstructured<'_>, most: usize) -> Vec<u8> {
    let len = number(u, most).min(u.len());
    u.bytes(len).map_or_else(|_| Vec::new(), <[u8]>::to_vec)
}

fn data(forge: &mut Forge, bytes: usize) -> (String, Vec<u8>) {
    let record = forge.seal(APPLICATION_DATA, &vec![b'x'; bytes]);
    (format!("{bytes} bytes of data"), record)
}

fn empty(forge: &mut Forge, content_type: u8, count: usize) -> (String, Vec<u8>) {
    let records = (0..count).flat_map(|_| forge.seal(content_type, &[]));
    let records = records.collect();
    (
        format!("{count} empty records of type {content_type}"),
        records,
    )
}

/// One record, or the few that belong together.
fn records(u: &mut Unstructured<'_>, case: Case, forge: &mut Forge) -> (String, Vec<u8>) {
    let (mut what, mut bytes) = match number(u, 18) {
        0..=5 => {
            let bytes = length(u).min(16_384);
            data(forge, bytes)
        }
        6..=9 => {
            let content_type = pick(
                u,
                &[
                    HANDSHAKE,
                    HANDSHAKE,
                    HANDSHAKE,
                    APPLICATION_DATA,
                    APPLICATION_DATA,
                    ALERT,
                    20,
                    24,
                ],
            );
            // 33 in a row are too many for rustls.
            empty(forge, content_type, pick(u, &[1, 1, 1, 1, 2, 2, 32, 33]))
        }
        10..=13 => handshake(u, case, forge),
        14 => ("close_notify".into(), forge.close_notify()),
        15 => {
            let alert = match pick(u, &[0, 1, 2]) {
                0 => vec![pick(u, &[1, 2]), pick(u, &[0, 10, 20, 40, 90, 100, 255])],
                1 => vec![1, 90],
                _ => bytes(u, 4),
            };
            (format!("alert {alert:?}"), forge.seal(ALERT, &alert))
        }
        16 => {
            let content_type = pick(u, &[HANDSHAKE, APPLICATION_DATA, ALERT, CHANGE_CIPHER_SPEC]);
            let body = pick(u, &[&[][..], &[1], &[1, 0], &[2, 40], &[0; 30]]);
            let what = format!("type {content_type} in the clear: {body:?}");
            (what, plain_record(content_type, body))
        }
        17 => {
            let content_type = u.arbitrary::<u8>().unwrap_or(0).max(1);
            let body = bytes(u, 20);
            let record = forge.seal(content_type, &body);
            (format!("type {content_type}: {body:?}"), record)
        }
        _ => {
            let junk = bytes(u, 20);
            (format!("bytes {junk:?}"), junk)
        }
    };
    if number(u, 15) == 15 && !bytes.is_empty() {
        let at = number(u, bytes.len().min(40) - 1);
        match pick(u, &[0, 1, 2]) {
            0 => bytes[at] ^= pick(u, &[1, 0x80, 0xff]),
            1 => bytes.truncate(at),
            _ => bytes.insert(at, 0),
        }
        what = format!("{what}, changed at {at}");
    }
    (what, bytes)
}

/// Handshake messages, several in one record or one in several.
fn handshake(u: &mut Unstructured<'_>, case: Case, forge: &mut Forge) -> (String, Vec<u8>) {
    // One that may come after the handshake.
    let fitting = match (case.version, case.role) {
        (Version::Tls12, Role::Client) => HELLO_REQUEST,
        (Version::Tls12, Role::Server) => CLIENT_HELLO,
        (Version::Tls13, Role::Client) => NEW_SESSION_TICKET,
        (Version::Tls13, Role::Server) => KEY_UPDATE,
    };
    let mut messages = Vec::new();
    for _ in 0..pick(u, &[1, 1, 2, 3]) {
        let kind = match number(u, 3) {
            3 => pick(
                u,
                &[
                    KEY_UPDATE,
                    NEW_SESSION_TICKET,
                    HELLO_REQUEST,
                    CLIENT_HELLO,
                    2,
                    11,
                    20,
                    254,
                ],
            ),
            _ => fitting,
        };
        let body = match kind {
            HELLO_REQUEST => vec![],
            KEY_UPDATE => vec![pick(u, &[0, 1, 2])],
            NEW_SESSION_TICKET => ticket(),
            _ => bytes(u, 30),
        };
        // Sometimes more is announced than is sent.
        let announced = body.len() + pick(u, &[0, 0, 0, 0, 0, 0, 0, 0, 1, 300, 70_000]);
        messages.push(kind);
        messages.extend(&u32::try_from(announced).unwrap().to_be_bytes()[1..]);
        messages.extend(body);
    }
    let what = format!("handshake messages {messages:?}");
    let mut sealed = Vec::new();
    let mut rest = &messages[..];
    let mut pieces = pick(u, &[0, 0, 1, 2, 4]);
    while pieces > 0 && !rest.is_empty() {
        let (piece, later) = rest.split_at(number(u, rest.len().min(8)));
        sealed.extend(forge.seal(HANDSHAKE, piece));
        rest = later;
        pieces -= 1;
    }
    // Sometimes the end is missing.
    if pick(u, &[true, true, true, false]) {
        sealed.extend(forge.seal(HANDSHAKE, rest));
    }
    (what, sealed)
}

/// The body of a TLS 1.3 NewSessionTicket (RFC 8446 section 4.6.1).
fn ticket() -> Vec<u8> {
    let (lifetime, age_add, nonce, extensions) = ([0, 0, 14, 16], [1, 2, 3, 4], [1, 7], [0, 0]);
    let ticket = [&[0, 32][..], &[9; 32]].concat();
    [&lifetime[..], &age_add, &nonce, &ticket, &extensions].concat()
}
