//! The peer's record layer, written from the RFCs and not from rustls: it opens what we send, and
//! seals whatever the script wants. It follows the KeyUpdates of both sides.

use ring::{
    aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use rustls::ConnectionTrafficSecrets;
use tokio_rustls::rustls;

use crate::support::{
    Version,
    forge::{APPLICATION_DATA, plain_record},
};

/// HKDF-Expand-Label of RFC 8446 section 7.1 with an empty context, for at most one hash.
fn expand_label(secret: &[u8], label: &str, len: usize) -> Vec<u8> {
    let mut info = u16::try_from(len).unwrap().to_be_bytes().to_vec();
    info.push(u8::try_from(6 + label.len()).unwrap());
    info.extend(b"tls13 ");
    info.extend(label.as_bytes());
    info.extend([0, 1]);
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&secret, &info).as_ref()[..len].to_vec()
}

/// The keys of one direction.
#[derive(Clone, Debug)]
pub struct Keys {
    version: Version,
    key: LessSafeKey,
    iv: [u8; 12],
    seq: u64,
    /// Of TLS 1.3.
    secret: Vec<u8>,
}

impl Keys {
    pub fn new(
        version: Version,
        (seq, extracted): (u64, ConnectionTrafficSecrets),
        secret: &[u8],
    ) -> Self {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = extracted else {
            panic!("not the cipher suite of the tests");
        };
        let keys = Self {
            version,
            key: LessSafeKey::new(UnboundKey::new(&AES_128_GCM, key.as_ref()).unwrap()),
            iv: iv.as_ref().try_into().unwrap(),
            seq,
            secret: secret.to_vec(),
        };
        if version == Version::Tls13 {
            assert_eq!(expand_label(secret, "iv", 12), keys.iv, "not its secret");
        }
        keys
    }

    /// RFC 8446 section 7.2.
    pub fn update(&mut self) {
        self.secret = expand_label(&self.secret, "traffic upd", 32);
        let key = expand_label(&self.secret, "key", 16);
        self.key = LessSafeKey::new(UnboundKey::new(&AES_128_GCM, &key).unwrap());
        self.iv = expand_label(&self.secret, "iv", 12).try_into().unwrap();
        self.seq = 0;
    }

    /// RFC 8446 section 5.3. TLS 1.2 may choose the explicit part, and this is as good as another.
    fn nonce(&self) -> [u8; 12] {
        let mut nonce = self.iv;
        for (n, s) in nonce[4..].iter_mut().zip(self.seq.to_be_bytes()) {
            *n ^= s;
        }
        nonce
    }

    /// RFC 5246 section 6.2.3.3.
    fn tls12_aad(&self, content_type: u8, len: usize) -> Vec<u8> {
        let mut aad = self.seq.to_be_bytes().to_vec();
        aad.extend([content_type, 3, 3]);
        aad.extend(u16::try_from(len).unwrap().to_be_bytes());
        aad
    }

    /// Encrypts one record.
    pub fn seal(&mut self, content_type: u8, payload: &[u8]) -> Vec<u8> {
        let nonce = self.nonce();
        let seal = |aad: &[u8], mut body: Vec<u8>| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            self.key
                .seal_in_place_append_tag(nonce, Aad::from(aad), &mut body)
                .unwrap();
            body
        };
        let record = match self.version {
            Version::Tls13 => {
                let inner = [payload, &[content_type]].concat();
                let [hi, lo] = u16::try_from(inner.len() + 16).unwrap().to_be_bytes();
                let sealed = seal(&[APPLICATION_DATA, 3, 3, hi, lo], inner);
                plain_record(APPLICATION_DATA, &sealed)
            }
            Version::Tls12 => {
                let sealed = seal(&self.tls12_aad(content_type, payload.len()), payload.into());
                plain_record(content_type, &[&nonce[4..], &sealed].concat())
            }
        };
        self.seq += 1;
        record
    }

    /// Decrypts one record: its content type and payload. `None` if it is not authentic.
    pub fn open(&mut self, record: &[u8]) -> Option<(u8, Vec<u8>)> {
        let (header, body) = record.split_at(5);
        let opened = match self.version {
            Version::Tls13 => {
                let nonce = Nonce::assume_unique_for_key(self.nonce());
                let mut body = body.to_vec();
                let key = &self.key;
                let opened = key
                    .open_in_place(nonce, Aad::from(header), &mut body)
                    .ok()?;
                // Nobody pads here.
                let (content_type, payload) = opened.split_last()?;
                (*content_type, payload.to_vec())
            }
            Version::Tls12 => {
                let (explicit, sealed) = body.split_at_checked(8)?;
                let mut nonce = self.iv;
                nonce[4..].copy_from_slice(explicit);
                let nonce = Nonce::assume_unique_for_key(nonce);
                let aad = self.tls12_aad(header[0], sealed.len().checked_sub(16)?);
                let mut sealed = sealed.to_vec();
                let opened = self.key.open_in_place(nonce, Aad::from(&aad), &mut sealed);
                (header[0], opened.ok()?.to_vec())
            }
        };
        self.seq += 1;
        Some(opened)
    }
}
