//! Opens the records of TLS 1.3 (RFC 8446, sections 5.2 and 7).

use ring::{
    aead::{self, Aad, LessSafeKey, Nonce, UnboundKey},
    hkdf,
};

use super::record::HEADER;

/// The cipher suite.
#[derive(Clone, Copy)]
pub(super) struct Suite {
    aead: &'static aead::Algorithm,
    hash: hkdf::Algorithm,
}

impl Suite {
    /// Reads the cipher suite of a ServerHello, with its handshake header.
    pub(super) fn of_server_hello(message: &[u8]) -> Option<Self> {
        // Type, length, version, random.
        let rest = message.get(1 + 3 + 2 + 32..)?;
        let (&session_id, rest) = rest.split_first()?;
        let (aead, hash) = match rest.get(usize::from(session_id)..)?.first_chunk()? {
            [0x13, 0x01] => (&aead::AES_128_GCM, hkdf::HKDF_SHA256),
            [0x13, 0x02] => (&aead::AES_256_GCM, hkdf::HKDF_SHA384),
            [0x13, 0x03] => (&aead::CHACHA20_POLY1305, hkdf::HKDF_SHA256),
            _ => return None,
        };
        Some(Self { aead, hash })
    }
}

/// The keys of one direction.
pub(super) struct Keys {
    suite: Suite,
    secret: Vec<u8>,
    key: LessSafeKey,
    iv: [u8; aead::NONCE_LEN],
    sequence: u64,
}

impl Keys {
    pub(super) fn new(suite: Suite, secret: Vec<u8>) -> Option<Self> {
        let key = expand(suite.hash, &secret, "key", suite.aead.key_len())?;
        let iv = expand(suite.hash, &secret, "iv", aead::NONCE_LEN)?;
        Some(Self {
            suite,
            key: LessSafeKey::new(UnboundKey::new(suite.aead, &key).ok()?),
            iv: iv.try_into().ok()?,
            secret,
            sequence: 0,
        })
    }

    /// Returns the keys that follow a KeyUpdate.
    pub(super) fn next(self) -> Option<Self> {
        let secret = expand(
            self.suite.hash,
            &self.secret,
            "traffic upd",
            self.secret.len(),
        )?;
        Self::new(self.suite, secret)
    }

    /// Decrypts a record in place and returns its real content type and content.
    pub(super) fn open<'a>(&mut self, record: &'a mut [u8]) -> Option<(u8, &'a [u8])> {
        let (header, body) = record.split_first_chunk_mut::<HEADER>()?;
        let mut nonce = self.iv;
        for (byte, sequence) in nonce[4..].iter_mut().zip(self.sequence.to_be_bytes()) {
            *byte ^= sequence;
        }
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.key.open_in_place(nonce, Aad::from(&*header), body);
        let inner: &[u8] = opened.ok()?;
        self.sequence += 1;
        let end = inner.iter().rposition(|&byte| byte != 0)?;
        Some((inner[end], &inner[..end]))
    }
}

/// HKDF-Expand-Label with an empty context.
fn expand(hash: hkdf::Algorithm, secret: &[u8], label: &str, len: usize) -> Option<Vec<u8>> {
    struct Len(usize);

    impl hkdf::KeyType for Len {
        fn len(&self) -> usize {
            self.0
        }
    }

    let label = format!("tls13 {label}");
    let info = [
        &u16::try_from(len).ok()?.to_be_bytes()[..],
        &[u8::try_from(label.len()).ok()?],
        label.as_bytes(),
        &[0],
    ];
    let mut out = vec![0; len];
    let secret = hkdf::Prk::new_less_safe(hash, secret);
    secret.expand(&info, Len(len)).ok()?.fill(&mut out).ok()?;
    Some(out)
}
