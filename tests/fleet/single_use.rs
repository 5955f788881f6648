//! A TLS 1.3 ticket is used once, and lost to nobody who cannot use it.

use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, copy_bidirectional, duplex},
    task::JoinSet,
    time::{sleep, timeout},
};
use tokio_tls_shutdown::{GracefulAcceptor, GracefulConnector, HandshakeError};

use crate::{
    double::{Double, Mode},
    fleet::{Server, client, pair, sessions},
    site::{ClientStream, Kind},
    support::pair::name,
};

const KIND: Kind = Kind::Tls13Stateful;

/// A client whose ClientHello, with what follows it, somebody has seen.
pub(crate) struct Seen {
    pub(crate) hello: Vec<u8>,
    client: tokio::task::JoinHandle<Result<ClientStream, HandshakeError>>,
    transport: DuplexStream,
}

pub(crate) async fn see(connector: &GracefulConnector) -> Seen {
    let (theirs, mut transport) = duplex(1 << 16);
    let client = tokio::spawn(connector.connect(name(), theirs));
    let mut hello = vec![0; 1 << 16];
    let n = transport.read(&mut hello).await.unwrap();
    hello.truncate(n);
    Seen {
        hello,
        client,
        transport,
    }
}

impl Seen {
    /// The client itself arrives. Returns whether it resumes.
    async fn arrives(mut self, server: &Server) -> bool {
        let (mut theirs, ours) = duplex(1 << 16);
        theirs.write_all(&self.hello).await.unwrap();
        tokio::spawn(async move { copy_bidirectional(&mut self.transport, &mut theirs).await });
        let server = server.acceptor.accept(ours).await.unwrap().is_resumed();
        let client = self.client.await.unwrap().unwrap().is_resumed();
        assert_eq!(client, server);
        server
    }
}

/// Whether the first record that the server answers with is a ServerHello that accepts the ticket.
pub(crate) async fn accepts_ticket(from_server: &mut DuplexStream) -> bool {
    let mut header = [0; 5];
    from_server.read_exact(&mut header).await.unwrap();
    let mut record = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    from_server.read_exact(&mut record).await.unwrap();
    assert_eq!((header[0], record[0]), (22, 2), "no ServerHello");
    // Type and length, version, random; session id; cipher suite, compression; extensions.
    let extensions = 4 + 2 + 32 + 1 + usize::from(record[38]) + 3 + 2;
    let mut rest = &record[extensions..];
    while let [a, b, hi, lo, after @ ..] = rest {
        if [*a, *b] == [0, 41] {
            return true;
        }
        rest = &after[usize::from(u16::from_be_bytes([*hi, *lo]))..];
    }
    false
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e11_a_thousand_race_for_one_ticket_and_one_server_accepts_it_once() {
    for early_data in [0, 1000] {
        let store = Arc::new(Double::new());
        let fleet = [(); 2].map(|()| sessions(&store));
        let servers = fleet.each_ref().map(|sessions| {
            let mut config = KIND.server_config();
            config.max_early_data_size = early_data;
            let acceptor = GracefulAcceptor::new(Arc::new(config));
            Server {
                acceptor: acceptor.with_fleet_sessions(sessions.clone()),
                sessions: sessions.clone(),
            }
        });
        let connector = client(KIND);
        assert!(!servers[1].resumes(&client(KIND)).await);
        assert!(!servers[0].resumes(&connector).await);
        let hello = Arc::new(see(&connector).await.hello);
        let mut clients = JoinSet::new();
        for n in 0..1000 {
            let (mut theirs, ours) = duplex(1 << 16);
            tokio::spawn(servers[n % 2].acceptor.accept(ours));
            let hello = Arc::clone(&hello);
            clients.spawn(async move {
                theirs.write_all(&hello).await.unwrap();
                // The handshake goes on, so that the ticket is not put back.
                (accepts_ticket(&mut theirs).await, theirs)
            });
        }
        let answers = clients.join_all().await;
        let accepted = answers.iter().filter(|(accepted, _)| *accepted).count();
        assert_eq!(accepted, 1, "{early_data}");
        let stats = fleet.each_ref().map(|sessions| sessions.stats());
        assert_eq!(stats[0].hits + stats[1].hits, 1);
        assert_eq!(stats[0].lookups() + stats[1].lookups(), 1000);
    }
}

/// What somebody may do who has seen a ticket on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    ReplayAndLeave,
    WrongBinder,
    LeaveDuringTheLookup,
}

#[tokio::test(start_paused = true)]
async fn e11_a_ticket_whose_handshake_fails_goes_back() {
    for attack in [
        Attack::ReplayAndLeave,
        Attack::WrongBinder,
        Attack::LeaveDuringTheLookup,
    ] {
        let (store, [a, b]) = pair(KIND).await;
        let connector = client(KIND);
        assert!(!a.resumes(&connector).await);
        let seen = see(&connector).await;
        let (mut theirs, ours) = duplex(1 << 16);
        let mut replayed = seen.hello.clone();
        if attack == Attack::WrongBinder {
            *replayed.last_mut().unwrap() ^= 1;
        }
        theirs.write_all(&replayed).await.unwrap();
        let accept = b.acceptor.accept(ours);
        if attack == Attack::LeaveDuringTheLookup {
            store.set_mode(Mode::Slow(Duration::from_millis(20)));
            timeout(Duration::from_millis(10), accept)
                .await
                .unwrap_err();
            sleep(Duration::from_millis(40)).await;
            store.set_mode(Mode::Answers);
        } else {
            drop(theirs);
            accept.await.unwrap_err();
        }
        b.sessions.flush().await;
        assert_eq!((store.lookups(), store.len()), (1, 2), "{attack:?}");
        let replayed = seen.hello.clone();
        assert!(seen.arrives(&b).await, "{attack:?}");
        // Once it is used, a replay is worth nothing.
        let (mut theirs, ours) = duplex(1 << 16);
        theirs.write_all(&replayed).await.unwrap();
        tokio::spawn(a.acceptor.accept(ours));
        assert!(!accepts_ticket(&mut theirs).await, "{attack:?}");
    }
}

/// Putting a ticket back does not extend its life.
#[tokio::test(start_paused = true)]
async fn e11_a_ticket_that_goes_back_expires_when_it_would_have() {
    let (store, [a, b]) = pair(KIND).await;
    let connector = client(KIND);
    assert!(!a.resumes(&connector).await);
    let until = || store.entries().values().map(|(_, until)| *until).max();
    let before = until();
    for _ in 0..5 {
        let seen = see(&connector).await;
        let (mut theirs, ours) = duplex(1 << 16);
        theirs.write_all(&seen.hello).await.unwrap();
        drop(theirs);
        b.acceptor.accept(ours).await.unwrap_err();
        b.sessions.flush().await;
    }
    assert_eq!(store.len(), 2);
    assert!(until() <= before);
}

/// A ClientHello with many tickets is no way to load the store, or to take what others have.
#[tokio::test(start_paused = true)]
async fn e11_at_most_four_tickets_of_a_client_hello_are_looked_up() {
    let (store, [a, _]) = pair(KIND).await;
    let identities: Vec<u8> = (0..100u8)
        .flat_map(|n| [&[0, 32][..], &[n; 32], &[0; 4]].concat())
        .collect();
    let binders: Vec<u8> = (0..100)
        .flat_map(|_| [&[32][..], &[0; 32]].concat())
        .collect();
    let vector = |bytes: &[u8]| [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat();
    let psk = [vector(&identities), vector(&binders)].concat();
    let extensions = [
        &[0, 43, 0, 3, 2, 3, 4][..],          // supported_versions
        &[0, 13, 0, 4, 0, 2, 4, 3],           // signature_algorithms
        &[0, 10, 0, 4, 0, 2, 0, 29],          // supported_groups
        &[0, 51, 0, 38, 0, 36, 0, 29, 0, 32], // key_share
        &[9; 32],
        &[0, 45, 0, 2, 1, 1], // psk_key_exchange_modes
        &[0, 41],
        &vector(&psk),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[0; 32],
        &[0, 0, 2, 0x13, 1, 1, 0],
        &vector(&extensions),
    ]
    .concat();
    let len = (body.len() as u32).to_be_bytes();
    let message = [&[1][..], &len[1..], &body].concat();
    let (mut theirs, ours) = duplex(1 << 16);
    theirs
        .write_all(&[&[22, 3, 1][..], &vector(&message)].concat())
        .await
        .unwrap();
    drop(theirs);
    a.acceptor.accept(ours).await.unwrap_err();
    assert_eq!((store.lookups(), store.asked()), (1, 4));
}
