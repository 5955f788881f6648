//! A stream under test over a scripted transport, with a peer that only moves when it is told.

use std::{
    io::{Read, Write},
    iter,
    sync::Arc,
};

use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream, rustls};
use tokio_test::task::spawn;

use super::{
    forge::Forge,
    pair::{Case, Role, name},
    scripted::{Scripted, Wire},
};

pub struct Rig<S = TlsStream<Scripted>> {
    pub case: Case,
    pub stream: S,
    pub wire: Wire,
    pub peer: Peer,
}

impl Rig {
    /// The handshake is done, nothing is in flight, and the counts are zero.
    pub fn new(case: Case) -> Self {
        Self::with(case, case.client_config(), case.server_config())
    }

    pub fn with(case: Case, client: ClientConfig, server: ServerConfig) -> Self {
        Self::over(case, client, server, |transport| transport)
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Rig<TlsStream<IO>> {
    /// The same over a transport that is made of the scripted one.
    pub fn over(
        case: Case,
        client: ClientConfig,
        server: ServerConfig,
        make: impl FnOnce(Scripted) -> IO,
    ) -> Self {
        let wire = Wire::default();
        let mut peer = Peer::new(case, client.clone(), server.clone());
        let io = make(wire.transport());
        let stream = peer.meet(case, client, server, &wire, io);
        let mut rig = Self {
            case,
            stream,
            wire,
            peer,
        };
        rig.deliver();
        assert!(rig.peer.receive(&rig.wire.take_outbound()).is_empty());
        rig.wire.reset_counts();
        rig
    }
}

impl<S> Rig<S> {
    /// The same with the stream wrapped.
    pub fn map<T>(self, wrap: impl FnOnce(S) -> T) -> Rig<T> {
        Rig {
            case: self.case,
            stream: wrap(self.stream),
            wire: self.wire,
            peer: self.peer,
        }
    }

    /// Makes what the peer has queued arrive.
    pub fn deliver(&mut self) {
        self.wire.feed(&self.peer.take_queue());
    }

    /// The peer sends `data`.
    pub fn peer_writes(&mut self, data: &[u8]) {
        self.peer.write(data);
        self.deliver();
    }

    /// The peer sends its close_notify.
    pub fn peer_closes(&mut self) {
        self.peer.0.send_close_notify();
        self.deliver();
    }

    /// Asserts that all that was written is `data`, one close_notify, and not a byte more.
    #[track_caller]
    pub fn assert_wrote_and_closed(&mut self, data: &[u8]) {
        let outbound = self.wire.take_outbound();
        let mut got = Vec::new();
        let mut records = records(&outbound).into_iter();
        for record in records.by_ref() {
            got.extend(self.peer.receive(record));
            if self.peer.is_closed() {
                break;
            }
        }
        assert!(self.peer.is_closed(), "no close_notify was written");
        assert_eq!(records.next(), None, "something follows close_notify");
        assert!(got == data, "{} of {} bytes", got.len(), data.len());
    }

    /// Turns the peer into one that may send any record.
    pub fn forge(self) -> (S, Wire, Forge) {
        (self.stream, self.wire, Forge::new(self.case, self.peer.0))
    }
}

/// No alert is longer.
const ALERT: usize = 31;

/// rustls at the other end.
pub struct Peer(pub Connection);

impl Peer {
    /// A peer in the role that is not the case's.
    pub fn new(case: Case, client: ClientConfig, server: ServerConfig) -> Self {
        Self(match case.role {
            Role::Client => ServerConnection::new(Arc::new(server)).unwrap().into(),
            Role::Server => ClientConnection::new(Arc::new(client), name())
                .unwrap()
                .into(),
        })
    }

    /// Performs the handshake with a stream in the role of the case.
    pub fn meet<IO: AsyncRead + AsyncWrite + Unpin>(
        &mut self,
        case: Case,
        client: ClientConfig,
        server: ServerConfig,
        wire: &Wire,
        io: IO,
    ) -> TlsStream<IO> {
        match case.role {
            Role::Client => {
                let connector = TlsConnector::from(Arc::new(client));
                self.shake_hands(wire, connector.connect(name(), io)).into()
            }
            Role::Server => {
                let acceptor = TlsAcceptor::from(Arc::new(server));
                self.shake_hands(wire, acceptor.accept(io)).into()
            }
        }
    }

    /// Performs the handshake with a stream of any library.
    pub fn shake_hands<T>(
        &mut self,
        wire: &Wire,
        handshake: impl Future<Output = std::io::Result<T>>,
    ) -> T {
        let mut handshake = spawn(handshake);
        // Some turns more than it takes byte by byte.
        for _ in 0..10_000 {
            let done = handshake.poll();
            self.receive(&wire.take_outbound());
            if let std::task::Poll::Ready(stream) = done {
                return stream.unwrap();
            }
            wire.feed(&self.take_queue());
        }
        panic!("the handshake hangs");
    }

    /// Queues `data`, without a limit.
    pub fn write(&mut self, data: &[u8]) {
        self.0.set_buffer_limit(None);
        self.0.writer().write_all(data).unwrap();
    }

    /// Takes the bytes that the peer wants to send.
    pub fn take_queue(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        while self.0.wants_write() {
            self.0.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    /// Gives the peer `bytes` and returns what it can read. rustls would not notice what follows our
    /// close_notify: here it is a failure.
    #[track_caller]
    pub fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut data = Vec::new();
        // The end byte by byte, so that close_notify can be nowhere but there.
        let (all_but_end, end) = bytes.split_at(bytes.len().saturating_sub(ALERT));
        for mut piece in iter::once(all_but_end).chain(end.chunks(1)) {
            while !piece.is_empty() {
                let n = self.0.read_tls(&mut piece).unwrap();
                assert_ne!(n, 0, "something follows close_notify");
                let state = self.0.process_new_packets().unwrap();
                let mut chunk = vec![0; state.plaintext_bytes_to_read()];
                self.0.reader().read_exact(&mut chunk).unwrap();
                data.extend(chunk);
            }
        }
        data
    }

    /// Returns `true` if our close_notify has reached the peer.
    pub fn is_closed(&mut self) -> bool {
        self.0.process_new_packets().unwrap().peer_has_closed()
    }
}

/// Cuts bytes into records; the last one may be cut short.
pub fn records(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let len = match bytes {
            [_, _, _, hi, lo, ..] => 5 + usize::from(u16::from_be_bytes([*hi, *lo])),
            _ => bytes.len(),
        };
        let (record, rest) = bytes.split_at(len.min(bytes.len()));
        records.push(record);
        bytes = rest;
    }
    records
}
