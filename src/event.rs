//! What happens to a connection, for those who are told of it: its sessions and its tracker.

use std::fmt;

/// Which side of the connection we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Client,
    Server,
}

#[cfg(any(feature = "tracing", feature = "metrics"))]
impl Role {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Server => "server",
        }
    }
}

/// How a connection has ended for its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionOutcome {
    /// We have closed it.
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
