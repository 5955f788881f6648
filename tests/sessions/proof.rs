//! G16: only a peer that has proven that it knows the secret of a session evicts it.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
};

use rustls::{
    ClientConfig, NamedGroup, ServerConfig,
    client::{ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue},
    crypto::ring,
    pki_types::{PrivatePkcs8KeyDer, ServerName},
    server::{ServerSessionMemoryCache, StoresServerSessions},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector, HandshakeError,
    resumption::{ClientSessions, ServerSessions},
    tokio_rustls::rustls,
};

use crate::{
    site::{Kind, close, resumes, stores},
    support::pair::name,
};

/// What an attacker makes of a ClientHello that it has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Attack {
    /// Sends it, then what no key has made.
    Garbage,
    /// Sends it and leaves.
    Eof,
    /// Sends it, then nothing.
    Silence,
    /// Sends it with another proof at its end, where TLS 1.3 has it.
    OtherProof,
}

const ATTACKS: [Attack; 4] = [
    Attack::Garbage,
    Attack::Eof,
    Attack::Silence,
    Attack::OtherProof,
];

impl Attack {
    async fn attack(self, acceptor: &GracefulAcceptor, hello: &[u8]) {
        let mut hello = hello.to_vec();
        if self == Self::OtherProof {
            *hello.last_mut().unwrap() ^= 1;
        }
        let (mut theirs, ours) = duplex(1 << 20);
        theirs.write_all(&hello).await.unwrap();
        match self {
            Self::Garbage | Self::OtherProof => theirs.write_all(&[0x55; 100]).await.unwrap(),
            Self::Eof => drop(theirs.shutdown().await),
            Self::Silence => {}
        }
        let error = acceptor.accept(ours).await.unwrap_err();
        let timed_out = matches!(error, HandshakeError::TimedOut);
        assert_eq!(timed_out, self == Self::Silence, "{error:?}");
    }
}

/// Connects while an attacker, who has seen the ClientHello, is faster. Returns whether the client
/// has resumed all the same.
async fn resumes_after(
    connector: &GracefulConnector,
    acceptor: &GracefulAcceptor,
    attack: impl AsyncFnOnce(&[u8]),
) -> bool {
    let (io, mut wire) = duplex(1 << 20);
    let connect = connector
        .clone()
        .with_handshake_deadline(None)
        .connect(name(), io);
    let accept = async {
        let hello = read_some(&mut wire).await;
        attack(&hello).await;
        let (read, write) = tokio::io::split(wire);
        let io = tokio::io::join(io::Cursor::new(hello).chain(read), write);
        acceptor.accept(io).await
    };
    let (client, server) = tokio::join!(connect, accept);
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    assert_eq!(client.is_resumed(), server.is_resumed());
    client.is_resumed()
}

async fn read_some(io: &mut DuplexStream) -> Vec<u8> {
    let mut read = vec![0; 1 << 16];
    let len = io.read(&mut read).await.unwrap();
    read.truncate(len);
    read
}

#[tokio::test(start_paused = true)]
async fn g16_a_client_hello_seen_on_the_wire_evicts_nothing_from_a_server() {
    for kind in [Kind::Tls12Id, Kind::Tls13Stateful] {
        for attack in ATTACKS {
            if attack == Attack::OtherProof && !kind.is_tls13() {
                continue;
            }
            for with_sessions in [false, true] {
                let mut acceptor = GracefulAcceptor::new(kind.server());
                if with_sessions {
                    let store = ServerSessionMemoryCache::new(8);
                    acceptor = acceptor.with_sessions(ServerSessions::new(store));
                }
                let connector = GracefulConnector::new(kind.client());
                assert!(!resumes(&connector, &acceptor).await);
                let attack = async |hello: &[u8]| {
                    for _ in 0..3 {
                        attack.attack(&acceptor, hello).await;
                    }
                };
                let resumed = resumes_after(&connector, &acceptor, attack).await;
                assert!(resumed, "{kind:?} {with_sessions}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g16_a_ticket_is_used_by_one_handshake_at_a_time_and_once() {
    let kind = Kind::Tls13Stateful;
    let acceptor = GracefulAcceptor::new(kind.server())
        .with_sessions(ServerSessions::new(ServerSessionMemoryCache::new(8)));
    let connector = GracefulConnector::new(kind.client());
    assert!(!resumes(&connector, &acceptor).await);
    let mut open = None;
    let attack = async |hello: &[u8]| {
        let (mut theirs, ours) = duplex(1 << 20);
        theirs.write_all(hello).await.unwrap();
        let mut accept = tokio_test::task::spawn(acceptor.accept(ours));
        assert!(accept.poll().is_pending());
        open = Some((theirs, accept));
    };
    assert!(!resumes_after(&connector, &acceptor, attack).await);
    drop(open);

    // After a handshake that was finished, the same ClientHello resumes nothing.
    let connector = GracefulConnector::new(kind.client());
    assert!(!resumes(&connector, &acceptor).await);
    let mut seen = Vec::new();
    let attack = async |hello: &[u8]| seen = hello.to_vec();
    assert!(resumes_after(&connector, &acceptor, attack).await);
    let (mut theirs, ours) = duplex(1 << 20);
    theirs.write_all(&seen).await.unwrap();
    let mut accept = tokio_test::task::spawn(acceptor.accept(ours));
    assert!(accept.poll().is_pending());
    let full = read_some(&mut theirs).await.len();
    assert!(full > 500, "{full} bytes, without a certificate");
}

/// Hands out the tickets of one server name for all others.
#[derive(Debug, Default)]
struct AnyTicket(Mutex<Vec<Tls13ClientSessionValue>>);

impl ClientSessionStore for AnyTicket {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }
    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {}
    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.0.lock().unwrap().push(ticket);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.lock().unwrap().pop()
    }
}

/// A server's store that knows how many sessions it holds.
#[derive(Debug, Default)]
struct Counting {
    sessions: Mutex<HashMap<Vec<u8>, Vec<u8>>>,
    taken: Mutex<usize>,
}

impl Counting {
    fn len(&self) -> usize {
        self.sessions.lock().unwrap().len()
    }

    fn taken(&self) -> usize {
        *self.taken.lock().unwrap()
    }
}

impl StoresServerSessions for Counting {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.sessions.lock().unwrap().insert(key, value);
        true
    }
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.sessions.lock().unwrap().get(key).cloned()
    }
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let taken = self.sessions.lock().unwrap().remove(key);
        *self.taken.lock().unwrap() += usize::from(taken.is_some());
        taken
    }
    fn can_cache(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn g16_a_ticket_stays_that_a_finished_handshake_has_offered_but_not_resumed() {
    let names = ["localhost", "other.example"];
    let made = rcgen::generate_simple_self_signed(names.map(str::to_owned)).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let provider = Arc::new(ring::default_provider());
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key.into())
        .unwrap();
    let mut client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    client.resumption = Resumption::store(Arc::new(AnyTicket::default()));
    let connector = GracefulConnector::new(Arc::new(client));
    let store = Arc::new(Counting::default());
    let acceptor = GracefulAcceptor::new(Arc::new(server))
        .with_sessions(ServerSessions::new(Arc::<Counting>::clone(&store)));
    assert!(!resumes(&connector, &acceptor).await);
    assert_eq!(store.len(), 2);
    // rustls takes the ticket, and then sees that it is for another name.
    let (ours, theirs) = duplex(1 << 20);
    let other = ServerName::try_from("other.example").unwrap();
    let (client, server) = tokio::join!(connector.connect(other, theirs), acceptor.accept(ours));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    assert!(!server.is_resumed());
    close(&mut client, &mut server).await;
    assert_eq!((store.taken(), store.len()), (1, 4));
    // What is resumed is not put back.
    let other = ServerName::try_from("other.example").unwrap();
    let (ours, theirs) = duplex(1 << 20);
    let (client, server) = tokio::join!(connector.connect(other, theirs), acceptor.accept(ours));
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    assert!(server.is_resumed());
    close(&mut client, &mut server).await;
    assert_eq!((store.taken(), store.len()), (2, 5));
}

/// Put back, its early data would be accepted again.
#[tokio::test(start_paused = true)]
async fn g16_where_early_data_is_accepted_only_a_ticket_without_proof_is_put_back() {
    let kind = Kind::Tls13Stateful;
    for attack in ATTACKS {
        let mut config = kind.server_config();
        config.max_early_data_size = 1000;
        let acceptor = GracefulAcceptor::new(Arc::new(config))
            .with_sessions(ServerSessions::new(ServerSessionMemoryCache::new(8)));
        let connector = GracefulConnector::new(kind.client());
        assert!(!resumes(&connector, &acceptor).await);
        let attacked = async |hello: &[u8]| attack.attack(&acceptor, hello).await;
        let resumed = resumes_after(&connector, &acceptor, attacked).await;
        assert_eq!(resumed, attack == Attack::OtherProof, "{attack:?}");
    }
}

/// How an attacker between client and server makes a handshake fail.
#[derive(Clone, Copy, Debug)]
enum Interference {
    /// Answers in place of the server.
    Alert,
    /// Lets the server resume, and changes the last byte that it sends.
    Corruption,
}

impl Interference {
    async fn fail(self, connector: &GracefulConnector, acceptor: &GracefulAcceptor) {
        let (io, mut wire) = duplex(1 << 20);
        let interfere = async {
            let hello = read_some(&mut wire).await;
            let answer = match self {
                Self::Alert => vec![21, 3, 3, 0, 2, 2, 40],
                Self::Corruption => {
                    let (mut theirs, ours) = duplex(1 << 20);
                    theirs.write_all(&hello).await.unwrap();
                    let mut accept = tokio_test::task::spawn(acceptor.accept(ours));
                    assert!(accept.poll().is_pending());
                    let mut answer = read_some(&mut theirs).await;
                    *answer.last_mut().unwrap() ^= 1;
                    answer
                }
            };
            wire.write_all(&answer).await.unwrap();
        };
        let (error, ()) = tokio::join!(connector.connect(name(), io), interfere);
        let error = error.unwrap_err();
        assert!(matches!(error, HandshakeError::Tls(_)), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn g16_a_handshake_that_fails_evicts_nothing_from_a_client_until_the_third_in_a_row() {
    for kind in [Kind::Tls12Id, Kind::Tls12Ticket] {
        for how in [Interference::Alert, Interference::Corruption] {
            for sessions in stores() {
                let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
                let acceptor = GracefulAcceptor::new(kind.server());
                assert!(!resumes(&connector, &acceptor).await);
                for _ in 0..3 {
                    how.fail(&connector, &acceptor).await;
                    how.fail(&connector, &acceptor).await;
                    let context = format!("{kind:?} {how:?} {connector:?}");
                    assert!(resumes(&connector, &acceptor).await, "{context}");
                }
                for _ in 0..3 {
                    how.fail(&connector, &acceptor).await;
                }
                assert!(!resumes(&connector, &acceptor).await, "{kind:?} {how:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e09_a_client_offers_no_tls13_ticket_again_whose_handshake_has_failed() {
    for kind in [Kind::Tls13Stateful, Kind::Tls13Stateless] {
        for sessions in stores() {
            let connector = GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
            let mut config = kind.server_config();
            config.send_tls13_tickets = 1;
            let acceptor = GracefulAcceptor::new(Arc::new(config));
            assert!(!resumes(&connector, &acceptor).await);
            Interference::Alert.fail(&connector, &acceptor).await;
            assert!(!resumes(&connector, &acceptor).await, "{kind:?}");
            assert_eq!(sessions.stats().offered, 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g16_a_failed_handshake_is_not_held_against_the_sessions_of_other_servers() {
    let kind = Kind::Tls12Id;
    let sessions = ClientSessions::in_memory(8);
    let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
    let acceptor = GracefulAcceptor::new(kind.server());
    assert!(!resumes(&connector, &acceptor).await);
    for _ in 0..10 {
        let (io, mut wire) = duplex(1 << 20);
        wire.write_all(&[21, 3, 3, 0, 2, 2, 40]).await.unwrap();
        let other = ServerName::try_from("other.example").unwrap();
        connector.connect(other, io).await.unwrap_err();
    }
    assert!(resumes(&connector, &acceptor).await);
}
