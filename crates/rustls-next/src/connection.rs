//! A connection of either side, and its input.

use rustls::{
    Connection, Error, HandshakeKind, SideData, Tcp, TlsInputBuffer, client::ClientSide,
    server::ServerSide,
};

/// What the stream needs of rustls.
pub(super) trait Session: Send {
    fn is_handshaking(&self) -> bool;
    fn handshake_kind(&self) -> Option<HandshakeKind>;
    fn tickets(&self) -> u32;
    fn write(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Error>;
    fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Error>;
    fn read(
        &mut self,
        input: &mut Input,
        out: &mut Vec<u8>,
        plain: &mut Vec<u8>,
    ) -> Result<(), Error>;
}

/// How many TLS 1.3 tickets have arrived.
pub(super) trait Tickets {
    fn tickets(&self) -> u32;
}

impl Tickets for Connection<ClientSide, Tcp> {
    fn tickets(&self) -> u32 {
        self.tls13_tickets_received()
    }
}

impl Tickets for Connection<ServerSide, Tcp> {
    fn tickets(&self) -> u32 {
        0
    }
}

impl<S: SideData> Session for Connection<S, Tcp>
where
    Self: Send + Tickets,
{
    fn is_handshaking(&self) -> bool {
        Self::is_handshaking(self)
    }

    fn handshake_kind(&self) -> Option<HandshakeKind> {
        (**self).handshake_kind()
    }

    fn tickets(&self) -> u32 {
        Tickets::tickets(self)
    }

    fn write(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        match data {
            [] => Ok(()),
            data => Self::write(self, data.into(), out),
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) -> Result<(), Error> {
        self.send_close_notify(out)
    }

    fn read(
        &mut self,
        input: &mut Input,
        out: &mut Vec<u8>,
        plain: &mut Vec<u8>,
    ) -> Result<(), Error> {
        self.read_tls(input, out).handle_all(plain).map(drop)
    }
}

/// What has come and was not processed.
#[derive(Default)]
pub(super) struct Input {
    buf: Vec<u8>,
    at: usize,
    ended: bool,
}

impl Input {
    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.buf.drain(..self.at);
        self.at = 0;
        self.buf.extend_from_slice(bytes);
    }

    /// Returns `true` once the peer's `close_notify` was processed.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }
}

impl TlsInputBuffer for Input {
    fn slice_mut(&mut self) -> &mut [u8] {
        &mut self.buf[self.at..]
    }

    fn discard(&mut self, bytes: usize) {
        self.at += bytes;
    }

    fn received_close_notify(&mut self) {
        self.ended = true;
    }

    fn has_seen_eof(&self) -> bool {
        false
    }
}
