use super::*;

fn vector8(bytes: &[u8]) -> Vec<u8> {
    [&[bytes.len() as u8], bytes].concat()
}

fn vector16(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u16).to_be_bytes(), bytes].concat()
}

fn extension(kind: u16, body: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector16(body)].concat()
}

fn hello(session_id: &[u8], extensions: Option<&[u8]>) -> Vec<u8> {
    let mut body = [&[3, 3], &[7; 32][..]].concat();
    body.extend(vector8(session_id));
    body.extend(vector16(&[0x13, 1, 0xc0, 0x2b]));
    body.extend(vector8(&[0]));
    if let Some(extensions) = extensions {
        body.extend(vector16(extensions));
    }
    let len = (body.len() as u32).to_be_bytes();
    [&[1], &len[1..], &body].concat()
}

fn psk(identities: &[&[u8]]) -> Vec<u8> {
    let list: Vec<u8> = (identities.iter())
        .flat_map(|identity| [vector16(identity), vec![9; 4]].concat())
        .collect();
    let binders: Vec<u8> = identities.iter().flat_map(|_| vector8(&[5; 32])).collect();
    extension(41, &[vector16(&list), vector16(&binders)].concat())
}

fn records(message: &[u8], len: usize) -> Vec<u8> {
    let record = |part: &[u8]| [&[22, 3, 1], &vector16(part)[..]].concat();
    message.chunks(len).flat_map(record).collect()
}

fn read(wire: &[u8], segment: usize) -> Offer {
    let mut reader = ClientHelloReader::new();
    wire.chunks(segment.max(1))
        .for_each(|part| reader.push(part));
    reader.offer()
}

fn expected() -> Offer {
    Offer {
        session_id: vec![4; 32],
        psk_identities: vec![vec![1; 32], vec![2; 200]],
        tls13: true,
    }
}

fn full_hello() -> Vec<u8> {
    let extensions = [
        extension(0, b"anything"),
        extension(43, &vector8(&[3, 4, 3, 3])),
        psk(&[&[1; 32], &[2; 200]]),
    ];
    hello(&[4; 32], Some(&extensions.concat()))
}

#[test]
fn reads_what_is_offered_in_any_records_and_segments() {
    let message = full_hello();
    for len in [1, 2, 3, 4, 5, 50, message.len() - 1, message.len(), 1000] {
        let wire = records(&message, len);
        // Early data follows at once.
        let glued = [&wire[..], &[23, 3, 3, 0, 1, 0]].concat();
        for segment in [1, 2, 3, 5, 6, 100, wire.len(), glued.len()] {
            assert_eq!(read(&wire, segment), expected());
            assert_eq!(read(&glued, segment), expected());
        }
    }
}

#[test]
fn offers_nothing_before_the_last_byte() {
    let wire = records(&full_hello(), 100);
    for len in 0..wire.len() {
        assert_eq!(read(&wire[..len], usize::MAX), Offer::default());
    }
}

#[test]
fn every_truncated_body_offers_nothing_or_ends_where_extensions_may() {
    let message = full_hello();
    for len in 4..message.len() {
        let mut cut = message[..len].to_vec();
        cut[1..4].copy_from_slice(&((len - 4) as u32).to_be_bytes()[1..]);
        let offer = read(&records(&cut, 1 << 14), usize::MAX);
        assert_eq!(offer.psk_identities, Vec::<Vec<u8>>::new(), "{len}");
    }
}

#[test]
fn a_client_hello_of_tls12_has_a_session_id_and_perhaps_no_extensions() {
    for extensions in [None, Some(&[][..])] {
        let offer = read(&records(&hello(&[6; 32], extensions), 1 << 14), usize::MAX);
        assert_eq!(offer.session_id, vec![6; 32]);
        assert!(!offer.tls13 && offer.psk_identities.is_empty());
    }
}

#[test]
fn what_is_no_client_hello_offers_nothing_and_is_not_kept() {
    let mut server_hello = full_hello();
    server_hello[0] = 2;
    let inputs = [
        b"GET / HTTP/1.1\r\n\r\n".repeat(1000),
        records(&server_hello, 100),
        records(&[1, 1, 0, 0], 100).repeat(1000),
        [&[22, 3, 1, 0, 0], &records(&full_hello(), 100)[..]].concat(),
        [&[22, 2, 1], &records(&full_hello(), 100)[3..]].concat(),
        [&[23, 3, 1], &records(&full_hello(), 1000)[3..]].concat(),
    ];
    for input in inputs {
        let mut reader = ClientHelloReader::new();
        reader.push(&input);
        assert_eq!(reader.offer(), Offer::default());
        assert!(reader.message.capacity() <= 200);
    }
}

#[test]
fn memory_is_bounded_by_the_longest_message() {
    let len = MAX_MESSAGE - 4;
    let start = [&[1], &(len as u32).to_be_bytes()[1..]].concat();
    let message = [start, vec![0; len]].concat();
    let mut reader = ClientHelloReader::new();
    reader.push(&records(&message, 1 << 14));
    reader.push(&[0; 1 << 20]);
    assert!(matches!(reader.step, Step::Complete));
    assert_eq!(reader.message.len(), MAX_MESSAGE);
    let mut reader = ClientHelloReader::new();
    let longer = [&[1, 1, 0, 0][..], &message[4..]].concat();
    reader.push(&records(&longer, 1 << 14));
    assert!(matches!(reader.step, Step::NotAClientHello));
}

/// A ClientHello of another program: whether it offers TLS 1.3, and how long its session id and its
/// PSK identities are, as a parser in Python has found.
struct Captured {
    name: &'static str,
    wire: &'static [u8],
    tls13: bool,
    session_id: usize,
    psk_identities: &'static [usize],
}

macro_rules! captured {
    ($name:literal, $tls13:literal, $session_id:literal, $psk:expr) => {
        Captured {
            name: $name,
            wire: include_bytes!(concat!("../../../../tests/fleet/hellos/", $name, ".bin")),
            tls13: $tls13,
            session_id: $session_id,
            psk_identities: $psk,
        }
    };
}

/// Their second connection, where they keep sessions: OpenSSL 3.0, Python 3, curl, Java, Go, wget,
/// GnuTLS, Node.js, Chromium and NSS. rustls is in `tests/fleet`.
fn captured() -> Vec<Captured> {
    vec![
        captured!("chromium-12", true, 32, &[]),
        captured!("chromium-13", true, 32, &[]),
        captured!("curl-12", false, 32, &[]),
        captured!("curl-13", true, 32, &[224]),
        captured!("gnutls-12", false, 32, &[]),
        captured!("gnutls-13", true, 32, &[208]),
        captured!("go-12", false, 32, &[]),
        captured!("go-13", true, 32, &[208]),
        captured!("java-12", false, 32, &[]),
        captured!("java-13", true, 32, &[208]),
        captured!("node-12", true, 32, &[]),
        captured!("nss-12", false, 32, &[]),
        captured!("nss-13", true, 0, &[192]),
        captured!("openssl-12", false, 32, &[]),
        captured!("openssl-13", true, 32, &[208]),
        captured!("python-12", false, 32, &[]),
        captured!("python-13", true, 32, &[208]),
        captured!("wget-12", true, 32, &[]),
    ]
}

#[test]
fn every_cut_of_the_hellos_of_other_programs_is_read() {
    for hello in captured() {
        let whole = read(hello.wire, usize::MAX);
        let lens: Vec<_> = whole.psk_identities.iter().map(Vec::len).collect();
        assert_eq!(lens, hello.psk_identities, "{}", hello.name);
        assert_eq!(whole.tls13, hello.tls13, "{}", hello.name);
        assert_eq!(whole.session_id.len(), hello.session_id, "{}", hello.name);
        for cut in 0..hello.wire.len() {
            let mut reader = ClientHelloReader::new();
            reader.push(&hello.wire[..cut]);
            assert!(reader.needs_more(), "{} {cut}", hello.name);
            assert_eq!(reader.offer(), Offer::default(), "{} {cut}", hello.name);
            reader.push(&hello.wire[cut..]);
            assert!(!reader.needs_more());
            assert_eq!(reader.offer(), whole, "{} {cut}", hello.name);
            // The same message in two records.
            if let Some(at) = cut.checked_sub(5).filter(|&at| at > 0) {
                let message = &hello.wire[5..];
                let two = [
                    records(&message[..at], 1 << 14),
                    records(&message[at..], 1 << 14),
                ];
                assert_eq!(read(&two.concat(), 100), whole, "{} {cut}", hello.name);
            }
        }
        // Every byte may be wrong: nothing panics.
        for at in 0..hello.wire.len() {
            for wrong in [0, 1, 0x7f, 0xff] {
                let mut changed = hello.wire.to_vec();
                changed[at] = wrong;
                read(&changed, 64);
            }
        }
    }
}
