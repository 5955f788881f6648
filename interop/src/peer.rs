//! What a peer is: how to start it in each role, and what it is expected to do.

use std::fmt;

use crate::{
    far::{daemon::Daemon, pipe::Pipe, proxy::Proxy, script::Script, web_client::WebClient},
    library::Library,
    scenario::Scenario,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    Tls12,
    Tls13,
}

impl Version {
    pub(crate) fn number(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

/// The role of the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Server,
    Client,
}

impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Side {
    pub(crate) role: Role,
    pub(crate) version: Version,
}

impl Side {
    const ALL: [Self; 4] = [
        Self::new(Role::Server, Version::Tls12),
        Self::new(Role::Server, Version::Tls13),
        Self::new(Role::Client, Version::Tls12),
        Self::new(Role::Client, Version::Tls13),
    ];

    const fn new(role: Role, version: Version) -> Self {
        Self { role, version }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.role.name(), self.version.number())
    }
}

pub(crate) struct Peer {
    /// Its name on the command line.
    pub(crate) key: &'static str,
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// One line for each row: `ROLE VERSION | CELL | CELL ...`, a cell for each of
    /// [`Scenario::ALL`]. `-` is not tried, and `A or B` is either.
    pub(crate) expected: &'static str,
    /// The rows that differ where our side is OpenSSL.
    pub(crate) expected_with_openssl: &'static str,
    /// Why the run may pass without it.
    pub(crate) may_be_missing: Option<&'static str>,
}

/// How the far end is played.
pub(crate) enum Kind {
    Script(Script),
    Pipe(Pipe),
    Proxy(Proxy),
    Daemon(Daemon),
    WebClient(WebClient),
}

impl Peer {
    /// What is expected of each side where we run on `library`.
    pub(crate) fn rows(
        &self,
        library: Library,
    ) -> Vec<(Side, [&'static str; Scenario::ALL.len()])> {
        let mut rows = self.read(self.expected);
        if library == Library::Openssl {
            for (side, cells) in self.read(self.expected_with_openssl) {
                match rows.iter_mut().find(|row| row.0 == side) {
                    Some(row) => row.1 = cells,
                    None => panic!("{}: no row differs from {side}", self.key),
                }
            }
        }
        rows
    }

    fn read(&self, rows: &'static str) -> Vec<(Side, [&'static str; Scenario::ALL.len()])> {
        let row = |line: &'static str| {
            let mut cells = line.split('|').map(str::trim);
            let name = cells.next().unwrap_or_default();
            let side = Side::ALL.into_iter().find(|side| side.to_string() == name);
            let cells: Vec<_> = cells.collect();
            let cells = cells.try_into();
            match (side, cells) {
                (Some(side), Ok(cells)) => (side, cells),
                _ => panic!("{}: not a row: {line}", self.key),
            }
        };
        rows.trim().lines().map(row).collect()
    }
}
