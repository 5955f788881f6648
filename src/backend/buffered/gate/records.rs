//! What the headers of records tell of a session: whether it is TLS 1.3, and whether the peer sends
//! an alert that is not encrypted.

use std::ops::ControlFlow;

use crate::event::Role;

#[cfg(test)]
mod tests;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
const SERVER_HELLO: u8 = 2;
/// The first byte of the cipher suites of TLS 1.3, which no other version has (RFC 8446 appendix
/// B.4).
const TLS13_SUITES: u8 = 0x13;

/// Follows the records of both directions.
///
/// From the first encrypted record of a peer of TLS 1.3 on, all of its alerts are encrypted and look
/// like application data. One that looks like an alert can be from anyone in the network.
#[derive(Default)]
pub(super) struct Records {
    inbound: Cut,
    outbound: Cut,
    hello: ServerHello,
    version: Version,
    is_encrypted: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Version {
    #[default]
    Unknown,
    Tls13,
    Older,
}

impl Records {
    /// Follows what was read. Returns where an alert begins that should be encrypted.
    pub(super) fn read(&mut self, bytes: &[u8], role: Role) -> Option<usize> {
        if self.version == Version::Older {
            return None;
        }
        let mut inbound = self.inbound;
        let refused = inbound.follow(bytes, |piece, at| match piece {
            Piece::Start(ALERT) if self.is_encrypted => ControlFlow::Break(at),
            Piece::Start(APPLICATION_DATA) => {
                self.is_encrypted = self.version == Version::Tls13;
                ControlFlow::Continue(())
            }
            Piece::Handshake(bytes) if role == Role::Client => {
                self.find_version(bytes);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        });
        self.inbound = inbound;
        refused
    }

    /// Follows what was written, as far as the `ServerHello`.
    pub(super) fn write(&mut self, bytes: &[u8], role: Role) {
        if role == Role::Client || self.version != Version::Unknown {
            return;
        }
        let mut outbound = self.outbound;
        outbound.follow(bytes, |piece, _| {
            if let Piece::Handshake(bytes) = piece {
                self.find_version(bytes);
            }
            ControlFlow::Continue(())
        });
        self.outbound = outbound;
    }

    fn find_version(&mut self, handshake: &[u8]) {
        if self.version == Version::Unknown {
            let suite = handshake.iter().find_map(|byte| self.hello.suite(*byte));
            self.version = match suite {
                Some(TLS13_SUITES) => Version::Tls13,
                Some(_) => Version::Older,
                None => Version::Unknown,
            };
        }
    }
}

/// A part of a record.
enum Piece<'a> {
    /// A record of this content type starts.
    Start(u8),
    /// Handshake messages.
    Handshake(&'a [u8]),
}

/// Where the last bytes were cut.
#[derive(Clone, Copy, Default)]
struct Cut {
    /// How many bytes of a header have come.
    header: u8,
    content_type: u8,
    /// How much of the record is to come, as far as the header has told.
    rest: u16,
}

impl Cut {
    /// Passes the pieces in `bytes` on, each with where it begins, until one breaks.
    fn follow(
        &mut self,
        bytes: &[u8],
        mut on_piece: impl FnMut(Piece<'_>, usize) -> ControlFlow<usize>,
    ) -> Option<usize> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match self.header {
                0 => {
                    if let ControlFlow::Break(at) = on_piece(Piece::Start(*byte), at) {
                        return Some(at);
                    }
                    self.content_type = *byte;
                }
                // The version says nothing (RFC 8446 section 5.1).
                1 | 2 => {}
                3 => self.rest = u16::from(*byte) << 8,
                4 => self.rest |= u16::from(*byte),
                _ => {
                    let end = bytes.len().min(at + usize::from(self.rest));
                    if self.content_type == HANDSHAKE {
                        let _ = on_piece(Piece::Handshake(&bytes[at..end]), at);
                    }
                    // At most `rest`, which is a `u16`.
                    self.rest -= (end - at) as u16;
                    at = end;
                    if self.rest == 0 {
                        self.header = 0;
                    }
                    continue;
                }
            }
            self.header += 1;
            at += 1;
            if self.header == 5 && self.rest == 0 {
                self.header = 0;
            }
        }
        None
    }
}

/// Looks for the cipher suite of the first `ServerHello` (RFC 8446 section 4.1.3).
#[derive(Default)]
struct ServerHello {
    /// How many bytes of a message have come.
    offset: usize,
    message_type: u8,
    /// That of the message, without its header.
    len: usize,
    session_id_len: usize,
}

impl ServerHello {
    /// Takes the next byte of the handshake. Returns the first of the cipher suite.
    fn suite(&mut self, byte: u8) -> Option<u8> {
        match self.offset {
            0 => (self.message_type, self.len) = (byte, 0),
            1..=3 => self.len = self.len << 8 | usize::from(byte),
            // Behind the header of 4 bytes, a version of 2 and a random value of 32.
            38 => self.session_id_len = byte.into(),
            offset if self.message_type == SERVER_HELLO && offset == 39 + self.session_id_len => {
                return Some(byte);
            }
            _ => {}
        }
        self.offset += 1;
        if self.offset >= 4 && self.offset == 4 + self.len {
            self.offset = 0;
        }
        None
    }
}
