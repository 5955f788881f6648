//! Why STARTTLS failed.

use std::{fmt, io};

#[derive(Debug)]
pub(crate) enum StarttlsError {
    /// The server does not offer it, or said no.
    Refused(String),
    /// The server did not answer as the protocol asks for.
    Unexpected(String),
    /// The server sent this many bytes behind its answer, in plaintext, that a careless client would
    /// take for a part of the TLS session.
    Injected(usize),
    /// More came than an answer may have.
    TooLong,
    Closed,
    Io(io::Error),
    TimedOut,
}

impl From<io::Error> for StarttlsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for StarttlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(text) => write!(f, "the server refused: {text}"),
            Self::Unexpected(text) => write!(f, "unexpected answer: {text}"),
            Self::Injected(bytes) => write!(
                f,
                "{bytes} bytes of plaintext came behind the server's consent (command injection)"
            ),
            Self::TooLong => f.write_str("the server's answer is too long"),
            Self::Closed => f.write_str("the server closed the connection"),
            Self::Io(e) => e.fmt(f),
            Self::TimedOut => f.write_str("no answer within the time limit"),
        }
    }
}

impl std::error::Error for StarttlsError {}

/// Shows what a server sent, on one line.
pub(super) fn excerpt(bytes: &[u8]) -> String {
    const MOST: usize = 120;
    let shown = bytes[..bytes.len().min(MOST)].escape_ascii();
    match bytes.len() > MOST {
        true => format!("`{shown}`..."),
        false => format!("`{shown}`"),
    }
}

pub(super) fn unexpected<T>(bytes: &[u8]) -> Result<T, StarttlsError> {
    Err(StarttlsError::Unexpected(excerpt(bytes)))
}

pub(super) fn refused<T>(bytes: &[u8]) -> Result<T, StarttlsError> {
    Err(StarttlsError::Refused(excerpt(bytes)))
}
