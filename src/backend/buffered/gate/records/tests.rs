//! Sessions record by record, cut at every byte.

use super::{ALERT, APPLICATION_DATA, HANDSHAKE, Records};
use crate::event::Role;

const CHANGE_CIPHER_SPEC: u8 = 20;
const TLS12: [u8; 2] = [0xc0, 0x2f];
const TLS13: [u8; 2] = [0x13, 0x01];

fn record(content_type: u8, body: &[u8]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap().to_be_bytes();
    [&[content_type, 3, 3, len[0], len[1]], body].concat()
}

fn server_hello(session_id: usize, suite: [u8; 2]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.push(session_id.try_into().unwrap());
    body.extend(vec![7; session_id]);
    body.extend(suite);
    body.extend([0; 9]);
    [&[2, 0, 0, body.len().try_into().unwrap()], &body[..]].concat()
}

/// What a server sends up to an alert in the clear, and where that begins.
fn session(hello: &[&[u8]], alert_at_once: bool) -> (Vec<u8>, usize) {
    let mut bytes: Vec<u8> = hello
        .iter()
        .flat_map(|part| record(HANDSHAKE, part))
        .collect();
    bytes.extend(record(CHANGE_CIPHER_SPEC, &[1]));
    bytes.extend(record(APPLICATION_DATA, &[ALERT; 300]));
    if !alert_at_once {
        bytes.extend(record(APPLICATION_DATA, &[]));
    }
    let at = bytes.len();
    bytes.extend(record(ALERT, &[1, 0]));
    (bytes, at)
}

/// Reads in two pieces, and returns where the alert was found.
fn found(bytes: &[u8], cut: usize) -> Option<usize> {
    let mut records = Records::default();
    let (first, second) = bytes.split_at(cut);
    records
        .read(first, Role::Client)
        .or_else(|| Some(cut + records.read(second, Role::Client)?))
}

#[test]
fn finds_an_alert_in_the_clear_in_tls13_only() {
    for session_id in [0, 32] {
        for at_once in [false, true] {
            let (tls13, at) = session(&[&server_hello(session_id, TLS13)], at_once);
            let (tls12, _) = session(&[&server_hello(session_id, TLS12)], at_once);
            for cut in 0..tls13.len() {
                assert_eq!(found(&tls13, cut), Some(at), "cut at {cut}");
                assert_eq!(found(&tls12, cut), None, "cut at {cut}");
            }
        }
    }
}

/// Records are not authenticated before the keys are there: they may be cut by anyone.
#[test]
fn a_hello_in_many_records_and_behind_other_messages() {
    let hello = server_hello(32, TLS13);
    let bytes: Vec<&[u8]> = hello.chunks(1).collect();
    let (cut, at) = session(&bytes, true);
    assert_eq!(found(&cut, 0), Some(at));
    // A HelloRequest, which a client ignores, and no bytes at all.
    let (behind, at) = session(&[&[0, 0, 0, 0], &[], &hello], true);
    assert_eq!(found(&behind, 0), Some(at));
}

#[test]
fn alerts_of_the_handshake_pass() {
    let mut records = Records::default();
    let alert = record(ALERT, &[1, 90]);
    assert_eq!(records.read(&alert, Role::Client), None);
    let hello = record(HANDSHAKE, &server_hello(32, TLS13));
    assert_eq!(records.read(&hello, Role::Client), None);
    assert_eq!(records.read(&alert, Role::Client), None);
}

/// The version is in what we write.
#[test]
fn a_server() {
    for (suite, expected) in [(TLS12, None), (TLS13, Some(0))] {
        let mut records = Records::default();
        let hello = record(HANDSHAKE, &[&[1, 0, 0, 3], &[3; 3][..]].concat());
        assert_eq!(records.read(&hello, Role::Server), None);
        records.write(&record(HANDSHAKE, &server_hello(32, suite)), Role::Server);
        let finished = record(APPLICATION_DATA, &[7; 40]);
        assert_eq!(records.read(&finished, Role::Server), None);
        assert_eq!(
            records.read(&record(ALERT, &[1, 0]), Role::Server),
            expected
        );
    }
}
