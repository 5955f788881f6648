//! In which span a close is told.

use std::sync::Arc;

use tokio::io::duplex;
use tokio_rustls::TlsConnector;
use tokio_tls_shutdown::{CloseTracker, GracefulAcceptor, GracefulStream, tokio_rustls};

use crate::{
    observe,
    support::{CASES, pair::name},
};

/// As a server does for each connection that it has accepted.
fn connection() -> tracing::Span {
    tracing::info_span!("connection", peer.addr = "192.0.2.7:443")
}

#[test]
fn the_event_is_in_the_span_of_the_connection_wherever_the_stream_is_dropped() {
    for case in CASES {
        let seen = observe(async {
            let (ours, _theirs) = case.duplex(4096).await;
            let ours = connection().in_scope(|| GracefulStream::new(ours));
            let elsewhere = tracing::info_span!("elsewhere", peer.addr = "nobody");
            elsewhere.in_scope(|| drop(ours));
        });
        assert_eq!(seen.log.len(), 1);
        let span = r#"connection{peer.addr="192.0.2.7:443"}: tokio_tls_shutdown: "#;
        assert!(seen.log[0].contains(span), "{:?}", seen.log);
        assert!(!seen.log[0].contains("nobody"), "{:?}", seen.log);
    }
}

/// An accept loop calls `accept`, and the task of the connection polls it.
#[test]
fn a_stream_has_the_span_in_which_its_handshake_ended() {
    for case in CASES {
        let seen = observe(async {
            let acceptor = GracefulAcceptor::new(Arc::new(case.server_config()));
            let (ours, theirs) = duplex(4096);
            let listening = tracing::info_span!("listening", peer.addr = "nobody");
            let mut accept = Box::pin(listening.in_scope(|| acceptor.accept(ours)));
            let accept =
                std::future::poll_fn(|cx| connection().in_scope(|| accept.as_mut().poll(cx)));
            let client = TlsConnector::from(Arc::new(case.client_config()));
            let (ours, _theirs) = tokio::join!(accept, client.connect(name(), theirs));
            drop(ours.unwrap());
        });
        assert!(seen.log[0].contains("192.0.2.7:443"), "{:?}", seen.log);
        assert!(!seen.log[0].contains("nobody"), "{:?}", seen.log);
    }
}

#[test]
fn a_handshake_that_fails_has_the_span_in_which_it_began() {
    for case in CASES {
        let seen = observe(async {
            let acceptor = GracefulAcceptor::new(Arc::new(case.server_config()));
            let (ours, theirs) = duplex(4096);
            let accept = connection().in_scope(|| acceptor.accept(ours));
            drop(theirs);
            accept.await.unwrap_err();
        });
        assert!(seen.log[0].contains("192.0.2.7:443"), "{:?}", seen.log);
    }
}

#[test]
fn what_a_callback_logs_is_in_the_span_of_the_connection() {
    for case in CASES {
        let seen = observe(async {
            let tracker = CloseTracker::with_on_close(|report| {
                tracing::warn!(target: "tokio_tls_shutdown::test", "seen by a callback: {report}");
            });
            let (ours, _theirs) = case.duplex(4096).await;
            let mut ours = GracefulStream::new(ours);
            connection().in_scope(|| ours.track(&tracker));
            drop(ours);
        });
        let line = seen
            .log
            .iter()
            .find(|line| line.contains("seen by a callback"));
        let line = line.unwrap();
        assert!(line.contains("dropped"), "{line}");
        assert!(line.contains("192.0.2.7:443"), "{line}");

        let seen = observe(async {
            let tracker = CloseTracker::with_on_close(|report| {
                tracing::warn!(target: "tokio_tls_shutdown::test", "seen by a callback: {report}");
            });
            let acceptor = GracefulAcceptor::new(Arc::new(case.server_config()));
            let acceptor = acceptor.with_tracker(&tracker);
            let (ours, _theirs) = duplex(4096);
            drop(connection().in_scope(|| acceptor.accept(ours)));
        });
        let line = seen
            .log
            .iter()
            .find(|line| line.contains("seen by a callback"));
        assert!(line.unwrap().contains("192.0.2.7:443"), "{:?}", seen.log);
    }
}
