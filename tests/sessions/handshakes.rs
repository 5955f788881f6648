//! Connector and acceptor: deadlines, typed errors, policy, and an acceptor chosen by name.

use std::{io, sync::Arc, time::Duration};

use rustls::{RootCertStore, server::Acceptor};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::Instant,
};
use tokio_tls_shutdown::{
    ClosePolicy, CloseTracker, GracefulAcceptor, GracefulConnector, HandshakeError,
    resumption::ServerSessions,
    tokio_rustls::{LazyConfigAcceptor, rustls},
};

use crate::{
    site::{KINDS, meet, try_shake_hands},
    support::{pair::name, rustls_error},
};

const DEADLINE: Option<Duration> = Some(Duration::from_secs(3));

#[tokio::test(start_paused = true)]
async fn a_peer_that_says_nothing_is_ended_by_the_deadline() {
    for kind in KINDS {
        let begin = Instant::now();
        let (ours, _theirs) = duplex(4096);
        let acceptor = GracefulAcceptor::new(kind.server()).with_handshake_deadline(DEADLINE);
        let error = acceptor.accept(ours).await.unwrap_err();
        assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::TimedOut);
        let (ours, _theirs) = duplex(4096);
        let connector = GracefulConnector::new(kind.client()).with_handshake_deadline(DEADLINE);
        let error = connector.connect(name(), ours).await.unwrap_err();
        assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
        assert_eq!(begin.elapsed().as_secs(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_leaves_is_an_error_of_the_transport() {
    for kind in KINDS {
        let (ours, theirs) = duplex(4096);
        drop(theirs);
        let error = GracefulAcceptor::new(kind.server()).accept(ours).await;
        let error = error.unwrap_err();
        assert!(matches!(error, HandshakeError::Io(_)), "{error:?}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::UnexpectedEof);
    }
}

#[tokio::test(start_paused = true)]
async fn plain_http_is_an_error_of_tls() {
    for kind in KINDS {
        let (ours, mut theirs) = duplex(4096);
        theirs.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let error = GracefulAcceptor::new(kind.server()).accept(ours).await;
        let error = error.unwrap_err();
        let tls = matches!(&error, HandshakeError::Tls(e)
            if matches!(rustls_error(e), Some(rustls::Error::InvalidMessage(_))));
        assert!(tls, "{error:?}");
        assert_eq!(io::Error::from(error).kind(), io::ErrorKind::InvalidData);
    }
}

#[tokio::test(start_paused = true)]
async fn a_certificate_that_is_refused_is_an_error_of_tls_on_both_sides() {
    for kind in KINDS {
        let mut config = Arc::unwrap_or_clone(kind.client());
        let roots = Arc::new(RootCertStore {
            // Of another server.
            roots: vec![other_root()],
        });
        let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
            roots,
            Arc::clone(config.crypto_provider()),
        );
        config
            .dangerous()
            .set_certificate_verifier(verifier.build().unwrap());
        let connector = GracefulConnector::new(Arc::new(config));
        let acceptor = GracefulAcceptor::new(kind.server());
        let (client, server) = try_shake_hands(&connector, &acceptor).await;
        let error = client.unwrap_err();
        let refused = matches!(&error, HandshakeError::Tls(e)
            if matches!(rustls_error(e), Some(rustls::Error::InvalidCertificate(_))));
        assert!(refused, "{error:?}");
        // In TLS 1.3 the server may be done before the client has looked.
        let error = match server {
            Err(e) => io::Error::from(e),
            Ok(mut server) => server.read_u8().await.unwrap_err(),
        };
        assert!(error.to_string().contains("lert"), "{error}");
    }
}

fn other_root() -> rustls::pki_types::TrustAnchor<'static> {
    let made = rcgen::generate_simple_self_signed(["elsewhere".to_owned()]).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.into()).unwrap();
    roots.roots.remove(0)
}

#[tokio::test(start_paused = true)]
async fn the_streams_close_with_the_policy_of_connector_and_acceptor() {
    for kind in KINDS {
        let connector = GracefulConnector::new(kind.client()).with_policy(ClosePolicy::Quiet);
        let acceptor = GracefulAcceptor::new(kind.server()).with_policy(ClosePolicy::linger());
        let (client, server) = meet(&connector, &acceptor).await;
        assert_eq!(client.policy(), ClosePolicy::Quiet);
        assert_eq!(server.policy(), ClosePolicy::linger());
    }
}

#[tokio::test(start_paused = true)]
async fn an_acceptor_chosen_by_server_name_brings_its_policy_its_sessions_and_its_tracker() {
    for kind in KINDS {
        let tracker = CloseTracker::new();
        let chosen = GracefulAcceptor::new(kind.server())
            .with_policy(ClosePolicy::linger())
            .with_tracker(&tracker)
            .with_sessions(ServerSessions::new(
                rustls::server::ServerSessionMemoryCache::new(32),
            ));
        let connector = GracefulConnector::new(kind.client());
        let mut resumed = false;
        for _ in 0..2 {
            let (ours, theirs) = duplex(65_536);
            let accept = async {
                let start = LazyConfigAcceptor::new(Acceptor::default(), ours);
                let start = start.await.unwrap();
                assert_eq!(start.client_hello().server_name(), Some("localhost"));
                chosen.finish_accept(start).await.unwrap()
            };
            let (client, mut server) = tokio::join!(connector.connect(name(), theirs), accept);
            let mut client = client.unwrap();
            assert_eq!(server.policy(), ClosePolicy::linger());
            server.write_all(b"!").await.unwrap();
            client.read_u8().await.unwrap();
            crate::site::close(&mut client, &mut server).await;
            resumed = server.is_resumed();
        }
        assert!(resumed, "{kind:?}");
        assert_eq!(tracker.stats().clean, 2);
    }
}
