//! What resumes at another server, and what does not.

use std::{sync::Arc, thread};

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_tls_shutdown::{
    ClientHelloRecorder, GracefulAcceptor, ShutdownExt,
    resumption::{
        Retention,
        fleet::{FleetKeys, FleetSessions, FleetStore},
    },
    tokio_rustls::{LazyConfigAcceptor, rustls},
};

use crate::{
    double::Double,
    fleet::{KEY, KINDS, Server, client, pair, sessions},
    site::{
        Kind, fail_after_bad_record_from_client, fail_after_bad_record_from_server,
        write_bad_record,
    },
    support::pair::name,
};

#[tokio::test(start_paused = true)]
async fn e11_a_session_resumes_at_the_other_server_after_a_clean_close() {
    for kind in KINDS {
        let (store, [a, b]) = pair(kind).await;
        let client = client(kind);
        assert!(!a.resumes(&client).await, "{kind:?}");
        assert_eq!(store.lookups(), 0, "the client had nothing to offer");
        for (n, server) in [&b, &a, &a, &b].into_iter().enumerate() {
            assert!(server.resumes(&client).await, "{kind:?}, {n}");
            assert_eq!(store.lookups(), n + 1, "one round trip");
        }
        let stats = a.sessions.stats();
        assert_eq!((stats.hits, stats.lookups()), (2, 2));
    }
}

/// How a connection may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    CleanClose,
    OneWay,
    Dropped,
    BadRecordFromClient,
    BadRecordFromServer,
    /// Closed, and then a bad record.
    BadRecordAfterClose,
}

const ENDS: [End; 6] = [
    End::CleanClose,
    End::OneWay,
    End::Dropped,
    End::BadRecordFromClient,
    End::BadRecordFromServer,
    End::BadRecordAfterClose,
];

impl End {
    fn keeps(self, retention: Retention) -> bool {
        match self {
            Self::CleanClose | Self::OneWay => true,
            Self::Dropped => retention != Retention::CleanClose,
            _ => retention == Retention::Always,
        }
    }
}

async fn end(server: &Server, client: &tokio_tls_shutdown::GracefulConnector, end: End) -> bool {
    let (mut ours, mut theirs) = server.meet(client).await;
    let resumed = theirs.is_resumed();
    match end {
        End::CleanClose => {
            return {
                server.close(ours, theirs).await;
                resumed
            };
        }
        End::OneWay => {
            theirs.shutdown().await.unwrap();
        }
        End::Dropped => {}
        End::BadRecordFromClient => fail_after_bad_record_from_client(&mut ours, &mut theirs).await,
        End::BadRecordFromServer => fail_after_bad_record_from_server(&mut ours, &mut theirs).await,
        End::BadRecordAfterClose => {
            theirs.close_notify().await.unwrap();
            write_bad_record(ours.get_mut().get_mut().0).await;
            theirs.read_u8().await.unwrap_err();
        }
    }
    drop(theirs);
    server.sessions.flush().await;
    // The client thinks well of its session, whatever has happened.
    ours.set_quiet_shutdown(true);
    drop(ours);
    resumed
}

/// A client that keeps its sessions however a connection ends.
fn trusting(kind: Kind) -> tokio_tls_shutdown::GracefulConnector {
    let sessions = tokio_tls_shutdown::resumption::ClientSessions::in_memory(8);
    tokio_tls_shutdown::GracefulConnector::new(kind.client())
        .with_sessions(sessions.with_retention(Retention::Always))
}

#[tokio::test(start_paused = true)]
async fn e11_retention_decides_about_new_sessions_as_without_a_fleet() {
    for kind in KINDS {
        for retention in [
            Retention::CleanClose,
            Retention::UnlessFailed,
            Retention::Always,
        ] {
            for how in ENDS {
                let store = Arc::new(Double::new());
                let start = || Server::start(kind, sessions(&store).with_retention(retention));
                let (a, b) = (start().await, start().await);
                store.entries().clear();
                let client = trusting(kind);
                assert!(!end(&a, &client, how).await);
                let kept = how.keeps(retention);
                let what = format!("{kind:?} {retention:?} {how:?}");
                assert_eq!(store.len() > 0, kept, "{what}");
                assert_eq!(b.resumes(&client).await, kept, "{what}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e11_a_resumed_connection_that_ends_badly_takes_its_session_along() {
    for kind in KINDS {
        for how in ENDS {
            let (store, [a, b]) = pair(kind).await;
            let client = trusting(kind);
            assert!(!end(&a, &client, End::CleanClose).await);
            assert!(end(&b, &client, how).await);
            let kept = how.keeps(Retention::CleanClose);
            let left = match (kind.is_tls13(), kept) {
                // One of the two tickets was used; a connection that ends well brings two.
                (true, kept) => 1 + 2 * usize::from(kept),
                (false, kept) => usize::from(kept),
            };
            assert_eq!(store.len(), left, "{kind:?} {how:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e11_a_handshake_alone_publishes_nothing_before_the_connection_has_ended() {
    for kind in KINDS {
        let (store, [a, b]) = pair(kind).await;
        let client = trusting(kind);
        let (ours, theirs) = a.meet(&client).await;
        a.sessions.flush().await;
        assert_eq!(store.len(), 0);
        assert!(!b.resumes(&client).await, "{kind:?}");
        a.close(ours, theirs).await;
    }
}

#[tokio::test(start_paused = true)]
async fn e11_a_session_of_another_context_does_not_resume() {
    for kind in KINDS {
        let (store, [a, _]) = pair(kind).await;
        let shared: Arc<dyn FleetStore> = Arc::<Double>::clone(&store);
        for (context, resumes) in [("www", true), ("ww", false), ("wwww", false), ("", false)] {
            let other = FleetSessions::new(Arc::clone(&shared), FleetKeys::new(KEY), context);
            let other = Server::start(kind, other).await;
            let client = client(kind);
            assert!(!a.resumes(&client).await);
            assert_eq!(other.resumes(&client).await, resumes, "{kind:?} {context}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e11_a_server_without_tls13_learns_to_look_session_ids_up() {
    use tokio_tls_shutdown::{GracefulConnector, resumption::ClientSessions};
    let (store, [a, b]) = pair(Kind::Tls12Id).await;
    let mut config = rustls::ClientConfig::clone(&Kind::Tls12Id.client());
    let both = rustls::ClientConfig::builder_with_provider(Arc::clone(config.crypto_provider()))
        .with_safe_default_protocol_versions()
        .unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(crate::support::pair::identity().0.clone())
        .unwrap();
    config = both.with_root_certificates(roots).with_no_client_auth();
    let connector = GracefulConnector::new(Arc::new(config));
    let connector = connector.with_sessions(ClientSessions::in_memory(8));
    assert!(!a.resumes(&connector).await);
    assert!(a.resumes(&connector).await);
    assert_eq!(store.lookups(), 1);
    assert!(
        !b.resumes(&connector).await,
        "the first time it is not known"
    );
    assert!(b.resumes(&connector).await);
}

#[tokio::test(start_paused = true)]
async fn e11_a_tls13_client_without_a_ticket_costs_no_round_trip() {
    let (store, [a, b]) = pair(Kind::Tls13Stateful).await;
    for server in [&a, &b, &a] {
        // Its session id is 32 random bytes.
        assert!(!server.resumes(&client(Kind::Tls13Stateful)).await);
    }
    assert_eq!(store.lookups(), 0);
}

#[tokio::test(start_paused = true)]
async fn e11_an_acceptor_that_was_chosen_by_the_client_hello_resumes_if_that_was_recorded() {
    for kind in KINDS {
        let (store, [a, b]) = pair(kind).await;
        let client = client(kind);
        assert!(!a.resumes(&client).await);
        for (recorded, lookups) in [(true, 1), (false, 1)] {
            let (theirs, ours) = duplex(1 << 16);
            let accept = async {
                let start = rustls::server::Acceptor::default();
                if recorded {
                    let ours = ClientHelloRecorder::new(ours);
                    let start = LazyConfigAcceptor::new(start, ours).await.unwrap();
                    assert_eq!(start.client_hello().server_name(), Some("localhost"));
                    b.acceptor.finish_recorded_accept(start).await.unwrap()
                } else {
                    let start = LazyConfigAcceptor::new(start, ours).await.unwrap();
                    b.acceptor.finish_accept(start).await.unwrap()
                }
            };
            let (ours, theirs) = tokio::join!(client.connect(name(), theirs), accept);
            let (mut ours, mut theirs) = (ours.unwrap(), theirs);
            assert_eq!(theirs.is_resumed(), recorded, "{kind:?}");
            theirs.write_all(b"!").await.unwrap();
            ours.read_u8().await.unwrap();
            b.close(ours, theirs).await;
            assert_eq!(store.lookups(), lookups);
        }
        // Without fleet sessions, recording changes nothing.
        let plain = GracefulAcceptor::new(kind.server());
        let (theirs, ours) = duplex(1 << 16);
        let ours = ClientHelloRecorder::new(ours);
        let start = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), ours);
        let accept = async { plain.finish_recorded_accept(start.await.unwrap()).await };
        let (ours, theirs) = tokio::join!(client.connect(name(), theirs), accept);
        ours.unwrap();
        theirs.unwrap();
    }
}

/// As `axum` or a thread of the user may do it.
#[tokio::test]
async fn e11_a_stream_that_is_dropped_outside_of_the_runtime_is_published() {
    for kind in KINDS {
        let (store, [a, _]) = pair(kind).await;
        let (mut ours, mut theirs) = a.meet(&client(kind)).await;
        theirs.close_notify().await.unwrap();
        ours.close_notify().await.unwrap();
        thread::spawn(move || drop(theirs)).join().unwrap();
        a.sessions.flush().await;
        assert!(store.len() > 0, "{kind:?}");
    }
}
