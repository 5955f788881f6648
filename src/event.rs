//! What happens to a connection, as its sessions and its tracker learn of it.

use std::fmt;

/// Which side of the connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// We opened the connection.
    Client,
    /// We accepted the connection.
    Server,
}

impl Role {
    /// Returns `"client"` or `"server"`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// How a connection ended for its sessions.
///
/// Coarser than [`CloseOutcome`](crate::CloseOutcome), which is for people: whether a session may
/// be resumed depends on these three alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionOutcome {
    /// We closed it.
    Closed,
    /// A fatal alert was sent or received, or a bad record arrived.
    Failed,
    /// Neither.
    Dropped,
}

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The handshake has resumed a session.
    Resumed,
    /// The connection has ended. One that was closed may still fail.
    Ended(SessionOutcome),
}

/// Is told of the events of one connection.
pub(crate) trait Observer: fmt::Debug + Send + Sync {
    /// Handles an event of the connection.
    fn on_event(&self, event: Event);
}
