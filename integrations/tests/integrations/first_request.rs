//! `integrations::hyper::io` and `serve_until`, and streams that are dropped before anything was
//! written. In memory and on a paused clock where that is possible: there a grace period lasts
//! exactly as long as nothing else can happen.

use std::{
    convert::Infallible,
    future::{Ready, ready},
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use axum_server::accept::Accept;
use http_body_util::Full;
use hyper::{Request, Response, body::Bytes, body::Incoming, service::service_fn};
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use tls_listener::AsyncTls;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client, server};
use tokio_tls_shutdown::{
    ClosePolicy, CloseTracker, GracefulAcceptor, GracefulStream,
    integrations::{
        axum_server::Acceptor,
        hyper::{FirstRequest, io as hyper_io, serve_until},
    },
    is_missing_close_notify, tokio_rustls,
};

use crate::{
    servers::VERSIONS,
    support::{Case, Role, Version, in_time, pair},
};

type Stream<IO> = GracefulStream<server::TlsStream<IO>>;

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n";
const ANSWER: &str = "hello and goodbye";
const GRACE: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy, Debug)]
enum Http {
    /// hyper's own connection.
    One,
    /// hyper-util's, which finds out the version.
    Auto,
}

impl Http {
    async fn serve<IO>(self, tls: Stream<IO>, stop: impl Future<Output = ()>) -> Result<(), String>
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let service = FirstRequest::new(service_fn(hello));
        let arrived = service.arrived();
        let io = hyper_io(tls);
        match self {
            Self::One => {
                let http = hyper::server::conn::http1::Builder::new();
                let connection = http.serve_connection(io, service);
                let served = serve_until(connection, arrived, stop, GRACE).await;
                served.map_err(|e| e.to_string())
            }
            Self::Auto => {
                let http = auto::Builder::new(TokioExecutor::new());
                let connection = http.serve_connection_with_upgrades(io, service);
                let served = serve_until(connection, arrived, stop, GRACE).await;
                served.map_err(|e| e.to_string())
            }
        }
    }
}

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new(ANSWER.to_owned()))
}

fn acceptor(version: Version) -> GracefulAcceptor {
    let config = Case::new(version, Role::Server).server_config();
    GracefulAcceptor::new(Arc::new(config))
}

async fn connect<IO: AsyncRead + AsyncWrite + Unpin>(
    version: Version,
    io: IO,
) -> client::TlsStream<IO> {
    let config = Case::new(version, Role::Client).client_config();
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(pair::name(), io).await.unwrap()
}

async fn duplex(version: Version) -> (client::TlsStream<DuplexStream>, Stream<DuplexStream>) {
    let (ours, theirs) = tokio::io::duplex(65_536);
    let acceptor = acceptor(version);
    let (client, server) = tokio::join!(connect(version, theirs), acceptor.accept(ours));
    (client, server.unwrap())
}

/// Reads to `close_notify`, which it answers. Any other end is an error.
async fn rest<IO: AsyncRead + AsyncWrite + Unpin>(
    tls: &mut client::TlsStream<IO>,
) -> io::Result<String> {
    let mut rest = String::new();
    tls.read_to_string(&mut rest).await?;
    // A server that has dropped its stream does not wait for it.
    let _ = tls.shutdown().await;
    Ok(rest)
}

fn cases() -> impl Iterator<Item = (Http, Version)> {
    let https = [Http::One, Http::Auto].into_iter();
    https.flat_map(|http| VERSIONS.map(|version| (http, version)))
}

#[tokio::test(start_paused = true)]
async fn a_request_that_was_sent_before_the_stop_is_answered() {
    for (http, version) in cases() {
        for run in 0..100 {
            let (mut client, server) = duplex(version).await;
            // It lies in the pipe before the connection is polled for the first time.
            client.write_all(REQUEST).await.unwrap();
            client.flush().await.unwrap();
            let began = Instant::now();
            let serve = http.serve(server, ready(()));
            let (served, answer) = tokio::join!(serve, rest(&mut client));
            let case = format!("{http:?} {version:?} run {run}");
            served.expect(&case);
            assert!(answer.expect(&case).ends_with(ANSWER), "{case}");
            assert!(began.elapsed() < GRACE, "{case}");
        }
    }
}

/// The same over TCP, with a request that arrives when the server already stops: the handshake of
/// TLS 1.3 is done for the client before it is for the server.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_races_with_the_stop_is_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (http, version) in cases() {
        for run in 0..100 {
            let acceptor = acceptor(version);
            let client = tokio::spawn(async move {
                let tcp = TcpStream::connect(address).await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let mut tls = connect(version, tcp).await;
                tls.write_all(REQUEST).await.unwrap();
                rest(&mut tls).await
            });
            let (tcp, _) = listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let tls = acceptor.accept(tcp).await.unwrap();
            let case = format!("{http:?} {version:?} run {run}");
            let served = in_time("the connection", http.serve(tls, ready(()))).await;
            served.expect(&case);
            let answer = in_time("the client", client).await.unwrap();
            assert!(answer.expect(&case).ends_with(ANSWER), "{case}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_ends_after_the_grace_period_with_close_notify() {
    for (http, version) in cases() {
        let (mut client, server) = duplex(version).await;
        let began = Instant::now();
        let serve = http.serve(server, ready(()));
        let (_, end) = tokio::join!(serve, rest(&mut client));
        let case = format!("{http:?} {version:?}");
        assert_eq!(end.expect(&case), "", "{case}");
        let paused = began.elapsed();
        assert!(paused >= GRACE && paused < 2 * GRACE, "{case} {paused:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_stopped_at_once() {
    for (http, version) in cases() {
        let (mut client, server) = duplex(version).await;
        let (stop, stopped) = oneshot::channel::<()>();
        let stopped = async { drop(stopped.await) };
        let ask = async {
            client.write_all(REQUEST).await.unwrap();
            let mut seen = Vec::new();
            while !seen.ends_with(ANSWER.as_bytes()) {
                assert_ne!(client.read_buf(&mut seen).await.unwrap(), 0);
            }
            stop.send(()).unwrap();
            rest(&mut client).await
        };
        let began = Instant::now();
        let (served, end) = tokio::join!(http.serve(server, stopped), ask);
        let case = format!("{http:?} {version:?}");
        served.expect(&case);
        assert_eq!(end.expect(&case), "", "{case}");
        assert!(began.elapsed() < GRACE, "{case}");
    }
}

/// The second request lies in the socket when the server stops, and the runtime does not know that
/// yet: the connection is idle, and it is not.
#[tokio::test]
async fn a_later_request_that_has_arrived_before_the_stop_is_answered() {
    // In a task of its own: the runtime looks at its sockets between two turns of the main one.
    tokio::spawn(later_requests()).await.unwrap();
}

async fn later_requests() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (http, version) in cases() {
        for run in 0..100 {
            let acceptor = acceptor(version);
            let (stop, stopped) = oneshot::channel::<()>();
            let serve = async {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let tls = acceptor.accept(tcp).await.unwrap();
                http.serve(tls, async { drop(stopped.await) }).await
            };
            let ask = async {
                let tcp = TcpStream::connect(address).await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let mut tls = connect(version, tcp).await;
                tls.write_all(REQUEST).await.unwrap();
                let mut seen = Vec::new();
                while !seen.ends_with(ANSWER.as_bytes()) {
                    assert_ne!(tls.read_buf(&mut seen).await.unwrap(), 0);
                }
                tls.write_all(REQUEST).await.unwrap();
                stop.send(()).unwrap();
                rest(&mut tls).await
            };
            let case = format!("{http:?} {version:?} run {run}");
            let both = async { tokio::join!(serve, ask) };
            let (served, answer) = in_time(&case, both).await;
            served.expect(&case);
            assert!(answer.expect(&case).ends_with(ANSWER), "{case}");
        }
    }
}

/// How a stream is made for a framework.
#[derive(Clone, Copy, Debug)]
enum Way {
    Io,
    TlsListener,
    AxumServer,
}

const WAYS: [Way; 3] = [Way::Io, Way::TlsListener, Way::AxumServer];

impl Way {
    async fn pair(
        self,
        version: Version,
        policy: Option<ClosePolicy>,
        tracker: &CloseTracker,
    ) -> (client::TlsStream<DuplexStream>, Stream<DuplexStream>) {
        let (ours, theirs) = tokio::io::duplex(65_536);
        let mut acceptor = acceptor(version).with_tracker(tracker);
        if let Some(policy) = policy {
            acceptor = acceptor.with_policy(policy);
        }
        let accept = async {
            match self {
                Self::Io => hyper_io(acceptor.accept(ours).await.unwrap()).into_inner(),
                Self::TlsListener => AsyncTls::accept(&acceptor, ours).await.unwrap(),
                Self::AxumServer => {
                    let acceptor = Acceptor::new(acceptor);
                    Accept::accept(&acceptor, ours, ()).await.unwrap().0
                }
            }
        };
        tokio::join!(connect(version, theirs), accept)
    }
}

/// Whether the end of the connection was a `close_notify`.
async fn is_closed(client: &mut client::TlsStream<DuplexStream>) -> bool {
    let mut data = Vec::new();
    match in_time("the end", client.read_to_end(&mut data)).await {
        Ok(_) => true,
        Err(e) if is_missing_close_notify(&e) => false,
        Err(e) => panic!("{e}"),
    }
}

#[tokio::test]
async fn g31_a_stream_that_is_dropped_before_anything_was_written_sends_close_notify() {
    let set = [None, Some(ClosePolicy::Notify), Some(ClosePolicy::linger())];
    for way in WAYS {
        for version in VERSIONS {
            for policy in set {
                let case = format!("{way:?} {version:?} {policy:?}");
                let tracker = CloseTracker::new();
                let (mut client, server) = way.pair(version, policy, &tracker).await;
                drop(server);
                assert!(is_closed(&mut client).await, "{case}");
                let stats = tracker.stats();
                assert_eq!((stats.one_way, stats.total()), (1, 1), "{case}: {stats}");

                // A request that was sent, and partly read, changes nothing.
                let (mut client, mut server) = way.pair(version, policy, &tracker).await;
                client.write_all(REQUEST).await.unwrap();
                client.flush().await.unwrap();
                server.read_exact(&mut [0; 10]).await.unwrap();
                drop(server);
                assert!(is_closed(&mut client).await, "{case}");
            }
        }
    }
}

#[tokio::test]
async fn g31_once_something_was_written_a_drop_sends_nothing() {
    for way in WAYS {
        for version in VERSIONS {
            let case = format!("{way:?} {version:?}");
            let tracker = CloseTracker::new();
            let (mut client, mut server) = way.pair(version, None, &tracker).await;
            server.write_all(b"HTTP/1.0 200 OK\r\n").await.unwrap();
            server.flush().await.unwrap();
            drop(server);
            assert!(!is_closed(&mut client).await, "{case}");
            let stats = tracker.stats();
            assert_eq!((stats.dropped, stats.total()), (1, 1), "{case}: {stats}");
        }
    }
}

#[tokio::test]
async fn g31_a_quiet_stream_sends_nothing_when_it_is_dropped() {
    for way in WAYS {
        for version in VERSIONS {
            let tracker = CloseTracker::new();
            let quiet = Some(ClosePolicy::Quiet);
            let (mut client, server) = way.pair(version, quiet, &tracker).await;
            drop(server);
            assert!(!is_closed(&mut client).await, "{way:?} {version:?}");

            let (mut client, mut server) = way.pair(version, None, &tracker).await;
            server.set_quiet_shutdown(true);
            drop(server);
            assert!(!is_closed(&mut client).await, "{way:?} {version:?}");
        }
    }
}

#[tokio::test]
async fn g31_nothing_is_sent_during_a_panic() {
    for way in WAYS {
        for version in VERSIONS {
            let tracker = CloseTracker::new();
            let (mut client, server) = way.pair(version, None, &tracker).await;
            let panic = catch_unwind(AssertUnwindSafe(move || {
                let _server = server;
                panic!("a panic on purpose");
            }));
            assert!(panic.is_err());
            assert!(!is_closed(&mut client).await, "{way:?} {version:?}");
        }
    }
}

#[tokio::test]
async fn every_way_lingers_unless_another_policy_was_set() {
    let other = ClosePolicy::Linger {
        idle: Duration::from_secs(1),
        deadline: Duration::from_secs(2),
        discard_limit: 3,
    };
    for way in WAYS {
        let tracker = CloseTracker::new();
        for (set, has) in [
            (None, ClosePolicy::linger()),
            (Some(other), other),
            (Some(ClosePolicy::Quiet), ClosePolicy::Quiet),
        ] {
            let (_client, server) = way.pair(Version::Tls13, set, &tracker).await;
            assert_eq!(server.policy(), has, "{way:?} {set:?}");
        }
    }
}

const REFUSAL: usize = 1_000_000;

fn refuse(_: Request<Incoming>) -> Ready<Result<Response<Full<Bytes>>, Infallible>> {
    ready(Ok(Response::new(Full::new(vec![b'x'; REFUSAL].into()))))
}

/// hyper's own connection in `io`: an upload that was not read does not cost the answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_upload_gets_its_whole_answer_through_io() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for version in VERSIONS {
        let mut whole = 0;
        for _ in 0..50 {
            let acceptor = acceptor(version);
            let serve = async {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let tls = acceptor.accept(tcp).await.unwrap();
                let http = hyper::server::conn::http1::Builder::new();
                // The client may reset what it has read to its end.
                let _ = http
                    .serve_connection(hyper_io(tls), service_fn(refuse))
                    .await;
            };
            let ask = async {
                let tls = connect(version, TcpStream::connect(address).await.unwrap()).await;
                let (mut read, mut write) = tokio::io::split(tls);
                let upload = tokio::spawn(async move {
                    let head = "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                        content-length: 1000000\r\n\r\n";
                    // The server may end it.
                    let _ = write.write_all(head.as_bytes()).await;
                    let _ = write.write_all(&vec![b'x'; 1_000_000]).await;
                    let _ = write.shutdown().await;
                });
                let mut response = Vec::new();
                let end = read.read_to_end(&mut response).await;
                upload.await.unwrap();
                let head = response.windows(4).position(|part| part == b"\r\n\r\n");
                let body = head.map_or(0, |head| response.len() - head - 4);
                end.is_ok() && body == REFUSAL
            };
            let both = async { tokio::join!(serve, ask) };
            let ((), is_whole) = in_time("the exchange", both).await;
            whole += usize::from(is_whole);
        }
        assert_eq!(whole, 50, "{version:?}");
    }
}
