//! Where records begin in the bytes from the peer, and which headers can be refused on sight.

#[cfg(test)]
mod tests;

pub(crate) const HEADER: usize = 5;
const ALERT_BODY: usize = 2;
const PLAINTEXT_ALERT: usize = HEADER + ALERT_BODY;

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const APPLICATION_DATA: u8 = 23;

const FATAL: u8 = 2;
const CLOSE_NOTIFY: u8 = 0;

/// A record that no peer of ours may send once the handshake is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadRecord {
    ContentType,
    Version,
    Oversized,
    /// Not encrypted.
    Plaintext,
    /// A fatal alert that is not encrypted: nobody vouches for it, but it is worth telling.
    PlaintextAlert(u8),
}

/// The longest body of TLS 1.2 (RFC 5246 section 6.2.3) and of any record.
pub(crate) const MAX_LEN: u16 = (1 << 14) + 2048;
/// The longest body of TLS 1.3 (RFC 8446 section 5.2).
const MAX_LEN_TLS13: u16 = (1 << 14) + 256;

/// Tells whether a record can begin with this byte.
pub(crate) fn is_content_type(byte: u8) -> bool {
    (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&byte)
}

/// Returns how long the body of a record is that this header begins.
pub(crate) fn body_len(header: [u8; HEADER], max: u16) -> Result<u16, BadRecord> {
    let [content_type, major, _, hi, lo] = header;
    let len = u16::from_be_bytes([hi, lo]);
    if !is_content_type(content_type) {
        Err(BadRecord::ContentType)
    } else if major != 3 {
        Err(BadRecord::Version)
    } else if len > max {
        Err(BadRecord::Oversized)
    } else {
        Ok(len)
    }
}

/// What record headers may say; TLS 1.3 hides all but the length.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) tls13: bool,
}

impl Rules {
    fn max_len(self) -> u16 {
        match self.tls13 {
            true => MAX_LEN_TLS13,
            false => MAX_LEN,
        }
    }

    /// Returns how long the record's body is, or `None` where the body must be seen to say what
    /// is wrong with it.
    fn check(self, header: [u8; HEADER]) -> Result<Option<u16>, BadRecord> {
        let content_type = header[0];
        let len = body_len(header, self.max_len())?;
        if content_type == ALERT && usize::from(len) == ALERT_BODY {
            return Ok(None);
        }
        if content_type == CHANGE_CIPHER_SPEC || self.tls13 && content_type != APPLICATION_DATA {
            return Err(BadRecord::Plaintext);
        }
        Ok(Some(len))
    }
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// Somebody else has read from this connection before: this may be the middle of a record.
    Unknown,
    /// This much of a header (and of the body of a plaintext alert) has come.
    Header {
        bytes: [u8; PLAINTEXT_ALERT],
        have: u8,
    },
    /// This much of a record is missing.
    Body(u16),
    Bad(BadRecord),
}

impl State {
    const BOUNDARY: Self = Self::Header {
        bytes: [0; PLAINTEXT_ALERT],
        have: 0,
    };
}

/// Follows the records of one direction of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Framing(State);

impl Framing {
    pub(crate) const fn unknown() -> Self {
        Self(State::Unknown)
    }

    /// Returns the record that was refused.
    pub(crate) fn bad(&self) -> Option<BadRecord> {
        match self.0 {
            State::Bad(bad) => Some(bad),
            _ => None,
        }
    }

    /// Returns how many of the next `bytes` lie before the first bad header.
    pub(crate) fn admit(&mut self, bytes: &[u8], rules: Rules) -> usize {
        if let State::Unknown = self.0 {
            // 40 bits of ciphertext look like a good header once in millions of times, and then
            // only if a record is cut right here. Anything else is left to rustls.
            match bytes.first_chunk() {
                Some(&header) if header[2] == 3 && rules.check(header).is_ok() => {
                    self.0 = State::BOUNDARY;
                }
                _ => return bytes.len(),
            }
        }

        let mut pos = 0;
        let mut record = 0;
        while pos < bytes.len() {
            match &mut self.0 {
                State::Unknown | State::Bad(_) => return record,
                State::Body(left) => {
                    let here = u16::try_from(bytes.len() - pos).unwrap_or(u16::MAX);
                    let n = here.min(*left);
                    pos += usize::from(n);
                    *left -= n;
                    if *left == 0 {
                        self.0 = State::BOUNDARY;
                    }
                }
                State::Header { bytes: seen, have } => {
                    if *have == 0 {
                        record = pos;
                        // The usual case at once.
                        if let Some(&header) = bytes[pos..].first_chunk() {
                            if let Ok(Some(len @ 1..)) = rules.check(header) {
                                self.0 = State::Body(len);
                                pos += HEADER;
                                continue;
                            }
                        }
                    }
                    seen[usize::from(*have)] = bytes[pos];
                    *have += 1;
                    pos += 1;
                    let [header @ .., level, description] = *seen;
                    self.0 = match usize::from(*have).checked_sub(HEADER) {
                        None => continue,
                        Some(0) => match rules.check(header) {
                            Ok(Some(0)) => State::BOUNDARY,
                            Ok(Some(len)) => State::Body(len),
                            Ok(None) => continue,
                            Err(bad) => State::Bad(bad),
                        },
                        Some(1) => continue,
                        Some(_) => State::Bad(match (level, description) {
                            (_, CLOSE_NOTIFY) => BadRecord::Plaintext,
                            (FATAL, description) => BadRecord::PlaintextAlert(description),
                            _ => BadRecord::Plaintext,
                        }),
                    };
                }
            }
        }
        match self.0 {
            State::Bad(_) => record,
            State::Header { have, .. } if usize::from(have) >= HEADER => record,
            _ => bytes.len(),
        }
    }
}
