//! The TLS version and the cipher suite of a session, by the names that OpenSSL and IANA give them.

use std::fmt;

use serde::Serialize;
use tokio_tls_shutdown::tokio_rustls::rustls::{CipherSuite, ProtocolVersion};

/// What rustls can agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) enum TlsVersion {
    #[serde(rename = "TLSv1.2")]
    Tls12,
    #[serde(rename = "TLSv1.3")]
    Tls13,
}

impl TlsVersion {
    /// Returns the version of a finished handshake.
    pub(crate) fn of(version: Option<ProtocolVersion>) -> Self {
        match version {
            Some(ProtocolVersion::TLSv1_2) => Self::Tls12,
            _ => Self::Tls13,
        }
    }

    pub(crate) fn number(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLSv{}", self.number())
    }
}

/// Returns the name that IANA has registered.
pub(crate) fn suite_name(suite: CipherSuite) -> String {
    format!("{suite:?}").replacen("TLS13_", "TLS_", 1)
}
