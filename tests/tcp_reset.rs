//! The peer sends `close_notify` and leaves while data of ours are unread: its kernel sends RST
//! behind the alert. Over TCP, with the peer on a thread and a runtime of its own.

mod support;

use std::{
    future::poll_fn,
    io,
    sync::{Arc, mpsc},
    task::Poll,
    thread,
};

use support::{CASES, Case, Role, pair};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_tls_shutdown::{
    ClosePolicy, GracefulStream, PeerClose, ShutdownExt, ShutdownState, tokio_rustls,
};

const RUNS: usize = 300;

#[derive(Clone, Copy, Debug)]
enum Way {
    Bidirectional,
    /// Without a timer.
    NoDeadline,
    Notify,
    Graceful,
    Shutdown,
    Linger,
}

const WAYS: [Way; 6] = [
    Way::Bidirectional,
    Way::NoDeadline,
    Way::Notify,
    Way::Graceful,
    Way::Shutdown,
    Way::Linger,
];

/// What the peer does before it sends `close_notify`, and when we close.
#[derive(Clone, Copy, Debug)]
enum Timing {
    /// We close while the peer does.
    Race,
    /// We close when the peer has gone, and the reactor was last asked before that.
    Gone,
    /// The same, with so much application data in front of the peer's `close_notify`.
    GoneBehind(usize),
}

async fn connect(case: Case, tcp: TcpStream) -> TlsStream<TcpStream> {
    // With Nagle's algorithm the alert waits in the kernel and is lost with the RST.
    tcp.set_nodelay(true).unwrap();
    match case.role {
        Role::Client => {
            let connector = TlsConnector::from(Arc::new(case.client_config()));
            connector.connect(pair::name(), tcp).await.unwrap().into()
        }
        Role::Server => {
            let acceptor = TlsAcceptor::from(Arc::new(case.server_config()));
            acceptor.accept(tcp).await.unwrap().into()
        }
    }
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The peer: leaves our data unread, closes when it is told, and is gone.
fn peer(
    case: Case,
    address: std::net::SocketAddr,
    timing: Timing,
    close: mpsc::Receiver<()>,
    gone: mpsc::Sender<()>,
) {
    let other = match case.role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    };
    current_thread().block_on(async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let mut tls = connect(Case::new(case.version, other), tcp).await;
        close.recv().unwrap();
        if let Timing::GoneBehind(bytes) = timing {
            tls.write_all(&vec![7; bytes]).await.unwrap();
        }
        tls.close_notify().await.unwrap();
        drop(tls);
        gone.send(()).unwrap();
    });
}

/// Returns what the close came to, as text.
async fn one(case: Case, way: Way, timing: Timing) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let ((close, may_close), (gone, is_gone)) = (mpsc::channel(), mpsc::channel());
    let peer = thread::spawn(move || peer(case, address, timing, may_close, gone));
    let (tcp, _) = listener.accept().await.unwrap();
    let mut tls = connect(case, tcp).await;
    // What the peer never reads.
    tls.write_all(&[1; 5000]).await.unwrap();
    if let Timing::Race = timing {
        close.send(()).unwrap();
    } else {
        // Read to `Pending`: what arrives from here on, only the reactor can see.
        let mut byte = [0];
        let mut read = std::pin::pin!(tls.read(&mut byte));
        let poll = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
        assert!(poll.is_pending());
        close.send(()).unwrap();
        is_gone.recv().unwrap();
    }
    let came = match way {
        Way::Bidirectional => format!("{:?}", tls.shutdown_bidirectional().await.map(|c| c.peer())),
        Way::NoDeadline => {
            let close = tls.shutdown_bidirectional().no_deadline();
            format!("{:?}", close.await.map(|c| c.peer()))
        }
        Way::Notify => match tls.close_notify().await {
            Ok(state) if state != ShutdownState::NONE => "Ok".to_owned(),
            other => format!("{other:?}"),
        },
        Way::Graceful => {
            let mut tls = GracefulStream::new(tls);
            format!("{:?}", tls.shutdown_bidirectional().await.map(|c| c.peer()))
        }
        Way::Shutdown => shutdown(GracefulStream::new(tls)).await,
        Way::Linger => {
            let mut tls = GracefulStream::new(tls);
            tls.set_policy(ClosePolicy::linger());
            let result = tls.shutdown().await;
            format!("{:?}", result.map(|()| tls.outcome().map(|c| c.peer())))
        }
    };
    peer.join().unwrap();
    came
}

async fn shutdown(mut tls: GracefulStream<TlsStream<TcpStream>>) -> String {
    match tls.shutdown().await {
        Ok(()) => "Ok".to_owned(),
        // The alert was delivered to nobody, but the transport is closed: its own error is told.
        Err(e) if tls.state() == ShutdownState::RECEIVED => format!("closed, then {:?}", e.kind()),
        Err(e) => format!("{e:?}"),
    }
}

fn run(runtime: &Runtime) {
    let clean = format!("{:?}", Ok::<_, io::Error>(PeerClose::CloseNotify));
    let lingered = format!("{:?}", Ok::<_, io::Error>(Some(PeerClose::CloseNotify)));
    for way in WAYS {
        for timing in [
            Timing::Race,
            Timing::Gone,
            Timing::GoneBehind(3000),
            Timing::GoneBehind(40_000),
        ] {
            for i in 0..RUNS / 4 {
                let case = CASES[i % 4];
                // As a task of the runtime, where it shares its turns with others.
                let came =
                    runtime.block_on(async { tokio::spawn(one(case, way, timing)).await.unwrap() });
                let expected = match way {
                    Way::Bidirectional | Way::NoDeadline | Way::Graceful => &clean,
                    Way::Linger => &lingered,
                    Way::Notify | Way::Shutdown => "Ok",
                };
                // What is unread beyond rustls's buffer hides the peer's alert from a call that
                // consumes nothing.
                let is_hidden = matches!(timing, Timing::GoneBehind(40_000))
                    && matches!(way, Way::Notify | Way::Shutdown);
                if !is_hidden {
                    assert_eq!(came, *expected, "{case:?} {way:?} {timing:?}, run {i}");
                }
            }
        }
    }
}

#[test]
fn g12_a_close_notify_in_front_of_a_reset_counts_on_a_current_thread_runtime() {
    run(&current_thread());
}

#[test]
fn g12_a_close_notify_in_front_of_a_reset_counts_on_a_multi_thread_runtime() {
    let mut builder = Builder::new_multi_thread();
    run(&builder.worker_threads(2).enable_all().build().unwrap());
}
