//! Bad headers are seen wherever the bytes before and in them are cut.

use super::{BadRecord, Framing, Rules, State};

const TLS12: Rules = Rules { tls13: false };
const TLS13: Rules = Rules { tls13: true };

fn record(header: [u8; 3], len: usize) -> Vec<u8> {
    let mut record = header.to_vec();
    record.extend(u16::try_from(len).unwrap().to_be_bytes());
    // Bodies must never be taken for headers.
    record.resize(5 + len, 0xff);
    record
}

/// Feeds `bytes` in two pieces and returns how much is admitted, and what was refused.
fn admit(bytes: &[u8], cut: usize, rules: Rules) -> (usize, Option<BadRecord>) {
    let mut framing = Framing(State::BOUNDARY);
    let (first, second) = bytes.split_at(cut);
    let mut admitted = framing.admit(first, rules);
    if framing.bad().is_none() {
        admitted += framing.admit(second, rules);
    }
    (admitted, framing.bad())
}

#[test]
fn good_records_pass_however_they_are_cut() {
    for rules in [TLS12, TLS13] {
        let max = usize::from(rules.max_len());
        let bytes = [
            record([23, 3, 3], 24),
            // RFC 8446 section 5.1: legacy_record_version must be ignored.
            record([23, 3, 1], 0),
            record([23, 3, 3], max),
            record([23, 3, 3], 19),
        ]
        .concat();
        for cut in 0..=bytes.len() {
            assert_eq!(admit(&bytes, cut, rules), (bytes.len(), None));
        }
    }
    let encrypted = [record([21, 3, 3], 26), record([22, 3, 3], 28)].concat();
    assert_eq!(admit(&encrypted, 7, TLS12), (encrypted.len(), None));
}

#[test]
fn nothing_from_a_bad_header_on_passes_however_it_is_cut() {
    let alert = |level, description| [&[21, 3, 3, 0, 2, level, description][..], b"more"].concat();
    for rules in [TLS12, TLS13] {
        for (bad, why) in [
            (b"HTTP/1.1 400".to_vec(), BadRecord::ContentType),
            (record([24, 3, 3], 24), BadRecord::ContentType),
            (record([23, 2, 0], 24), BadRecord::Version),
            (
                record([23, 3, 3], usize::from(rules.max_len()) + 1),
                BadRecord::Oversized,
            ),
            (record([20, 3, 3], 1), BadRecord::Plaintext),
            (alert(1, 0), BadRecord::Plaintext),
            (alert(1, 90), BadRecord::Plaintext),
            (alert(2, 40), BadRecord::PlaintextAlert(40)),
            // It must not pass for a close.
            (alert(2, 0), BadRecord::Plaintext),
        ] {
            let good = record([23, 3, 3], 24);
            let bytes = [&good[..], &bad].concat();
            for cut in 0..=bytes.len() {
                let (admitted, refused) = admit(&bytes, cut, rules);
                assert_eq!(refused, Some(why), "cut at {cut}");
                // A header cut in two has let its first piece through: rustls waits for the rest.
                let header_passed = cut.saturating_sub(good.len()).min(4);
                let first_only = cut >= good.len() && cut < good.len() + 5;
                let expected = good.len() + if first_only { header_passed } else { 0 };
                assert_eq!(admitted, expected, "cut at {cut}");
            }
        }
    }
    let handshake = record([22, 3, 3], 28);
    assert_eq!(
        admit(&handshake, 0, TLS13),
        (0, Some(BadRecord::Plaintext)),
        "TLS 1.3 hides the type of all its records"
    );
}

#[test]
fn a_start_in_the_middle_of_a_record_is_left_to_rustls() {
    for rules in [TLS12, TLS13] {
        let mut framing = Framing::unknown();
        let middle = [[0xff; 40].to_vec(), b"HTTP/1.1".to_vec()].concat();
        assert_eq!(framing.admit(&middle, rules), middle.len());
        assert_eq!(framing.bad(), None);

        let good = record([23, 3, 3], 24);
        assert_eq!(framing.admit(&good, rules), good.len());
        assert_eq!(framing.admit(b"HTTP/1.1", rules), 0);
        assert_eq!(framing.bad(), Some(BadRecord::ContentType));
    }
}

#[test]
fn the_longest_record_of_each_version_passes_and_one_byte_more_does_not() {
    for (rules, longest) in [(TLS12, 18_432), (TLS13, 16_640)] {
        let good = record([23, 3, 3], longest);
        assert_eq!(admit(&good, 0, rules), (good.len(), None));
        let bad = record([23, 3, 3], longest + 1);
        assert_eq!(admit(&bad, 0, rules), (0, Some(BadRecord::Oversized)));
    }
}
