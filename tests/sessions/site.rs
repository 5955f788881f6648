//! A client and a server that meet again and again.

use std::sync::Arc;

use rustls::{
    ClientConfig, HandshakeKind, ServerConfig, client::ClientSessionMemoryCache, crypto::ring,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector, GracefulStream, HandshakeError, ShutdownExt,
    resumption::ClientSessions,
    tokio_rustls::{client, rustls, server},
};

use crate::support::{Case, Role, Version, pair::name};

pub(crate) type ClientStream = GracefulStream<client::TlsStream<DuplexStream>>;
pub(crate) type ServerStream = GracefulStream<server::TlsStream<DuplexStream>>;

/// How a server keeps its sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Tls12Id,
    Tls12Ticket,
    Tls13Stateful,
    Tls13Stateless,
}

pub(crate) const KINDS: [Kind; 4] = [
    Kind::Tls12Id,
    Kind::Tls12Ticket,
    Kind::Tls13Stateful,
    Kind::Tls13Stateless,
];

impl Kind {
    pub(crate) fn is_tls13(self) -> bool {
        matches!(self, Self::Tls13Stateful | Self::Tls13Stateless)
    }

    pub(crate) fn is_stateless(self) -> bool {
        matches!(self, Self::Tls12Ticket | Self::Tls13Stateless)
    }

    pub(crate) fn case(self) -> Case {
        let version = match self.is_tls13() {
            true => Version::Tls13,
            false => Version::Tls12,
        };
        Case::new(version, Role::Client)
    }

    pub(crate) fn versions(self) -> [&'static rustls::SupportedProtocolVersion; 1] {
        match self.is_tls13() {
            true => [&rustls::version::TLS13],
            false => [&rustls::version::TLS12],
        }
    }

    pub(crate) fn client(self) -> Arc<ClientConfig> {
        Arc::new(self.case().client_config())
    }

    pub(crate) fn server_config(self) -> ServerConfig {
        let mut config = self.case().server_config();
        config.send_tls13_tickets = 2;
        if self.is_stateless() {
            config.ticketer = ring::Ticketer::new().unwrap();
        }
        config
    }

    pub(crate) fn server(self) -> Arc<ServerConfig> {
        Arc::new(self.server_config())
    }
}

/// One of each kind.
pub(crate) fn stores() -> [ClientSessions; 2] {
    [
        ClientSessions::in_memory(8),
        ClientSessions::with_store(Arc::new(ClientSessionMemoryCache::new(32))),
    ]
}

/// Connects and exchanges one byte each way, so that the client has read its tickets.
pub(crate) async fn meet(
    connector: &GracefulConnector,
    acceptor: &GracefulAcceptor,
) -> (ClientStream, ServerStream) {
    let (mut client, mut server) = shake_hands(connector, acceptor).await;
    client.write_all(b"?").await.unwrap();
    server.read_u8().await.unwrap();
    server.write_all(b"!").await.unwrap();
    client.read_u8().await.unwrap();
    (client, server)
}

pub(crate) async fn shake_hands(
    connector: &GracefulConnector,
    acceptor: &GracefulAcceptor,
) -> (ClientStream, ServerStream) {
    let (client, server) = try_shake_hands(connector, acceptor).await;
    (client.unwrap(), server.unwrap())
}

pub(crate) async fn try_shake_hands(
    connector: &GracefulConnector,
    acceptor: &GracefulAcceptor,
) -> (
    Result<ClientStream, HandshakeError>,
    Result<ServerStream, HandshakeError>,
) {
    let (theirs, ours) = duplex(1 << 20);
    tokio::join!(connector.connect(name(), theirs), acceptor.accept(ours))
}

/// Connects, closes both ways, and returns whether a session was resumed.
pub(crate) async fn resumes(connector: &GracefulConnector, acceptor: &GracefulAcceptor) -> bool {
    let (mut client, mut server) = meet(connector, acceptor).await;
    let resumed = client.is_resumed();
    assert_eq!(resumed, server.is_resumed());
    let kind = client.get_ref().get_ref().1.handshake_kind();
    assert_eq!(resumed, kind == Some(HandshakeKind::Resumed));
    close(&mut client, &mut server).await;
    resumed
}

/// Closes both ways.
pub(crate) async fn close(client: &mut ClientStream, server: &mut ServerStream) {
    let (ours, theirs) = tokio::join!(
        client.shutdown_bidirectional(),
        server.shutdown_bidirectional()
    );
    assert!(ours.unwrap().is_clean());
    assert!(theirs.unwrap().is_clean());
}

/// A record that no key has made.
pub(crate) async fn write_bad_record(io: &mut DuplexStream) {
    let mut record = vec![23, 3, 3, 0, 40];
    record.extend([0; 40]);
    io.write_all(&record).await.unwrap();
}

/// One side sends a bad record, and the other answers with a fatal alert, which it reads.
pub(crate) async fn fail_after_bad_record_from_server(
    client: &mut ClientStream,
    server: &mut ServerStream,
) {
    write_bad_record(server.get_mut().get_mut().0).await;
    client.read_u8().await.unwrap_err();
    server.read_u8().await.unwrap_err();
}

pub(crate) async fn fail_after_bad_record_from_client(
    client: &mut ClientStream,
    server: &mut ServerStream,
) {
    write_bad_record(client.get_mut().get_mut().0).await;
    server.read_u8().await.unwrap_err();
    client.read_u8().await.unwrap_err();
}
