//! The sessions that a ClientHello offers, read from its bytes as they pass to rustls.
//!
//! rustls's `Acceptor` shows neither the session id nor the PSK identities, so they are parsed here.
//! What is found only decides what is looked up. Whether the bytes are a ClientHello is judged by
//! rustls alone, which is given all of them, unchanged.

use super::super::reader::Reader;

/// As long as the longest handshake message that rustls accepts.
const MAX_MESSAGE: usize = 0xffff;

const HANDSHAKE_RECORD: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const SUPPORTED_VERSIONS: u16 = 43;
const PRE_SHARED_KEY: u16 = 41;
const TLS13: [u8; 2] = [3, 4];

/// The sessions that a client offers to resume.
///
/// Empty where there is no ClientHello, or one that cannot be parsed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Offer {
    /// TLS 1.2. Of a client that speaks TLS 1.3 it is often random bytes (RFC 8446, D.4).
    pub(crate) session_id: Vec<u8>,
    /// TLS 1.3: the tickets.
    pub(crate) psk_identities: Vec<Vec<u8>>,
    pub(crate) tls13: bool,
}

/// Collects a ClientHello out of its records. Memory is bounded by the longest message.
#[derive(Debug)]
pub(crate) struct ClientHelloReader {
    step: Step,
    message: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many bytes of a record header have arrived.
    Header([u8; 5], usize),
    /// So many bytes of the record are still to come.
    Fragment(usize),
    /// The message is complete.
    Complete,
    NotAClientHello,
}

impl ClientHelloReader {
    pub(crate) fn new() -> Self {
        Self {
            step: Step::Header([0; 5], 0),
            message: Vec::new(),
        }
    }

    /// Adds bytes that the client has sent. Those behind the ClientHello are ignored.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.step {
                Step::Header(mut header, filled) => {
                    let n = bytes.len().min(header.len() - filled);
                    header[filled..filled + n].copy_from_slice(&bytes[..n]);
                    bytes = &bytes[n..];
                    self.step = match filled + n < header.len() {
                        true => Step::Header(header, filled + n),
                        false => Self::on_header(header),
                    };
                }
                Step::Fragment(left) => {
                    let n = bytes.len().min(left);
                    self.message.extend_from_slice(&bytes[..n]);
                    bytes = &bytes[n..];
                    self.step = match left - n {
                        0 => Step::Header([0; 5], 0),
                        left => Step::Fragment(left),
                    };
                    self.on_fragment();
                }
                Step::Complete | Step::NotAClientHello => return,
            }
        }
    }

    fn on_header([kind, major, _, hi, lo]: [u8; 5]) -> Step {
        match (kind, major, u16::from_be_bytes([hi, lo])) {
            (HANDSHAKE_RECORD, 3, len @ 1..=0x4000) => Step::Fragment(len.into()),
            _ => Step::NotAClientHello,
        }
    }

    fn on_fragment(&mut self) {
        let Some(&[kind, a, b, c]) = self.message.first_chunk() else {
            return;
        };
        let end = 4 + u32::from_be_bytes([0, a, b, c]) as usize;
        if kind != CLIENT_HELLO || end > MAX_MESSAGE {
            self.message = Vec::new();
            self.step = Step::NotAClientHello;
        } else if self.message.len() >= end {
            self.message.truncate(end);
            self.step = Step::Complete;
        }
    }

    /// Returns `true` if the bytes so far are the beginning of a ClientHello.
    pub(crate) fn needs_more(&self) -> bool {
        matches!(self.step, Step::Header(..) | Step::Fragment(_))
    }

    /// Returns what the ClientHello offers. Nothing if it is not complete, or is none.
    pub(crate) fn offer(&self) -> Offer {
        match self.step {
            Step::Complete => parse(&self.message[4..]).unwrap_or_default(),
            _ => Offer::default(),
        }
    }
}

/// RFC 8446, section 4.1.2; RFC 5246, section 7.4.1.2.
fn parse(body: &[u8]) -> Option<Offer> {
    let mut reader = Reader::new(body);
    reader.take(2 + 32)?; // legacy version, random
    let session_id = reader.vector(1)?.to_vec();
    reader.vector(2)?; // cipher suites
    reader.vector(1)?; // compression methods
    let mut offer = Offer {
        session_id,
        ..Offer::default()
    };
    if reader.is_empty() {
        return Some(offer);
    }
    let mut extensions = Reader::new(reader.vector(2)?);
    while !extensions.is_empty() {
        let kind = u16::from_be_bytes(extensions.take(2)?.try_into().ok()?);
        let mut extension = Reader::new(extensions.vector(2)?);
        match kind {
            SUPPORTED_VERSIONS => {
                let mut versions = extension.vector(1)?.chunks_exact(2);
                offer.tls13 = versions.any(|version| version == TLS13);
            }
            PRE_SHARED_KEY => {
                let mut identities = Reader::new(extension.vector(2)?);
                while !identities.is_empty() {
                    let identity = identities.vector(2)?;
                    identities.take(4)?; // obfuscated ticket age
                    offer.psk_identities.push(identity.to_vec());
                }
            }
            _ => {}
        }
    }
    Some(offer)
}

#[cfg(test)]
mod tests;
