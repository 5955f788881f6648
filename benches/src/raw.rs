//! The floor: rustls alone, in memory, without tokio.

use std::sync::Arc;

use rustls::{
    ClientConfig, ClientConnection, ConnectionCommon, ServerConfig, ServerConnection, SideData,
};
use tokio_tls_shutdown::tokio_rustls::rustls;

use crate::{contender::Close, tls::server_name};

pub const NAME: &str = "rustls alone";

/// Both ends of a connection whose handshake is done, and the bytes between them.
pub struct RawPair {
    client: ClientConnection,
    server: ServerConnection,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
}

impl RawPair {
    pub fn new(client: &Arc<ClientConfig>, server: &Arc<ServerConfig>) -> Self {
        let (client, server) = (Arc::clone(client), Arc::clone(server));
        let mut pair = Self {
            client: ClientConnection::new(client, server_name()).expect("a session"),
            server: ServerConnection::new(server).expect("a session"),
            to_server: Vec::with_capacity(4096),
            to_client: Vec::with_capacity(4096),
        };
        while pair.client.is_handshaking() || pair.server.is_handshaking() {
            write(&mut pair.client, &mut pair.to_server);
            read(&mut pair.server, &mut pair.to_server);
            write(&mut pair.server, &mut pair.to_client);
            read(&mut pair.client, &mut pair.to_client);
        }
        pair
    }

    pub fn prepare(&mut self, close: Close) {
        if close == Close::Answer {
            self.server.send_close_notify();
            write(&mut self.server, &mut self.to_client);
        }
    }

    pub fn close(&mut self, close: Close) {
        self.client.send_close_notify();
        write(&mut self.client, &mut self.to_server);
        if close == Close::Bidirectional {
            self.server.send_close_notify();
            write(&mut self.server, &mut self.to_client);
            read(&mut self.server, &mut self.to_server);
        }
        if close != Close::Notify {
            read(&mut self.client, &mut self.to_client);
        }
    }
}

fn write<S: SideData>(from: &mut ConnectionCommon<S>, wire: &mut Vec<u8>) {
    while from.wants_write() {
        from.write_tls(wire).expect("room");
    }
}

fn read<S: SideData>(to: &mut ConnectionCommon<S>, wire: &mut Vec<u8>) {
    let mut bytes = &wire[..];
    while !bytes.is_empty() {
        to.read_tls(&mut bytes).expect("bytes");
        to.process_new_packets().expect("good records");
    }
    wire.clear();
}
