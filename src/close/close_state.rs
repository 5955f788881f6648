//! `CloseState`: what is known of a close from one call to the next.

use super::exchange::Exchange;
use crate::{
    backend::{Alert, AlertState, TransportEnd},
    state::PeerClose,
};

/// What is known of the close of one connection from one call to the next.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CloseState {
    pub(crate) alert: AlertState,
    pub(crate) exchange: Exchange,
}

impl CloseState {
    pub(crate) const NEW: Self = Self {
        alert: AlertState {
            alert: Alert::Unqueued,
            made_before: false,
            writer_waits: false,
            last_queued: false,
            peer_closed: false,
            failed: false,
            handshaking: false,
            transport: TransportEnd::Unknown,
            wrapped: false,
        },
        exchange: Exchange::NEW,
    };
}

impl CloseState {
    /// The peer has ended its side, as a call that does not close has found.
    pub(crate) fn on_peer_closed(&mut self, how: PeerClose) {
        if self.alert.has_left() {
            self.exchange.on_alert_left();
        }
        self.exchange.on_peer_closed(how);
    }
}
