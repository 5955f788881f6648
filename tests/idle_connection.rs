//! Connections that a peer closes while they are idle, over TCP.

mod support;

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use support::{CASES, Case, Role, Version, pair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_tls_shutdown::{
    CloseProgress, GracefulStream, PeerClose, PeerStatus, ShutdownExt, tokio_rustls,
};

/// The stream under test and its peer, over loopback.
async fn tcp_pair(case: Case) -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connect = TcpStream::connect(listener.local_addr().unwrap());
    let (ours, theirs) = tokio::join!(connect, listener.accept());
    let (ours, theirs) = (ours.unwrap(), theirs.unwrap().0);
    ours.set_nodelay(true).unwrap();
    theirs.set_nodelay(true).unwrap();
    case.pair(ours, theirs).await
}

fn is_open<S: ShutdownExt>(stream: &mut S) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    let poll = stream.poll_peer_closed(&mut cx, &mut CloseProgress::new());
    poll.is_pending()
}

#[tokio::test]
async fn g29_a_pooled_connection_that_was_closed_while_idle_is_not_used_again() {
    for run in 0..100 {
        let case = CASES[run % 4];
        let (mut ours, mut theirs) = tcp_pair(case).await;
        // One request and its answer, as a pool sees them.
        ours.write_all(b"request").await.unwrap();
        theirs.read_exact(&mut [0; 7]).await.unwrap();
        theirs.write_all(b"answer").await.unwrap();
        ours.read_exact(&mut [0; 6]).await.unwrap();
        let mut graceful = GracefulStream::new(ours);
        assert!(is_open(&mut graceful), "{case:?}, run {run}: open");
        let (closed, is_closed) = oneshot::channel();
        let peer = tokio::spawn(async move {
            let closed_by_us = theirs.shutdown_bidirectional().await;
            let _ = closed.send(());
            closed_by_us
        });
        // The pool waits for it, as it does when it keeps a task for its idle connections.
        let status = graceful.peer_closed().await.unwrap();
        assert_eq!(
            status,
            PeerStatus::Closed(PeerClose::CloseNotify),
            "{case:?}"
        );
        assert!(!is_open(&mut graceful), "{case:?}, run {run}: closed");
        assert!(graceful.received_close_notify());
        let closed = graceful.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean() && closed.peer_closed_first(), "{case:?}");
        is_closed.await.unwrap();
        assert!(!peer.await.unwrap().unwrap().peer_closed_first());
    }
}

#[tokio::test]
async fn g29_polled_once_it_tells_a_close_that_lies_in_the_socket() {
    for run in 0..100 {
        let case = CASES[run % 4];
        let (mut ours, mut theirs) = tcp_pair(case).await;
        assert!(is_open(&mut ours), "{case:?}, run {run}: open");
        theirs.close_notify().await.unwrap();
        // The runtime looks at its sockets at the latest when it has nothing else to do.
        ours.get_mut().0.readable().await.unwrap();
        assert!(!is_open(&mut ours), "{case:?}, run {run}: closed");
    }
}

#[tokio::test]
async fn g30_a_close_that_lies_in_the_socket_was_first() {
    for run in 0..100 {
        let case = CASES[run % 4];
        let (ours, mut theirs) = tcp_pair(case).await;
        let mut ours = GracefulStream::new(ours);
        if run % 8 > 3 {
            theirs.write_all(&[7; 50_000]).await.unwrap();
        }
        theirs.close_notify().await.unwrap();
        ours.get_ref().get_ref().0.readable().await.unwrap();
        let closed = ours.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean() && closed.peer_closed_first(), "{case:?}");
        let closed = theirs.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean(), "{case:?}");
    }
}

#[tokio::test]
async fn a_client_that_only_writes_notices_that_its_server_has_closed() {
    for version in [Version::Tls12, Version::Tls13] {
        let case = Case::new(version, Role::Client);
        let (mut ours, mut theirs) = tcp_pair(case).await;
        let (messages, mut queue) = mpsc::channel::<&[u8]>(8);
        let client = tokio::spawn(async move {
            let mut written = 0;
            loop {
                tokio::select! {
                    message = queue.recv() => match message {
                        Some(message) => {
                            ours.write_all(message).await.unwrap();
                            written += 1;
                        }
                        None => panic!("{version:?}: it has not noticed"),
                    },
                    status = ours.peer_closed() => return (status.unwrap(), written),
                }
            }
        });
        messages.send(b"first").await.unwrap();
        theirs.read_exact(&mut [0; 5]).await.unwrap();
        messages.send(b"second").await.unwrap();
        theirs.read_exact(&mut [0; 6]).await.unwrap();
        theirs.close_notify().await.unwrap();
        let (status, written) = client.await.unwrap();
        assert_eq!(
            status,
            PeerStatus::Closed(PeerClose::CloseNotify),
            "{version:?}"
        );
        assert_eq!(written, 2, "{version:?}");
    }
}

/// Tickets are received while it waits, data are left alone.
#[tokio::test]
async fn waiting_for_the_peer_receives_tickets_and_no_data() {
    let case = Case::new(Version::Tls13, Role::Client);
    let mut server = case.server_config();
    server.send_tls13_tickets = 2;
    let (ours, theirs) = tokio::io::duplex(65_536);
    let connector = TlsConnector::from(Arc::new(case.client_config()));
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (ours, theirs) = tokio::join!(
        connector.connect(pair::name(), ours),
        acceptor.accept(theirs)
    );
    let (mut ours, mut theirs) = (ours.unwrap(), theirs.unwrap());
    assert_eq!(ours.get_ref().1.tls13_tickets_received(), 0);
    theirs.write_all(b"data").await.unwrap();
    assert_eq!(ours.peer_closed().await.unwrap(), PeerStatus::Readable);
    assert_eq!(ours.get_ref().1.tls13_tickets_received(), 2);
    let mut data = [0; 4];
    ours.read_exact(&mut data).await.unwrap();
    assert_eq!(&data, b"data");
}
