//! Which sessions stay when their connection has ended.

use rustls::server::ServerSessionMemoryCache;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    net::{TcpListener, TcpStream},
};
use tokio_tls_shutdown::{
    ClosePolicy, GracefulAcceptor, GracefulConnector, ShutdownExt, ShutdownState,
    resumption::{ClientSessions, Retention, ServerSessions},
    tokio_rustls::rustls,
};

use crate::{
    site::{
        ClientStream, KINDS, Kind, ServerStream, close, fail_after_bad_record_from_client,
        fail_after_bad_record_from_server, meet, resumes, shake_hands, stores, write_bad_record,
    },
    support::pair::name,
};

const RETENTIONS: [Retention; 3] = [
    Retention::CleanClose,
    Retention::UnlessFailed,
    Retention::Always,
];

#[derive(Clone, Copy, Debug)]
enum End {
    OneWay,
    Shutdown,
    QuietPolicy,
    QuietShutdown,
    SetState,
    Bidirectional,
    EofAfterOurs,
    Dropped,
    IntoInner,
    ReadAndDropped,
    FatalSent,
    FatalReceived,
    BadRecordAfterOurs,
    BadRecordWhileClosing,
    FatalAfterOurs,
}

impl End {
    const ALL: [Self; 15] = [
        Self::OneWay,
        Self::Shutdown,
        Self::QuietPolicy,
        Self::QuietShutdown,
        Self::SetState,
        Self::Bidirectional,
        Self::EofAfterOurs,
        Self::Dropped,
        Self::IntoInner,
        Self::ReadAndDropped,
        Self::FatalSent,
        Self::FatalReceived,
        Self::BadRecordAfterOurs,
        Self::BadRecordWhileClosing,
        Self::FatalAfterOurs,
    ];

    fn stays(self, retention: Retention) -> bool {
        match self {
            Self::OneWay
            | Self::Shutdown
            | Self::QuietPolicy
            | Self::QuietShutdown
            | Self::SetState
            | Self::Bidirectional
            | Self::EofAfterOurs => true,
            Self::Dropped | Self::IntoInner | Self::ReadAndDropped => {
                retention != Retention::CleanClose
            }
            Self::FatalSent
            | Self::FatalReceived
            | Self::BadRecordAfterOurs
            | Self::BadRecordWhileClosing
            | Self::FatalAfterOurs => retention == Retention::Always,
        }
    }
}

/// Ends a connection on the side of the first.
macro_rules! end {
    ($end:expr, $ours:ident, $theirs:ident, $fail_by_them:path, $fail_by_us:path) => {
        match $end {
            End::OneWay => {
                $ours.close_notify().await.unwrap();
            }
            End::Shutdown => $ours.shutdown().await.unwrap(),
            End::QuietPolicy => {
                $ours.set_policy(ClosePolicy::Quiet);
                $ours.shutdown().await.unwrap();
            }
            End::QuietShutdown => {
                $ours.set_quiet_shutdown(true);
                $ours.close_notify().await.unwrap();
            }
            End::SetState => $ours.set_state(ShutdownState::SENT),
            End::Bidirectional => {
                let (closed, _) =
                    tokio::join!($ours.shutdown_bidirectional(), $theirs.close_notify());
                assert!(closed.unwrap().is_clean());
            }
            End::EofAfterOurs => {
                $ours.close_notify().await.unwrap();
                drop($theirs);
                $ours.read_u8().await.unwrap_err();
                drop($ours);
                return;
            }
            End::Dropped => {}
            End::IntoInner => {
                let mut plain = $ours.into_inner();
                plain.shutdown().await.unwrap();
                return;
            }
            End::ReadAndDropped => {
                $theirs.close_notify().await.unwrap();
                $ours.read_u8().await.unwrap_err();
            }
            End::FatalSent => $fail_by_them(&mut $ours, &mut $theirs).await,
            End::FatalReceived => $fail_by_us(&mut $ours, &mut $theirs).await,
            End::BadRecordAfterOurs => {
                $ours.close_notify().await.unwrap();
                write_bad_record($theirs.get_mut().get_mut().0).await;
                $ours.read_u8().await.unwrap_err();
            }
            End::BadRecordWhileClosing => {
                write_bad_record($theirs.get_mut().get_mut().0).await;
                $ours.shutdown_bidirectional().await.unwrap_err();
            }
            End::FatalAfterOurs => {
                write_bad_record($ours.get_mut().get_mut().0).await;
                $theirs.read_u8().await.unwrap_err();
                $ours.shutdown_bidirectional().await.unwrap_err();
            }
        }
        drop($ours);
        drop($theirs);
    };
}

async fn end_client(end: End, mut client: ClientStream, mut server: ServerStream) {
    end!(
        end,
        client,
        server,
        fail_after_bad_record_from_server,
        fail_after_bad_record_from_client
    );
}

async fn end_server(end: End, mut server: ServerStream, mut client: ClientStream) {
    async fn bad_from_client(server: &mut ServerStream, client: &mut ClientStream) {
        fail_after_bad_record_from_client(client, server).await;
    }
    async fn bad_from_server(server: &mut ServerStream, client: &mut ClientStream) {
        fail_after_bad_record_from_server(client, server).await;
    }
    end!(end, server, client, bad_from_client, bad_from_server);
}

#[tokio::test(start_paused = true)]
async fn e01_to_e06_a_client_keeps_what_its_policy_says() {
    for kind in KINDS {
        for retention in RETENTIONS {
            for end in End::ALL {
                for sessions in stores() {
                    let sessions = sessions.with_retention(retention);
                    let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
                    let acceptor = GracefulAcceptor::new(kind.server());
                    let (client, server) = meet(&connector, &acceptor).await;
                    end_client(end, client, server).await;
                    assert_eq!(
                        resumes(&connector, &acceptor).await,
                        end.stays(retention),
                        "{kind:?} {end:?} {connector:?}"
                    );
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e01_to_e06_a_server_keeps_what_its_policy_says() {
    for kind in KINDS {
        for retention in RETENTIONS {
            for end in End::ALL {
                let sessions = ServerSessions::new(ServerSessionMemoryCache::new(32));
                let acceptor = GracefulAcceptor::new(kind.server())
                    .with_sessions(sessions.with_retention(retention));
                // rustls's own sessions, which the client keeps whatever happens.
                let connector = GracefulConnector::new(kind.client());
                let (client, server) = meet(&connector, &acceptor).await;
                end_server(end, server, client).await;
                assert_eq!(
                    resumes(&connector, &acceptor).await,
                    kind.is_stateless() || end.stays(retention),
                    "{kind:?} {end:?} {retention:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e03_a_resumed_tls12_session_dies_with_the_connection_that_used_it() {
    for kind in [Kind::Tls12Id, Kind::Tls12Ticket] {
        for sessions in stores() {
            let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
            let acceptor = GracefulAcceptor::new(kind.server());
            assert!(!resumes(&connector, &acceptor).await);
            let (mut client, mut server) = meet(&connector, &acceptor).await;
            assert!(client.is_resumed());
            fail_after_bad_record_from_server(&mut client, &mut server).await;
            // At once, not only when it is dropped.
            assert!(!resumes(&connector, &acceptor).await, "{kind:?}");
            drop((client, server));
            // What the last connection has brought was not touched.
            assert!(resumes(&connector, &acceptor).await, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e03_a_server_forgets_a_session_whose_resumption_has_failed() {
    let sessions = ServerSessions::new(ServerSessionMemoryCache::new(32));
    let acceptor = GracefulAcceptor::new(Kind::Tls12Id.server()).with_sessions(sessions);
    let connector = GracefulConnector::new(Kind::Tls12Id.client());
    assert!(!resumes(&connector, &acceptor).await);
    let (mut client, mut server) = meet(&connector, &acceptor).await;
    assert!(server.is_resumed());
    fail_after_bad_record_from_client(&mut client, &mut server).await;
    assert!(!resumes(&connector, &acceptor).await);
}

#[tokio::test(start_paused = true)]
async fn e04_a_server_forgets_a_session_whose_resumption_was_dropped() {
    for retention in RETENTIONS {
        let sessions = ServerSessions::new(ServerSessionMemoryCache::new(32));
        let acceptor = GracefulAcceptor::new(Kind::Tls12Id.server())
            .with_sessions(sessions.with_retention(retention));
        let connector = GracefulConnector::new(Kind::Tls12Id.client());
        assert!(!resumes(&connector, &acceptor).await);
        let (client, mut server) = meet(&connector, &acceptor).await;
        assert!(server.is_resumed());
        drop((client, server));
        let stays = retention != Retention::CleanClose;
        assert_eq!(resumes(&connector, &acceptor).await, stays, "{retention:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn e04_a_client_forgets_a_tls12_session_whose_resumption_was_dropped() {
    for kind in [Kind::Tls12Id, Kind::Tls12Ticket] {
        for retention in RETENTIONS {
            // The one that it has resumed, and the one that took its place: at once in memory.
            for (sessions, both) in stores().into_iter().zip([1, 2]) {
                let sessions = sessions.with_retention(retention);
                let connector =
                    GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
                let acceptor = GracefulAcceptor::new(kind.server());
                assert!(!resumes(&connector, &acceptor).await);
                let (mut client, server) = meet(&connector, &acceptor).await;
                assert!(client.is_resumed());
                drop((client, server));
                let stats = sessions.stats();
                let stays = retention != Retention::CleanClose;
                assert_eq!(stats.resumed, 1);
                let evicted = if stays { 0 } else { both };
                assert_eq!(stats.evicted_dropped, evicted, "{kind:?} {connector:?}");
                assert_eq!(
                    resumes(&connector, &acceptor).await,
                    stays,
                    "{kind:?} {connector:?}"
                );
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e02_a_client_that_only_writes_needs_a_bidirectional_close_in_tls13() {
    for kind in KINDS {
        for bidirectional in [false, true] {
            let sessions = ClientSessions::in_memory(8);
            let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
            let acceptor = GracefulAcceptor::new(kind.server());
            let mut resumed = 0;
            for _ in 0..5 {
                let (mut client, mut server) = shake_hands(&connector, &acceptor).await;
                resumed += usize::from(client.is_resumed());
                client.write_all(b"data").await.unwrap();
                match bidirectional {
                    true => close(&mut client, &mut server).await,
                    false => drop(client.close_notify().await.unwrap()),
                }
            }
            let expected = match bidirectional || !kind.is_tls13() {
                true => 4,
                false => 0,
            };
            assert_eq!(resumed, expected, "{kind:?} {bidirectional}");
        }
    }
}

/// Over TCP, where unread tickets would reset the connection.
#[tokio::test]
async fn e02_a_client_that_only_writes_resumes_500_times_of_500() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let acceptor = GracefulAcceptor::new(Kind::Tls13Stateful.server());
    let serve = tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let mut tls = acceptor.accept(tcp).await.unwrap();
            let mut upload = Vec::new();
            tls.read_to_end(&mut upload).await.unwrap();
            assert_eq!(upload, b"one line for the log");
            tls.shutdown().await.unwrap();
        }
    });
    let sessions = ClientSessions::in_memory(1);
    let connector = GracefulConnector::new(Kind::Tls13Stateful.client());
    let connector = connector.with_sessions(sessions.clone());
    for attempt in 0..501 {
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let mut tls = connector.connect(name(), tcp).await.unwrap();
        assert_eq!(tls.is_resumed(), attempt > 0, "{attempt}");
        tls.write_all(b"one line for the log").await.unwrap();
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert_eq!((closed.is_clean(), closed.tickets()), (true, 2));
    }
    assert_eq!(sessions.stats().resumed, 500);
    serve.abort();
}

#[tokio::test(start_paused = true)]
async fn sessions_are_usable_when_a_bidirectional_close_has_ended_also_before_the_drop() {
    for kind in KINDS {
        for sessions in stores() {
            let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
            let acceptor = GracefulAcceptor::new(kind.server());
            let (mut client, mut server) = meet(&connector, &acceptor).await;
            close(&mut client, &mut server).await;
            assert!(resumes(&connector, &acceptor).await, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e04_what_comes_after_the_stream_was_taken_out_is_not_kept() {
    for kind in KINDS.into_iter().filter(|kind| kind.is_tls13()) {
        for sessions in stores() {
            let connector = GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
            let acceptor = GracefulAcceptor::new(kind.server());
            let (client, mut server) = shake_hands(&connector, &acceptor).await;
            let mut client = client.into_inner();
            server.write_all(b"!").await.unwrap();
            client.read_u8().await.unwrap();
            drop((client, server));
            assert!(sessions.stats().received > 0);
            assert_eq!(sessions.stats().stored, 0, "{kind:?}");
            assert!(!resumes(&connector, &acceptor).await, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e04_a_session_stays_that_was_offered_to_a_server_which_never_answers() {
    for kind in KINDS.into_iter().filter(|kind| !kind.is_tls13()) {
        for sessions in stores() {
            let connector = GracefulConnector::new(kind.client()).with_sessions(sessions.clone());
            let acceptor = GracefulAcceptor::new(kind.server());
            resumes(&connector, &acceptor).await;
            let (io, _silent) = duplex(1 << 20);
            connector.connect(name(), io).await.unwrap_err();
            assert_eq!(sessions.stats().offered, 1);
            assert!(resumes(&connector, &acceptor).await, "{kind:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e04_a_session_stays_that_somebody_asks_for_who_has_only_seen_its_id() {
    for kind in KINDS.into_iter().filter(|kind| !kind.is_tls13()) {
        let sessions = ClientSessions::in_memory(8).with_retention(Retention::Always);
        let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
        let acceptor = GracefulAcceptor::new(kind.server())
            .with_sessions(ServerSessions::new(ServerSessionMemoryCache::new(8)));
        resumes(&connector, &acceptor).await;

        let (io, mut wire) = duplex(1 << 20);
        let mut hello = vec![0; 4096];
        let len = tokio::select! {
            _ = connector.connect(name(), io) => unreachable!(),
            len = wire.read(&mut hello) => len.unwrap(),
        };
        let (mut theirs, ours) = duplex(1 << 20);
        theirs.write_all(&hello[..len]).await.unwrap();
        acceptor.accept(ours).await.unwrap_err();
        assert!(resumes(&connector, &acceptor).await, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn e03_a_failure_counts_though_a_read_holds_it_back_behind_data_and_nobody_reads_again() {
    for kind in KINDS {
        for quiet in [false, true] {
            let sessions = ClientSessions::in_memory(8).with_retention(Retention::UnlessFailed);
            let connector = GracefulConnector::new(kind.client()).with_sessions(sessions);
            let acceptor = GracefulAcceptor::new(kind.server());
            let (mut client, mut server) = meet(&connector, &acceptor).await;
            // Both come with one read of the transport, and the read of the data is `Ok`.
            server.write_all(&[7; 100]).await.unwrap();
            write_bad_record(server.get_mut().get_mut().0).await;
            let read = client.read(&mut [0; 8192]).await;
            assert_eq!(read.ok(), Some(100), "{kind:?}, quiet {quiet}");
            if quiet {
                client.set_quiet_shutdown(true);
                let _ = client.shutdown_bidirectional().await.unwrap();
            }
            drop((client, server));
            assert!(!resumes(&connector, &acceptor).await, "{kind:?} {quiet}");
        }
    }
}
