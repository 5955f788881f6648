//! A peer that holds the keys and may send any record, and that sees every record of ours.

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{Connection, ConnectionTrafficSecrets};
use tokio_rustls::rustls;

use super::{
    pair::{Case, Role},
    rig::records,
};

pub const CHANGE_CIPHER_SPEC: u8 = 20;
pub const ALERT: u8 = 21;
pub const HANDSHAKE: u8 = 22;
pub const APPLICATION_DATA: u8 = 23;

pub const WARNING: u8 = 1;
pub const FATAL: u8 = 2;

pub const CLOSE_NOTIFY: u8 = 0;
pub const HANDSHAKE_FAILURE: u8 = 40;
pub const USER_CANCELED: u8 = 90;
pub const NO_RENEGOTIATION: u8 = 100;

/// A message of the peer that asks for another handshake: HelloRequest to a client, and to a server
/// a ClientHello without extensions.
pub fn renegotiation(role: Role) -> Vec<u8> {
    if role == Role::Client {
        return vec![0, 0, 0, 0];
    }
    let mut body = vec![3, 3];
    body.extend([7; 32]);
    body.extend([0, 0, 2, 0xc0, 0x2b, 1, 0]);
    let len = u8::try_from(body.len()).unwrap();
    [vec![1, 0, 0, len], body].concat()
}

pub struct Forge {
    case: Case,
    tx: Keys,
    rx: Keys,
}

struct Keys {
    key: LessSafeKey,
    iv: [u8; 12],
    seq: u64,
}

impl Keys {
    fn new((seq, secrets): (u64, ConnectionTrafficSecrets)) -> Self {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            panic!("not the cipher suite of the tests");
        };
        Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap()),
            iv: iv.as_ref().try_into().unwrap(),
            seq,
        }
    }

    /// RFC 8446 section 5.3.
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (n, s) in nonce[4..].iter_mut().zip(self.seq.to_be_bytes()) {
            *n ^= s;
        }
        nonce
    }
}

/// RFC 5246 section 6.2.3.3.
fn tls12_aad(seq: u64, content_type: u8, len: usize) -> Vec<u8> {
    let mut aad = seq.to_be_bytes().to_vec();
    aad.extend([content_type, 3, 3]);
    aad.extend(u16::try_from(len).unwrap().to_be_bytes());
    aad
}

/// A record in the clear.
pub fn plain_record(content_type: u8, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content_type, 3, 3];
    record.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    record.extend(body);
    record
}

impl Forge {
    pub fn new(case: Case, peer: Connection) -> Self {
        let secrets = peer.dangerous_extract_secrets().unwrap();
        Self {
            case,
            tx: Keys::new(secrets.tx),
            rx: Keys::new(secrets.rx),
        }
    }

    pub const fn case(&self) -> Case {
        self.case
    }

    /// Encrypts one record to the stream under test.
    pub fn seal(&mut self, content_type: u8, payload: &[u8]) -> Vec<u8> {
        let nonce = self.tx.nonce();
        let sealed = |aad: &[u8], payload: &[u8]| {
            let mut body = payload.to_vec();
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.tx
                .key
                .seal_in_place_append_tag(nonce, Aad::from(aad), &mut body)
                .unwrap();
            body
        };
        let record = if self.case.is_tls13() {
            let inner = [payload, &[content_type]].concat();
            let len = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
            plain_record(
                APPLICATION_DATA,
                &sealed(&[APPLICATION_DATA, 3, 3, len[0], len[1]], &inner),
            )
        } else {
            let aad = tls12_aad(self.tx.seq, content_type, payload.len());
            plain_record(
                content_type,
                &[&nonce[4..], &sealed(&aad, payload)].concat(),
            )
        };
        self.tx.seq += 1;
        record
    }

    /// An encrypted alert.
    pub fn alert(&mut self, level: u8, description: u8) -> Vec<u8> {
        self.seal(ALERT, &[level, description])
    }

    pub fn close_notify(&mut self) -> Vec<u8> {
        self.alert(WARNING, CLOSE_NOTIFY)
    }

    /// Decrypts one record of the stream under test: its content type and payload.
    #[track_caller]
    pub fn open(&mut self, record: &[u8]) -> (u8, Vec<u8>) {
        let (header, body) = record.split_at(5);
        let opened = if self.case.is_tls13() {
            let nonce = Nonce::assume_unique_for_key(self.rx.nonce());
            let mut body = body.to_vec();
            let opened = self
                .rx
                .key
                .open_in_place(nonce, Aad::from(header), &mut body)
                .expect("a record that cannot be decrypted");
            let (content_type, payload) = opened.split_last().unwrap();
            (*content_type, payload.to_vec())
        } else {
            let (explicit, sealed) = body.split_at(8);
            let mut nonce = self.rx.iv;
            nonce[4..].copy_from_slice(explicit);
            let nonce = Nonce::assume_unique_for_key(nonce);
            let aad = tls12_aad(self.rx.seq, header[0], sealed.len() - 16);
            let mut sealed = sealed.to_vec();
            let opened = self
                .rx
                .key
                .open_in_place(nonce, Aad::from(&aad), &mut sealed)
                .expect("a record that cannot be decrypted");
            (header[0], opened.to_vec())
        };
        self.rx.seq += 1;
        opened
    }

    /// Asserts that `outbound` is one close_notify and not a byte more.
    #[track_caller]
    pub fn assert_only_close_notify(&mut self, outbound: &[u8]) {
        let opened = self.open_all(outbound);
        assert_eq!(opened, [(ALERT, vec![WARNING, CLOSE_NOTIFY])]);
    }

    /// Asserts that `outbound` is at most one alert, and no close_notify.
    #[track_caller]
    pub fn assert_at_most_a_fatal_alert(&mut self, outbound: &[u8]) {
        let opened = self.open_all(outbound);
        assert!(
            match &opened[..] {
                [] => true,
                [(ALERT, alert)] => alert[0] == FATAL,
                _ => false,
            },
            "{opened:?}"
        );
    }

    fn open_all(&mut self, outbound: &[u8]) -> Vec<(u8, Vec<u8>)> {
        records(outbound).iter().map(|r| self.open(r)).collect()
    }
}
