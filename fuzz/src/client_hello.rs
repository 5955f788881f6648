//! `GracefulAcceptor::accept` with fleet sessions: whatever comes in place of a ClientHello is
//! answered as without them.

use std::sync::{Arc, OnceLock};

use tokio::runtime::{Builder, Runtime};
use tokio_tls_shutdown::{
    GracefulAcceptor,
    resumption::fleet::{FleetKeys, FleetSessions, FleetStore, StoreFuture},
};

use crate::support::{CASES, Case, Role, Step, Wire};

/// The first three bytes say how the rest arrives, so that a recorded ClientHello is a seed as it is.
#[derive(Debug)]
struct Input<'a> {
    case: u8,
    /// Bytes that come at once.
    segment: usize,
    /// In records of this length, if they are not records themselves.
    record: Option<usize>,
    bytes: &'a [u8],
}

pub fn client_hello(data: &[u8]) {
    if let [case, segment, record, bytes @ ..] = data {
        let input = Input {
            case: *case,
            segment: usize::from(*segment) * 4 + 1,
            record: (*record > 0).then_some(usize::from(*record)),
            bytes,
        };
        input.run();
    }
}

/// Has nothing.
struct Empty;

impl FleetStore for Empty {
    fn get<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        assert_eq!(name.len(), 32);
        Box::pin(async { Ok(None) })
    }

    fn take<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.get(name)
    }

    fn put<'a>(&'a self, _: &'a [u8], _: &'a [u8], _: std::time::Duration) -> StoreFuture<'a, ()> {
        Box::pin(async { panic!("no handshake is finished") })
    }

    fn remove<'a>(&'a self, _: &'a [u8]) -> StoreFuture<'a, ()> {
        Box::pin(async { panic!("no handshake is finished") })
    }
}

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Builder::new_current_thread().enable_time().build().unwrap())
}

impl Input<'_> {
    fn run(self) {
        let servers: Vec<Case> = CASES
            .into_iter()
            .filter(|case| case.role == Role::Server)
            .collect();
        let config = Arc::new(servers[usize::from(self.case) % servers.len()].server_config());
        let bytes = match self.record {
            Some(len) => self.records(len),
            None => self.bytes.to_vec(),
        };
        let plain = GracefulAcceptor::new(Arc::clone(&config)).with_handshake_deadline(None);
        let sessions = FleetSessions::new(Arc::new(Empty), FleetKeys::new([0; 32]), "fuzz");
        let fleet = plain.clone().with_fleet_sessions(sessions);
        let ours = self.answer(&fleet, &bytes);
        let theirs = self.answer(&plain, &bytes);
        assert_eq!(ours, theirs);
    }

    fn records(&self, len: usize) -> Vec<u8> {
        let record = |part: &[u8]| [&[22, 3, 1, 0, part.len() as u8], part].concat();
        self.bytes.chunks(len).flat_map(record).collect()
    }

    /// How the handshake fails, and what was sent: a ServerHello is random, an alert is not.
    fn answer(&self, acceptor: &GracefulAcceptor, bytes: &[u8]) -> (String, Option<Vec<u8>>) {
        let wire = Wire::default();
        let accept = acceptor.accept(wire.transport());
        let error = runtime().block_on(async {
            let accept = tokio::spawn(accept);
            for segment in bytes.chunks(self.segment) {
                wire.feed(segment);
                tokio::task::yield_now().await;
            }
            wire.at_end(Step::Zero);
            match accept.await.unwrap() {
                Ok(_) => panic!("a handshake without a client"),
                Err(e) => e.to_string(),
            }
        });
        let sent = wire.take_outbound();
        let sent = (sent.first() != Some(&22)).then_some(sent);
        (error, sent)
    }
}
