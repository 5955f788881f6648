//! However a ClientHello arrives, and whatever comes in place of one.

use std::sync::Arc;

use rustls::{ClientConfig, ServerConfig, crypto::ring};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpStream,
};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector, HandshakeError, resumption::ClientSessions,
    tokio_rustls::rustls,
};

use crate::{
    double::Double,
    fleet::{KINDS, Server, client, pair, sessions},
    site::{Kind, close},
    support::pair::name,
};

/// Splits the first flight of a client into records of `len` bytes.
fn fragment(hello: &[u8], len: usize) -> Vec<u8> {
    assert_eq!(hello[0], 22);
    let fragments = hello[5..].chunks(len);
    let record = |fragment: &[u8]| {
        let len = u16::try_from(fragment.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &len[..], fragment].concat()
    };
    fragments.flat_map(record).collect()
}

/// Passes the ClientHello on in records of `record` bytes and segments of `segment`, and then all.
async fn meet_through(
    server: &Server,
    client: &GracefulConnector,
    record: usize,
    segment: usize,
) -> bool {
    let (theirs, mut client_side) = duplex(1 << 20);
    let (mut server_side, ours) = duplex(1 << 20);
    let relay = async {
        let mut hello = vec![0; 1 << 20];
        let mut len = 0;
        loop {
            len += client_side.read(&mut hello[len..]).await.unwrap();
            let end = |hello: &[u8]| 5 + usize::from(u16::from_be_bytes([hello[3], hello[4]]));
            if len >= 5 && len >= end(&hello) {
                break;
            }
        }
        for segment in fragment(&hello[..len], record).chunks(segment) {
            server_side.write_all(segment).await.unwrap();
            tokio::task::yield_now().await;
        }
        let _ = tokio::io::copy_bidirectional(&mut client_side, &mut server_side).await;
    };
    let handshake = async {
        let accept = server.acceptor.accept(ours);
        let (client, server) = tokio::join!(client.connect(name(), theirs), accept);
        let (mut client, mut server) = (client.unwrap(), server.unwrap());
        let resumed = server.is_resumed();
        client.write_all(b"?").await.unwrap();
        server.read_u8().await.unwrap();
        server.write_all(b"!").await.unwrap();
        client.read_u8().await.unwrap();
        close(&mut client, &mut server).await;
        resumed
    };
    let resumed = tokio::select! {
        resumed = handshake => resumed,
        () = relay => unreachable!("the handshake ends first"),
    };
    server.sessions.flush().await;
    resumed
}

#[tokio::test(start_paused = true)]
async fn e11_a_client_hello_in_any_records_and_segments_resumes() {
    for kind in KINDS {
        let (_, [a, b]) = pair(kind).await;
        let client = client(kind);
        assert!(!a.resumes(&client).await);
        for record in [1 << 14, 100, 7, 1] {
            for segment in [1 << 16, 100, 6, 5, 2, 1] {
                let resumed = meet_through(&b, &client, record, segment).await;
                assert!(
                    resumed,
                    "{kind:?}, records of {record}, segments of {segment}"
                );
            }
        }
    }
}

fn client_with(edit: impl FnOnce(&mut ClientConfig)) -> GracefulConnector {
    let mut config = ClientConfig::clone(&Kind::Tls13Stateful.client());
    edit(&mut config);
    GracefulConnector::new(Arc::new(config)).with_sessions(ClientSessions::in_memory(8))
}

#[tokio::test(start_paused = true)]
async fn e11_a_client_hello_of_almost_64_kib_resumes() {
    let store = Arc::new(Double::new());
    let mut config = Kind::Tls13Stateful.server_config();
    config.alpn_protocols = vec![vec![b'x'; 255]];
    let start = || sessions(&store);
    let fleet = [start(), start()];
    let servers = fleet.each_ref().map(|sessions| {
        GracefulAcceptor::new(Arc::new(config.clone())).with_fleet_sessions(sessions.clone())
    });
    let long = |n| client_with(|config| config.alpn_protocols = vec![vec![b'x'; 255]; n]);
    let connector = long(250);
    let mut resumed = Vec::new();
    for n in [0, 1, 0, 1] {
        resumed.push(crate::site::resumes(&connector, &servers[n]).await);
        fleet[n].flush().await;
    }
    assert_eq!(resumed, [false, false, true, true]);
}

/// A server of TLS 1.3 that takes key shares of this group only, and its sessions.
fn server_with_group(
    store: &Arc<Double>,
    group: &'static dyn rustls::crypto::SupportedKxGroup,
) -> Server {
    let provider = rustls::crypto::CryptoProvider {
        kx_groups: vec![group],
        ..ServerConfig::crypto_provider(&Kind::Tls13Stateful.server())
            .as_ref()
            .clone()
    };
    let (certificate, key) = crate::support::pair::identity();
    let config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.clone_key())
        .unwrap();
    let sessions = sessions(store);
    let acceptor = GracefulAcceptor::new(Arc::new(config)).with_fleet_sessions(sessions.clone());
    Server { acceptor, sessions }
}

#[tokio::test(start_paused = true)]
async fn e11_a_handshake_with_a_hello_retry_request_resumes() {
    let store = Arc::new(Double::new());
    let Server { acceptor, sessions } = server_with_group(&store, ring::kx_group::SECP384R1);
    let mut retried = 0;
    for _ in 0..3 {
        // Forgets which group the server has chosen.
        let connector = client(Kind::Tls13Stateful);
        for second in [false, true] {
            let (mut ours, mut theirs) = crate::site::meet(&connector, &acceptor).await;
            let kind = theirs.get_ref().get_ref().1.handshake_kind();
            retried += usize::from(kind == Some(rustls::HandshakeKind::FullWithHelloRetryRequest));
            assert_eq!(theirs.is_resumed(), second);
            close(&mut ours, &mut theirs).await;
            drop((ours, theirs));
            sessions.flush().await;
        }
    }
    assert!(retried >= 3, "{retried}");
}

/// The client of a TLS 1.3 session whose first key share the server does not take.
#[tokio::test(start_paused = true)]
async fn e11_a_resumption_with_a_hello_retry_request_looks_up_once() {
    let store = Arc::new(Double::new());
    let a = server_with_group(&store, ring::kx_group::X25519);
    let b = server_with_group(&store, ring::kx_group::SECP384R1);
    b.resumes(&client(Kind::Tls13Stateful)).await;
    let connector = client(Kind::Tls13Stateful);
    assert!(!a.resumes(&connector).await);
    assert!(b.resumes(&connector).await);
    assert_eq!(store.lookups(), 1);
}

/// The answer of a server to a client that sends these bytes and FIN, and how its handshake ends.
async fn answer(acceptor: &GracefulAcceptor, bytes: &[u8]) -> (Vec<u8>, String) {
    let (mut theirs, ours) = duplex(1 << 20);
    theirs.write_all(bytes).await.unwrap();
    theirs.shutdown().await.unwrap();
    answer_on(acceptor, theirs, ours).await
}

/// The same to a client that goes on.
async fn answer_to_open(acceptor: &GracefulAcceptor, bytes: &[u8]) -> (Vec<u8>, String) {
    let (mut theirs, ours) = duplex(1 << 20);
    theirs.write_all(bytes).await.unwrap();
    answer_on(acceptor, theirs, ours).await
}

async fn answer_on(
    acceptor: &GracefulAcceptor,
    mut theirs: DuplexStream,
    ours: DuplexStream,
) -> (Vec<u8>, String) {
    // In a task of its own: tokio-rustls tries once to send an alert, which a task that has used up
    // its budget cannot.
    let error = match tokio::spawn(acceptor.accept(ours)).await.unwrap() {
        Ok(_) => "finished".to_owned(),
        Err(HandshakeError::Io(e)) => format!("{:?}", e.kind()),
        Err(e) => e.to_string(),
    };
    let mut answer = Vec::new();
    theirs.read_to_end(&mut answer).await.unwrap();
    (answer, error)
}

async fn hello_of(kind: Kind) -> Vec<u8> {
    let (theirs, mut ours) = duplex(1 << 16);
    let client = tokio::spawn(client(kind).connect(name(), theirs));
    let mut hello = vec![0; 1 << 16];
    let n = ours.read(&mut hello).await.unwrap();
    client.abort();
    hello.truncate(n);
    hello
}

#[tokio::test(start_paused = true)]
async fn e11_what_is_no_client_hello_is_answered_as_without_a_fleet() {
    for kind in KINDS {
        let (_, [fleet, _]) = pair(kind).await;
        let plain = GracefulAcceptor::new(kind.server());
        let hello = hello_of(kind).await;
        let mut inputs: Vec<Vec<u8>> = vec![
            Vec::new(),
            b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n".to_vec(),
            b"SSH-2.0-OpenSSH_9.2\r\n".to_vec(),
            vec![0; 100],
            vec![22; 100],
            vec![22, 3, 1, 0, 0],
            vec![22, 3, 1, 0xff, 0xff],
            vec![21, 3, 1, 0, 2, 2, 40],
            vec![20, 3, 3, 0, 1, 1],
            [&[22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff], &[0; 100][..]].concat(),
            [&[22, 3, 1, 0, 4, 2, 0, 0, 0], &[0; 100][..]].concat(),
        ];
        inputs.extend((0..hello.len()).step_by(7).map(|len| hello[..len].to_vec()));
        for at in (0..hello.len()).step_by(3) {
            let mut changed = hello.clone();
            changed[at] ^= 0x55;
            inputs.push(changed);
        }
        for input in inputs {
            let (ours, error) = answer(&fleet.acceptor, &input).await;
            let (theirs, expected) = answer(&plain, &input).await;
            assert_eq!(error, expected, "{kind:?} {input:02x?}");
            // What follows a ServerHello is random.
            let alert = |answer: &[u8]| (answer.first() == Some(&21)).then(|| answer.to_vec());
            assert_eq!(alert(&ours), alert(&theirs), "{kind:?} {input:02x?}");
            assert_eq!(ours.is_empty(), theirs.is_empty(), "{kind:?} {input:02x?}");
        }
    }
}

/// What rustls refuses for its length is not kept until the deadline, either.
#[tokio::test(start_paused = true)]
async fn e11_an_endless_client_hello_is_refused_as_soon_as_without_a_fleet() {
    let (_, [fleet, _]) = pair(Kind::Tls13Stateful).await;
    let plain = GracefulAcceptor::new(Kind::Tls13Stateful.server());
    for record in [1, 7, 100, 1 << 14] {
        // It says that it has 0xfff0 bytes, and one does not come.
        let mut hello = vec![22, 3, 1, 0, 0, 1, 0, 0xff, 0xf0];
        hello.resize(5 + 4 + 0xfff0 - 1, 0);
        let wire = fragment(&hello, record);
        // The whole of it, and the shortest part that rustls refuses.
        for len in [wire.len(), (1 << 16) + 4] {
            let ours = answer_to_open(&fleet.acceptor, &wire[..len]).await;
            let theirs = answer_to_open(&plain, &wire[..len]).await;
            assert_eq!(ours, theirs, "records of {record}, {len} bytes");
            let deadline = HandshakeError::TimedOut.to_string();
            assert_ne!(theirs.1, deadline, "records of {record}, {len} bytes");
        }
    }
}

/// `Accept` is as it is without the feature.
#[allow(dead_code)]
fn the_future_is_send_sync_and_unpin(acceptor: &GracefulAcceptor, tcp: TcpStream) {
    fn check(_: impl Send + Sync + Unpin + 'static) {}
    check(acceptor.accept(tcp));
}
