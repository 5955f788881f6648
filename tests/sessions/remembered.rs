//! What a client remembers of a server beside the sessions that it resumes.

use std::sync::Arc;

use rustls::{
    ClientConfig, HandshakeKind, ServerConfig,
    client::Tls12Resumption,
    crypto::{CryptoProvider, ring},
    server::NoServerSessionStorage,
};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector,
    resumption::{ClientSessions, ServerSessions},
    tokio_rustls::rustls,
};

use crate::{
    site::{Kind, close, meet, resumes, shake_hands, stores},
    support::pair::identity,
};

/// Takes no key share that a client sends unasked.
fn picky_server() -> ServerConfig {
    let (certificate, key) = identity();
    let provider = CryptoProvider {
        kx_groups: vec![ring::kx_group::SECP384R1],
        ..ring::default_provider()
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key.clone_key())
        .unwrap();
    config.send_tls13_tickets = 0;
    config
}

/// Speaks both versions.
fn client() -> ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(identity().0.clone()).unwrap();
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

#[tokio::test(start_paused = true)]
async fn the_second_connection_sends_the_key_share_that_the_server_takes() {
    for sessions in stores() {
        let connector = GracefulConnector::new(Arc::new(client())).with_sessions(sessions);
        let acceptor = GracefulAcceptor::new(Arc::new(picky_server()));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let (mut client, mut server) = shake_hands(&connector, &acceptor).await;
            kinds.push(client.get_ref().get_ref().1.handshake_kind());
            close(&mut client, &mut server).await;
        }
        assert_eq!(
            kinds,
            [
                Some(HandshakeKind::FullWithHelloRetryRequest),
                Some(HandshakeKind::Full)
            ]
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_tls12_session_goes_when_its_server_has_moved_to_tls13() {
    for kind in [Kind::Tls12Id, Kind::Tls12Ticket] {
        for sessions in stores() {
            let connector =
                GracefulConnector::new(Arc::new(client())).with_sessions(sessions.clone());
            let before = GracefulAcceptor::new(kind.server());
            let after = GracefulAcceptor::new(Arc::new(picky_server()));
            assert!(!resumes(&connector, &before).await);
            assert!(!resumes(&connector, &after).await);
            assert_eq!(sessions.stats().stored, 0);
            assert!(!resumes(&connector, &before).await, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_whose_store_keeps_nothing_hands_out_nothing() {
    for kind in [Kind::Tls12Id, Kind::Tls13Stateful] {
        let sessions = ClientSessions::in_memory(8);
        let connector = GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
        let store = ServerSessions::new(Arc::new(NoServerSessionStorage {}));
        let acceptor = GracefulAcceptor::new(kind.server()).with_sessions(store);
        let (mut client, mut server) = meet(&connector, &acceptor).await;
        close(&mut client, &mut server).await;
        assert_eq!(sessions.stats().received, 0, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn tls12_sessions_are_resumed_in_the_ways_that_the_user_allows() {
    for (how, by_id, by_ticket) in [
        (Tls12Resumption::SessionIdOrTickets, true, true),
        (Tls12Resumption::SessionIdOnly, true, false),
    ] {
        for (kind, expected) in [(Kind::Tls12Id, by_id), (Kind::Tls12Ticket, by_ticket)] {
            let sessions = ClientSessions::in_memory(8).with_tls12_resumption(how);
            let connector = GracefulConnector::from(kind.client()).with_sessions(sessions);
            let mut config = kind.server_config();
            if kind == Kind::Tls12Ticket {
                config.session_storage = Arc::new(NoServerSessionStorage {});
            }
            let acceptor = GracefulAcceptor::from(Arc::new(config));
            assert!(!resumes(&connector, &acceptor).await);
            let resumed = resumes(&connector, &acceptor).await;
            assert_eq!(resumed, expected, "{how:?} {kind:?}");
        }
    }
}

#[cfg(feature = "early-data")]
#[tokio::test(start_paused = true)]
async fn early_data_goes_out_where_a_session_allows_it_and_is_closed_behind() {
    use std::io::Read;

    use tokio::io::AsyncWriteExt;
    use tokio_tls_shutdown::ShutdownExt;

    use crate::support::pair::name;

    let mut config = ClientConfig::clone(&Kind::Tls13Stateful.client());
    config.enable_early_data = true;
    let connector = GracefulConnector::new(Arc::new(config))
        .with_sessions(ClientSessions::in_memory(8))
        .with_early_data(true);
    let mut config = Kind::Tls13Stateful.server_config();
    config.max_early_data_size = 1000;
    let acceptor = GracefulAcceptor::new(Arc::new(config));
    for attempt in 0..3 {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let client = async {
            let mut client = connector.connect(name(), ours).await.unwrap();
            client.write_all(b"early").await.unwrap();
            let closed = client.shutdown_bidirectional().await.unwrap();
            assert!(closed.is_clean());
            client.get_ref().get_ref().1.is_early_data_accepted()
        };
        let server = async {
            let mut server = acceptor.accept(theirs).await.unwrap();
            let mut heard = Vec::new();
            if let Some(mut early) = server.get_mut().get_mut().1.early_data() {
                early.read_to_end(&mut heard).unwrap();
            }
            tokio::io::AsyncReadExt::read_to_end(&mut server, &mut heard)
                .await
                .unwrap();
            server.shutdown().await.unwrap();
            heard
        };
        let (accepted, heard) = tokio::join!(client, server);
        assert_eq!((accepted, &heard[..]), (attempt > 0, &b"early"[..]));
    }
}
