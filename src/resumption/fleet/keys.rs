//! `FleetKeys`: names sessions and encrypts them before they leave the process.

use std::fmt;

use chacha20poly1305::{AeadInOut, KeyInit, XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rustls::crypto::SecureRandom;
use sha2::Sha256;

/// Changes with the layout of a value, and with the format of `ServerSessionValue`, which is
/// rustls's own. Servers that differ in it do not see each other's sessions.
const FORMAT: &[u8] = b"tokio-tls-shutdown 1, rustls 0.23";

/// The first byte of a value.
const VERSION: u8 = 1;
const NONCE: usize = 24;
const EXPIRES: usize = 8;
const TAG: usize = 16;

/// The longest session that is stored: one with a client certificate chain of some kilobytes.
pub(super) const MAX_SESSION: usize = 16 * 1024;
const MAX_VALUE: usize = 1 + NONCE + EXPIRES + MAX_SESSION + TAG;

/// The keys that the sessions of a fleet are encrypted with.
///
/// A session holds the secrets of its connections: who can read one can impersonate the client, and
/// decrypt TLS 1.2 connections that resumed it. So a session is encrypted and authenticated with
/// XChaCha20-Poly1305 and a random nonce before it leaves the process, bound to its name. The name is
/// an HMAC-SHA-256 over the context, the version of the format, and the session id. Someone who controls
/// the database can delete sessions and bring back a TLS 1.3 ticket that was used, but not read, change
/// or make a session. What else such a database can do depends on the [store](super::FleetStore): a
/// client that buffers an answer without end uses up the memory of the process. The ciphers are
/// RustCrypto's, and not validated for FIPS 140.
///
/// All servers of the fleet have the same keys: 32 random bytes each, from a secret manager and not
/// from a password.
///
/// # Rotation
///
/// Give the new key to all servers as a further key first, then as the current key with the old one as
/// a further key, and remove the old one when a lifetime has passed. See
/// [`FleetSessions::set_keys`](super::FleetSessions::set_keys). Each further key looks sessions up
/// under one more name, in the same round trip.
///
/// ```
/// use tokio_tls_shutdown::resumption::fleet::FleetKeys;
///
/// fn keys(current: [u8; 32], previous: [u8; 32]) -> FleetKeys {
///     FleetKeys::new(current).with_previous(previous)
/// }
/// ```
#[derive(Clone)]
pub struct FleetKeys {
    current: Key,
    previous: Vec<Key>,
}

impl FleetKeys {
    /// Creates new keys: new sessions are encrypted with `current`.
    #[must_use]
    pub fn new(current: [u8; 32]) -> Self {
        Self {
            current: Key::derive(&current),
            previous: Vec::new(),
        }
    }

    /// Adds a key whose sessions resume, too: the one that was current before, or will be next.
    #[must_use]
    pub fn with_previous(mut self, key: [u8; 32]) -> Self {
        self.previous.push(Key::derive(&key));
        self
    }

    pub(super) fn current(&self) -> &Key {
        &self.current
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl fmt::Debug for FleetKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FleetKeys")
            .field("previous", &self.previous.len())
            .finish_non_exhaustive()
    }
}

/// What is derived from one key of the user.
#[derive(Clone)]
pub(super) struct Key {
    cipher: XChaCha20Poly1305,
    names: Hmac<Sha256>,
}

/// A session, and when it expires, in seconds since 1970.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Opened {
    pub(super) session: Vec<u8>,
    pub(super) expires: u64,
}

impl Key {
    fn derive(key: &[u8; 32]) -> Self {
        let derived = |purpose: &[u8]| {
            let mut mac = hmac(key);
            mac.update(purpose);
            <[u8; 32]>::from(mac.finalize().into_bytes())
        };
        Self {
            cipher: XChaCha20Poly1305::new(&derived(b"tokio-tls-shutdown fleet encryption").into()),
            names: hmac(&derived(b"tokio-tls-shutdown fleet names")),
        }
    }

    /// Returns the name of the session that rustls knows under `id`, with the context appended.
    pub(super) fn name(&self, id: &[u8]) -> Vec<u8> {
        let mut mac = self.names.clone();
        // `FORMAT` is as long in each version as in this one, so no two inputs are alike.
        mac.update(FORMAT);
        mac.update(id);
        mac.finalize().into_bytes().to_vec()
    }

    /// Encrypts a session. `None` if it is too long or there is no randomness.
    pub(super) fn seal(
        &self,
        name: &[u8],
        session: &[u8],
        expires: u64,
        random: &dyn SecureRandom,
    ) -> Option<Vec<u8>> {
        if session.len() > MAX_SESSION {
            return None;
        }
        let mut nonce = [0; NONCE];
        random.fill(&mut nonce).ok()?;
        let mut sealed = Vec::with_capacity(EXPIRES + session.len() + TAG);
        sealed.extend(expires.to_be_bytes());
        sealed.extend(session);
        self.cipher
            .encrypt_in_place(&XNonce::from(nonce), &associated_data(name), &mut sealed)
            .ok()?;
        Some([&[VERSION], &nonce[..], &sealed].concat())
    }

    /// Decrypts what [`seal`](Self::seal) has made under the same name. `None` if it is anything
    /// else.
    pub(super) fn open(&self, name: &[u8], value: &[u8]) -> Option<Opened> {
        let sealed = (value.strip_prefix(&[VERSION])).filter(|_| value.len() <= MAX_VALUE)?;
        let (&nonce, sealed) = sealed.split_first_chunk::<NONCE>()?;
        let mut opened = sealed.to_vec();
        self.cipher
            .decrypt_in_place(&XNonce::from(nonce), &associated_data(name), &mut opened)
            .ok()?;
        let (&expires, session) = opened.split_first_chunk::<EXPIRES>()?;
        Some(Opened {
            session: session.to_vec(),
            expires: u64::from_be_bytes(expires),
        })
    }
}

fn associated_data(name: &[u8]) -> Vec<u8> {
    [&[VERSION], name].concat()
}

fn hmac(key: &[u8; 32]) -> Hmac<Sha256> {
    // RFC 2104: a shorter key is padded with zeros to the block size.
    let mut block = hmac::digest::Key::<Hmac<Sha256>>::default();
    block[..key.len()].copy_from_slice(key);
    <Hmac<Sha256> as KeyInit>::new(&block)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use rustls::crypto::ring::default_provider;

    use super::*;

    #[test]
    fn a_value_opens_with_its_key_under_its_name_and_only_as_it_was_sealed() {
        let random = default_provider().secure_random;
        let key = Key::derive(&[1; 32]);
        let (name, session) = (key.name(b"id"), [7; 200]);
        let sealed = key.seal(&name, &session, 1000, random).unwrap();
        let opened = key.open(&name, &sealed).unwrap();
        assert_eq!((&opened.session[..], opened.expires), (&session[..], 1000));
        assert_eq!(Key::derive(&[2; 32]).open(&name, &sealed), None);
        assert_eq!(key.open(&key.name(b"other"), &sealed), None);
        for len in 0..sealed.len() {
            assert_eq!(key.open(&name, &sealed[..len]), None, "{len}");
        }
        for bit in 0..8 * sealed.len() {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(&name, &flipped), None, "{bit}");
        }
        assert_eq!(key.open(&name, &[&sealed[..], &[0]].concat()), None);
        assert!(!sealed.windows(8).any(|window| window == [7; 8]));
        assert_ne!(key.seal(&name, &session, 1000, random), Some(sealed));
    }

    #[test]
    fn a_session_that_is_too_long_is_not_sealed() {
        let random = default_provider().secure_random;
        let key = Key::derive(&[1; 32]);
        let longest = vec![0; MAX_SESSION];
        let sealed = key.seal(b"name", &longest, 0, random).unwrap();
        assert_eq!(key.open(b"name", &sealed).unwrap().session, longest);
        assert_eq!(key.seal(b"name", &[0; MAX_SESSION + 1], 0, random), None);
    }

    #[test]
    fn names_differ_by_key_and_id() {
        let keys = [[1; 32], [2; 32]].map(|key| Key::derive(&key));
        let names: HashSet<_> = (keys.iter())
            .flat_map(|key| ["", "a", "b", "ab"].map(|id| key.name(id.as_bytes())))
            .collect();
        assert_eq!(names.len(), 8);
        assert!(names.iter().all(|name| name.len() == 32));
    }

    /// A session of another version of rustls must not be found: its format may be another one.
    #[test]
    fn the_format_names_the_version_of_rustls() {
        let manifest = include_str!("../../../Cargo.toml");
        let format = std::str::from_utf8(FORMAT).unwrap();
        let (_, version) = format.split_once("rustls ").unwrap();
        let dependency = format!("rustls = {{ version = \"{version}.");
        assert!(manifest.contains(&dependency), "{dependency}");
    }
}
