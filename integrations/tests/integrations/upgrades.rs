//! Connections that are no longer HTTP.

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, WebSocketUpgrade, ws},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::server::TlsStream;
use tokio_tls_shutdown::{
    ClosePolicy, GracefulAcceptor, GracefulConnector, integrations, tokio_rustls,
};
use tokio_tungstenite::{WebSocketStream, client_async, tungstenite::Message};

use crate::{
    servers::{LAYERS, Server, VERSIONS},
    support::{Case, Role, in_time, pair},
};

async fn echo_messages(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message @ ws::Message::Text(_))) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

/// Sends `text` and waits for its echo; `None` at the end.
async fn echoed<S>(socket: &mut WebSocketStream<S>, text: &str) -> Option<String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    use futures_util::{SinkExt, StreamExt};
    socket.send(Message::text(text)).await.ok()?;
    let message = in_time("the echo", socket.next()).await?.ok()?;
    Some(message.into_text().unwrap().to_string())
}

#[tokio::test]
async fn f07_a_websocket_is_tracked_and_goes_on_while_the_server_drains() {
    for layer in LAYERS {
        for version in VERSIONS {
            let app = Router::new().route("/", get(echo_messages));
            let server = Server::start(layer, version, app).await;
            let tls = server.connect("http/1.1").await;
            let (mut socket, _) = client_async("wss://localhost/", tls).await.unwrap();
            assert_eq!(echoed(&mut socket, "one").await.as_deref(), Some("one"));
            assert_eq!(server.tracker.len(), 1, "{layer:?} {version:?}");

            let tracker = server.tracker.clone();
            let (go_on, wait) = tokio::sync::oneshot::channel();
            let drain = tokio::spawn(async move {
                server.stop();
                let until = async { wait.await.unwrap() };
                tokio::select! {
                    () = server.tracker.wait() => panic!("the WebSocket is open"),
                    () = until => {}
                }
                server.drain(Duration::ZERO).await
            });
            assert_eq!(echoed(&mut socket, "two").await.as_deref(), Some("two"));
            go_on.send(()).unwrap();
            let report = drain.await.unwrap();
            assert_eq!(report.open_before, 1, "{layer:?} {version:?}");
            assert_eq!(
                (report.aborted, report.still_open),
                (1, 0),
                "{layer:?} {report}"
            );
            assert_eq!(tracker.stats().aborted, 1, "{layer:?} {version:?}");
            assert_eq!(echoed(&mut socket, "three").await, None);
        }
    }
}

/// Echoes bytes until the client closes, then closes.
async fn echo_bytes(mut request: Request) -> impl IntoResponse {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        let upgraded = upgrade.await.unwrap();
        // A stream of another kind is not in there.
        let upgraded =
            integrations::hyper::downcast::<TlsStream<tokio::io::DuplexStream>>(upgraded)
                .expect_err("downcast to another type");
        let (mut tls, read) =
            integrations::hyper::downcast::<TlsStream<TcpStream>>(upgraded).unwrap();
        assert_eq!(tls.policy(), ClosePolicy::Notify);
        tls.write_all(&read).await.unwrap();
        let mut rest = Vec::new();
        tls.read_to_end(&mut rest).await.unwrap();
        tls.write_all(&rest).await.unwrap();
        tls.shutdown().await.unwrap();
    });
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "echo")];
    (StatusCode::SWITCHING_PROTOCOLS, headers)
}

#[tokio::test]
async fn f07_an_upgraded_stream_can_be_had_with_another_policy_and_nothing_is_lost() {
    for layer in LAYERS {
        for version in VERSIONS {
            let app = Router::new().route("/", get(echo_bytes));
            let server = Server::start(layer, version, app).await;
            let mut tls = server.connect("http/1.1").await;
            let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                upgrade: echo\r\n\r\nright behind the request, ";
            tls.write_all(request).await.unwrap();
            tls.write_all(b"and later").await.unwrap();
            tls.shutdown().await.unwrap();
            let mut response = Vec::new();
            in_time("the echo", tls.read_to_end(&mut response))
                .await
                .unwrap();
            let response = String::from_utf8(response).unwrap();
            assert!(response.starts_with("HTTP/1.1 101"), "{response}");
            let echo = "\r\n\r\nright behind the request, and later";
            assert!(response.ends_with(echo), "{layer:?} {version:?} {response}");
            let tracker = server.tracker.clone();
            server.drain(Duration::from_secs(20)).await;
            assert_eq!(tracker.stats().clean, 1, "{layer:?} {}", tracker.stats());
        }
    }
}

/// Without the `auto` builder, which wraps the stream once more.
#[tokio::test]
async fn f07_it_can_be_had_from_hypers_own_connection_too() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for version in VERSIONS {
        let server = Arc::new(Case::new(version, Role::Server).server_config());
        let client = Arc::new(Case::new(version, Role::Client).client_config());
        let acceptor = GracefulAcceptor::new(server).with_policy(ClosePolicy::linger());
        let serve = async {
            let (tcp, _) = listener.accept().await.unwrap();
            let tls = acceptor.accept(tcp).await.unwrap();
            let app = Router::new().route("/", get(echo_bytes));
            hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(tls), TowerToHyperService::new(app))
                .with_upgrades()
                .await
                .unwrap();
        };
        let ask = async {
            let tcp = TcpStream::connect(address).await.unwrap();
            let mut tls = GracefulConnector::new(client)
                .connect(pair::name(), tcp)
                .await
                .unwrap();
            let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                upgrade: echo\r\n\r\nright behind the request";
            tls.write_all(request).await.unwrap();
            tls.shutdown().await.unwrap();
            let mut response = Vec::new();
            tls.read_to_end(&mut response).await.unwrap();
            response
        };
        let ((), response) = in_time("the echo", async { tokio::join!(serve, ask) }).await;
        assert!(response.ends_with(b"\r\n\r\nright behind the request"));
    }
}

const ANSWER: usize = 1_000_000;

/// Becomes the owner of an upgraded stream, only writes to it, and closes.
async fn write_only(mut request: Request) -> impl IntoResponse {
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        // hyper's connection has read until it had to wait. Nobody else reads from here on.
        let mut io = TokioIo::new(upgrade.await.unwrap());
        let _ = io.write_all(&vec![b'x'; ANSWER]).await;
        let _ = io.shutdown().await;
    });
    // As a handler that asks a database: the client's bytes arrive meanwhile.
    tokio::task::yield_now().await;
    let headers = [(header::CONNECTION, "upgrade"), (header::UPGRADE, "x")];
    (StatusCode::SWITCHING_PROTOCOLS, headers)
}

/// 20 times, or `INTEGRATIONS_RUNS`. The client writes 4 MB before it reads to the end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g13_an_upgraded_stream_that_only_writes_gets_every_byte_through() {
    let runs = std::env::var("INTEGRATIONS_RUNS").map_or(20, |runs| runs.parse().unwrap());
    for layer in LAYERS {
        for version in VERSIONS {
            let app = Router::new().route("/", get(write_only));
            let server = Server::start(layer, version, app).await;
            let mut whole = 0;
            for _ in 0..runs {
                let mut tls = server.connect("http/1.1").await;
                let request = b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\n\
                    upgrade: x\r\n\r\n";
                tls.write_all(request).await.unwrap();
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(in_time("the head", tls.read_u8()).await.unwrap());
                }
                let (mut read, mut write) = tokio::io::split(tls);
                let upload = tokio::spawn(async move {
                    for _ in 0..64 {
                        // The server may end it.
                        if write.write_all(&[b'x'; 65_536]).await.is_err() {
                            break;
                        }
                    }
                    write
                });
                let mut answer = Vec::new();
                let end = in_time("the answer", read.read_to_end(&mut answer)).await;
                let mut write = in_time("the upload", upload).await.unwrap();
                whole += usize::from(end.is_ok() && answer.len() == ANSWER);
                let _ = write.shutdown().await;
            }
            assert_eq!(whole, runs, "{layer:?} {version:?}");
            let report = server.drain(Duration::from_secs(20)).await;
            assert_eq!(report.aborted, 0, "{layer:?} {version:?} {report}");
        }
    }
}

/// Both sides linger, and both have written until nothing went any more. In memory and on a paused
/// clock: if one waited for the other, a bound would have to pass.
#[tokio::test(start_paused = true)]
async fn g13_two_lingering_peers_with_full_buffers_finish() {
    use std::{future::poll_fn, pin::Pin, task::Poll};
    use tokio::io::AsyncWrite;

    async fn fill(mut io: impl AsyncWrite + Unpin) -> usize {
        let mut written = 0;
        poll_fn(|cx| {
            loop {
                match Pin::new(&mut io).poll_write(cx, &[b'x'; 10_000]) {
                    Poll::Ready(n) => written += n.unwrap(),
                    Poll::Pending => return Poll::Ready(written),
                }
            }
        })
        .await
    }
    for version in VERSIONS {
        let acceptor =
            GracefulAcceptor::new(Arc::new(Case::new(version, Role::Server).server_config()));
        let connector =
            GracefulConnector::new(Arc::new(Case::new(version, Role::Client).client_config()));
        let (ours, theirs) = tokio::io::duplex(16_384);
        let (client, server) = tokio::join!(
            connector
                .with_policy(ClosePolicy::linger())
                .connect(pair::name(), ours),
            acceptor.accept(theirs)
        );
        let mut client = TokioIo::new(client.unwrap());
        let mut server = integrations::hyper::io(server.unwrap());
        let written = (
            fill(client.inner_mut()).await,
            fill(server.inner_mut()).await,
        );
        assert!(written.0 > 16_384 && written.1 > 16_384, "{written:?}");
        let began = tokio::time::Instant::now();
        let (ours, theirs) = in_time("the close", async {
            tokio::join!(client.inner_mut().shutdown(), server.inner_mut().shutdown())
        })
        .await;
        ours.unwrap();
        theirs.unwrap();
        assert_eq!(began.elapsed(), Duration::ZERO, "{version:?}");
        for closed in [client.inner().outcome(), server.inner().outcome()] {
            let closed = closed.unwrap();
            assert!(closed.is_clean(), "{version:?} {closed:?}");
        }
    }
}
