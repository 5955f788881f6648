//! A server that stops with two thousand connections in all states. In memory and on a paused
//! clock, so that the deadline is reached only when nothing can move any more.

use std::{
    collections::HashMap,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use allocation_counter::measure;
use axum::{
    Router,
    body::Body,
    extract::WebSocketUpgrade,
    response::Response,
    routing::{any, get, post},
};
use futures_util::{SinkExt, StreamExt};
use http_body_util::channel::Channel;
use hyper::body::Bytes;
use tls_listener::{AsyncAccept, AsyncListener, TlsListener};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tls_shutdown::{CloseTracker, DrainReport, GracefulAcceptor, tokio_rustls};
use tokio_tungstenite::{client_async, tungstenite::Message};

use crate::{
    servers::{LAYERS, Server, VERSIONS},
    support::{Case, Role, Version, in_time, pair},
};

/// What a client is about when the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    Handshake,
    Idle,
    Response,
    EndlessResponse,
    Upload,
    EndlessUpload,
    WebSocket,
    EndlessWebSocket,
}

/// With how many clients of it there are.
const STATES: [(State, usize); 8] = [
    (State::Handshake, 200),
    (State::Idle, 800),
    (State::Response, 200),
    (State::EndlessResponse, 200),
    (State::Upload, 200),
    (State::EndlessUpload, 200),
    (State::WebSocket, 100),
    (State::EndlessWebSocket, 100),
];

const HALF: &str = "the first half, ";

/// A listener whose connections are made by hand.
struct Pipes(mpsc::UnboundedReceiver<DuplexStream>);

impl AsyncAccept for Pipes {
    type Connection = DuplexStream;
    type Address = ();
    type Error = io::Error;

    fn poll_accept(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(DuplexStream, ())>> {
        match self.0.poll_recv(cx) {
            Poll::Ready(Some(pipe)) => Poll::Ready(Ok((pipe, ()))),
            _ => Poll::Pending,
        }
    }
}

impl AsyncListener for Pipes {
    fn local_addr(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Answers the second half once the server stops, or never.
fn halves(stopping: watch::Receiver<bool>) -> Body {
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let mut stopping = stopping;
        let _ = sender.send_data(HALF.into()).await;
        if stopping.wait_for(|stopping| *stopping).await.is_ok() {
            let _ = sender.send_data("and the second".into()).await;
        }
    });
    Body::new(body)
}

async fn hear_out(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message)) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

fn app(stopping: watch::Receiver<bool>, never: watch::Receiver<bool>) -> Router {
    Router::new()
        .route("/", get(async || "hello and goodbye"))
        .route("/response", get(async || halves(stopping)))
        .route("/endless", get(async || halves(never)))
        .route("/upload", post(async |body: String| body.len().to_string()))
        .route("/socket", any(hear_out))
}

struct Client {
    state: State,
    io: DuplexStream,
    connector: TlsConnector,
    ready: mpsc::UnboundedSender<()>,
    stopping: watch::Receiver<bool>,
}

impl Client {
    /// Gets into its state, waits for the stop, and tells whether all went as it should.
    async fn run(mut self) -> bool {
        match self.state {
            State::Handshake => {
                self.io.write_all(b"\x16\x03\x01").await.unwrap();
                self.stopped().await;
                let mut nothing = Vec::new();
                self.io.read_to_end(&mut nothing).await.is_ok() && nothing.is_empty()
            }
            State::Idle => {
                let mut tls = self.request("GET / HTTP/1.1", "", "goodbye").await;
                self.stopped().await;
                rest(&mut tls).await.is_ok_and(|rest| rest.is_empty())
            }
            State::Response => {
                let mut tls = self.request("GET /response HTTP/1.1", "", HALF).await;
                self.stopped().await;
                let rest = rest(&mut tls).await;
                rest.is_ok_and(|rest| rest.ends_with("and the second\r\n0\r\n\r\n"))
            }
            State::EndlessResponse => {
                let mut tls = self.request("GET /endless HTTP/1.1", "", HALF).await;
                self.stopped().await;
                !rest(&mut tls)
                    .await
                    .unwrap_or_default()
                    .contains("0\r\n\r\n")
            }
            State::Upload | State::EndlessUpload => {
                let headers = "content-length: 1000\r\nexpect: 100-continue\r\n";
                let line = "POST /upload HTTP/1.1";
                let mut tls = self.request(line, headers, "100 Continue\r\n\r\n").await;
                tls.write_all(&[b'x'; 500]).await.unwrap();
                self.stopped().await;
                if self.state == State::EndlessUpload {
                    return !rest(&mut tls).await.unwrap_or_default().contains("200 OK");
                }
                tls.write_all(&[b'x'; 500]).await.unwrap();
                let rest = rest(&mut tls).await;
                rest.is_ok_and(|rest| rest.contains("200 OK") && rest.ends_with("\r\n\r\n1000"))
            }
            State::WebSocket | State::EndlessWebSocket => {
                let tls = self.shake_hands().await;
                let (mut socket, _) = client_async("wss://localhost/socket", tls).await.unwrap();
                socket.send(Message::text("one")).await.unwrap();
                assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("one"));
                self.stopped().await;
                socket.send(Message::text("two")).await.unwrap();
                let echo = socket.next().await.unwrap().unwrap();
                if self.state == State::WebSocket {
                    socket.close(None).await.unwrap();
                }
                // To its end, whichever that is.
                while let Some(Ok(_)) = socket.next().await {}
                echo == Message::text("two")
            }
        }
    }

    async fn shake_hands(&mut self) -> TlsStream<DuplexStream> {
        let io = std::mem::replace(&mut self.io, tokio::io::duplex(1).0);
        self.connector.connect(pair::name(), io).await.unwrap()
    }

    /// Sends a request and reads until `part` of the response is there.
    async fn request(&mut self, line: &str, headers: &str, part: &str) -> TlsStream<DuplexStream> {
        let mut tls = self.shake_hands().await;
        let head = format!("{line}\r\nhost: localhost\r\n{headers}\r\n");
        tls.write_all(head.as_bytes()).await.unwrap();
        let mut seen = Vec::new();
        while !seen.windows(part.len()).any(|end| end == part.as_bytes()) {
            assert_ne!(tls.read_buf(&mut seen).await.unwrap(), 0, "{line}");
        }
        tls
    }

    async fn stopped(&mut self) {
        self.ready.send(()).unwrap();
        self.stopping.wait_for(|stopping| *stopping).await.unwrap();
    }
}

/// Reads to close_notify and answers it.
async fn rest(tls: &mut TlsStream<DuplexStream>) -> io::Result<String> {
    let mut rest = String::new();
    tls.read_to_string(&mut rest).await?;
    tls.shutdown().await?;
    Ok(rest)
}

/// Serves two thousand connections and drains them.
async fn drain_two_thousand(version: Version) -> DrainReport {
    let tracker = CloseTracker::new();
    let config = Case::new(version, Role::Server).server_config();
    let acceptor = GracefulAcceptor::new(Arc::new(config)).with_tracker(&tracker);
    let (connect, pipes) = mpsc::unbounded_channel();
    let (stop, stopping) = watch::channel(false);
    let (_never, never) = watch::channel(false);
    let mut stopped = stopping.clone();
    let listener = TlsListener::new(acceptor, Pipes(pipes));
    let serve =
        axum::serve(listener, app(stopping.clone(), never)).with_graceful_shutdown(async move {
            let _ = stopped.wait_for(|stopped| *stopped).await;
        });
    let served = tokio::spawn(serve.into_future());

    let config = Arc::new(Case::new(version, Role::Client).client_config());
    let (ready, mut readies) = mpsc::unbounded_channel();
    let mut clients = JoinSet::new();
    let mut all = 0;
    for (state, count) in STATES {
        all += count;
        for _ in 0..count {
            let (io, theirs) = tokio::io::duplex(16_384);
            connect.send(theirs).unwrap();
            let client = Client {
                state,
                io,
                connector: config.clone().into(),
                ready: ready.clone(),
                stopping: stopping.clone(),
            };
            clients.spawn(async move { (state, client.run().await) });
        }
    }
    for _ in 0..all {
        in_time("a client", readies.recv()).await.unwrap();
    }
    assert_eq!((all, tracker.len()), (2000, 2000));

    stop.send_replace(true);
    let report = tracker.drain(Duration::from_secs(2)).await;
    in_time("the server", served).await.unwrap().unwrap();

    let mut good = HashMap::new();
    while let Some(client) = in_time("a client", clients.join_next()).await {
        let (state, is_good) = client.unwrap();
        *good.entry(state).or_default() += usize::from(is_good);
    }
    assert_eq!(good, HashMap::from(STATES), "{version:?}");
    report
}

#[test]
fn f09_a_drain_ends_two_thousand_connections_and_counts_each() {
    for version in VERSIONS {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().start_paused(true).build().unwrap();
        let drain = || runtime.block_on(drain_two_thousand(version));
        let report = drain();
        assert_eq!(report.open_before, 2000, "{report}");
        assert_eq!(report.closed.total(), 2000, "{report}");
        assert_eq!(report.still_open, 0, "{report}");
        // Idle ones, and those that could finish.
        assert_eq!(report.closed.clean, 1200, "{report}");
        // What can never finish.
        assert_eq!(
            (report.aborted, report.closed.aborted),
            (500, 500),
            "{report}"
        );
        // Handshakes when their listener went, and the WebSockets that their clients have closed:
        // axum drops those as they are.
        assert_eq!(report.closed.dropped, 300, "{report}");

        // The first time has filled what is filled once.
        let memory = measure(|| {
            drain();
        });
        assert!(memory.bytes_max > 20_000_000, "{version:?} {memory:?}");
        assert!(memory.bytes_current < 100_000, "{version:?} {memory:?}");
    }
}

#[tokio::test]
async fn a_drain_ends_connections_that_linger() {
    for layer in LAYERS {
        for version in VERSIONS {
            let refuse = post(async || "no, thank you");
            let server = Server::start(layer, version, Router::new().route("/", refuse)).await;
            let mut tls = server.connect("http/1.1").await;
            let half = b"POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                content-length: 1000000\r\n\r\nthe first half";
            tls.write_all(half).await.unwrap();
            let mut response = String::new();
            let read = tls.read_to_string(&mut response);
            in_time("the response", read).await.unwrap();
            assert!(response.ends_with("no, thank you"), "{response}");
            // Closed for the client, and the server waits for the rest of its upload.
            let report = server.drain(Duration::ZERO).await;
            let case = format!("{layer:?} {version:?} {report}");
            assert_eq!((report.aborted, report.closed.total()), (1, 1), "{case}");
            assert_eq!(report.still_open, 0, "{case}");
        }
    }
}
