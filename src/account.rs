//! The account of one connection: what is known of its end, and who is told.

use std::{fmt, io, sync::Arc, task::Poll};

use crate::{drive::end_of_transport, error::ShutdownError, machine, outcome::PeerClose};

/// How a connection has ended for its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// We have closed it.
    Closed,
    /// A fatal alert was sent or received, or a bad record came.
    Failed,
    /// Neither.
    Dropped,
}

/// Keeps the sessions that one connection brought or used.
pub(crate) trait Ledger: fmt::Debug + Send + Sync {
    /// The handshake has resumed a session.
    fn resumed(&self) {}

    /// The connection has ended. One that was closed may still fail.
    fn end(&self, end: End);
}

/// What is known of the end of one connection. Whoever asked for it is told of a failure at once,
/// and of the rest when the account is dropped, at the latest.
#[derive(Debug)]
pub struct Account {
    sessions: Option<Arc<dyn Ledger>>,
    sent: bool,
    peer: Option<PeerClose>,
    failed: bool,
    told: Option<End>,
}

impl Account {
    pub(crate) fn new(sessions: Option<Arc<dyn Ledger>>) -> Self {
        Self {
            sessions,
            sent: false,
            peer: None,
            failed: false,
            told: None,
        }
    }

    /// The handshake is finished.
    pub(crate) fn established(&self, resumed: bool) {
        if let (Some(sessions), true) = (&self.sessions, resumed) {
            sessions.resumed();
        }
    }

    /// Our close_notify is out, or counts as such.
    pub(crate) fn sent(&mut self) {
        self.sent = true;
        self.settle();
    }

    /// The peer has ended its side, or is no longer waited for.
    pub(crate) fn peer_closed(&mut self, how: PeerClose) {
        self.peer = Some(how);
        self.settle();
    }

    /// A step of a close has come to this.
    pub(crate) fn close_polled(
        &mut self,
        poll: &Poll<Result<(), ShutdownError>>,
        memory: machine::Memory,
    ) {
        if memory.is_closed() {
            self.sent();
        }
        if let Some(how) = memory.peer_close() {
            self.peer_closed(how);
        }
        if let Poll::Ready(Err(ShutdownError::Tls(_))) = poll {
            self.failed();
        }
    }

    /// Reading or writing has failed.
    pub(crate) fn io_failed(&mut self, error: &io::Error) {
        if is_tls_failure(error) {
            self.failed();
        } else if let Some(how) = end_of_transport(error) {
            self.peer_closed(how);
        }
    }

    /// The TLS session has failed.
    pub(crate) fn failed(&mut self) {
        self.failed = true;
        self.tell(End::Failed);
    }

    /// Nothing that can come any longer makes a close undone once both sides have ended.
    fn settle(&mut self) {
        if self.sent && self.peer.is_some() && !self.failed {
            self.tell(End::Closed);
        }
    }

    fn tell(&mut self, end: End) {
        if self.told == Some(end) {
            return;
        }
        self.told = Some(end);
        if let Some(sessions) = &self.sessions {
            sessions.end(end);
        }
    }
}

/// Tells whether it was TLS that has failed: tokio-rustls wraps rustls's error, and this crate its
/// own.
fn is_tls_failure(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| {
        let ours = inner.downcast_ref();
        inner.is::<rustls::Error>() || matches!(ours, Some(ShutdownError::Tls(_)))
    })
}

impl Drop for Account {
    fn drop(&mut self) {
        if self.told.is_none() {
            self.tell(match self.sent {
                true => End::Closed,
                false => End::Dropped,
            });
        }
    }
}
