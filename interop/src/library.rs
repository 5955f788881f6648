//! The TLS libraries that our side runs on.

use std::fmt;

use clap::ValueEnum;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Library {
    Rustls,
    Openssl,
}

impl Library {
    pub(crate) const ALL: [Self; 2] = [Self::Rustls, Self::Openssl];
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rustls => "rustls",
            Self::Openssl => "OpenSSL",
        })
    }
}
