//! The original as the peer: `openssl s_server` and `openssl s_client`.

mod support;

use std::sync::Arc;

use support::{CASES, Case, PemFiles, Program, Role, Version, in_time, pair, program::Ended};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsAcceptor, TlsConnector, TlsStream,
    rustls::{ClientConfig, HandshakeKind, ServerConfig},
};
use tokio_tls_shutdown::{
    GracefulStream, PeerClose, ShutdownExt, ShutdownState, is_missing_close_notify, tokio_rustls,
};

type Tls = GracefulStream<TlsStream<TcpStream>>;

/// What `-state` prints of the alerts.
const READ_CLOSE_NOTIFY: &str = "alert read:warning:close notify";
const WROTE_CLOSE_NOTIFY: &str = "alert write:warning:close notify";

fn openssl(command: &str, case: Case, args: &[&str]) -> Program {
    let version = match case.version {
        Version::Tls12 => "-tls1_2",
        Version::Tls13 => "-tls1_3",
    };
    let args = [&[command, version, "-state"], args].concat();
    Program::start("openssl", "openssl", args)
}

struct Server {
    program: Program,
    address: String,
    config: Arc<ClientConfig>,
}

impl Server {
    async fn start(case: Case, args: &[&str]) -> Self {
        let pem = PemFiles::write();
        let identity = [
            "-accept",
            "127.0.0.1:0",
            "-cert",
            pem.certificate.path().to_str().unwrap(),
            "-key",
            pem.key.path().to_str().unwrap(),
        ];
        let mut program = openssl("s_server", case, &[&identity, args].concat());
        // Only then has it read the files.
        let address = program.line("ACCEPT ").await;
        Self {
            program,
            address,
            config: Arc::new(case.client_config()),
        }
    }

    async fn connect(&self) -> Tls {
        let tcp = TcpStream::connect(&self.address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let connect = TlsConnector::from(self.config.clone()).connect(pair::name(), tcp);
        GracefulStream::new(in_time("handshake", connect).await.unwrap().into())
    }
}

struct Listener {
    listener: TcpListener,
    case: Case,
    config: Arc<ServerConfig>,
}

impl Listener {
    async fn bind(case: Case) -> Self {
        let mut config = case.server_config();
        config.send_tls13_tickets = 2;
        Self {
            listener: TcpListener::bind("127.0.0.1:0").await.unwrap(),
            case,
            config: Arc::new(config),
        }
    }

    async fn accept(&self, args: &[&str]) -> (Tls, Program) {
        let pem = PemFiles::write();
        let address = self.listener.local_addr().unwrap().to_string();
        let target = [
            "-connect",
            &address,
            "-verify_return_error",
            "-CAfile",
            pem.certificate.path().to_str().unwrap(),
        ];
        let client = openssl("s_client", self.case, &[&target, args].concat());
        let (tcp, _) = in_time("accept", self.listener.accept()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let accept = TlsAcceptor::from(self.config.clone()).accept(tcp);
        let tls = in_time("handshake", accept).await.unwrap();
        (GracefulStream::new(tls.into()), client)
    }
}

/// A connection with OpenSSL in the other role, which ends when the connection does.
async fn connection(case: Case) -> (Tls, Program) {
    match case.role {
        Role::Client => {
            let server = Server::start(case, &["-naccept", "1"]).await;
            (server.connect().await, server.program)
        }
        Role::Server => Listener::bind(case).await.accept(&[]).await,
    }
}

/// Lines of digits: `openssl` takes some letters for commands.
fn digits(lines: usize) -> Vec<u8> {
    (0..lines)
        .flat_map(|i| format!("{i:063}\n").into_bytes())
        .collect()
}

#[track_caller]
fn assert_each_alert_once(ended: &Ended) {
    for alert in [READ_CLOSE_NOTIFY, WROTE_CLOSE_NOTIFY] {
        assert_eq!(ended.stderr.matches(alert).count(), 1, "{}", ended.stderr);
    }
    assert_eq!(ended.stderr.matches(" alert ").count(), 2);
    assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
}

#[tokio::test]
async fn a_bidirectional_close_is_clean_for_both() {
    for case in CASES {
        let (mut tls, peer) = connection(case).await;
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean(), "{case:?}: {closed:?}");
        assert_eq!(tls.state(), ShutdownState::COMPLETE);
        drop(tls);
        assert_each_alert_once(&peer.succeeds().await);
    }
}

#[tokio::test]
async fn close_notify_and_shutdown_together_are_still_one_alert() {
    for case in CASES {
        let (mut tls, peer) = connection(case).await;
        assert!(tls.close_notify().await.is_ok());
        tls.shutdown().await.unwrap();
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean(), "{case:?}: {closed:?}");
        drop(tls);
        assert_each_alert_once(&peer.succeeds().await);
    }
}

#[tokio::test]
async fn a_stream_that_is_dropped_unclosed_is_cut_off_for_openssl() {
    for case in CASES {
        let (mut tls, mut peer) = connection(case).await;
        tls.write_all(b"0123\n").await.unwrap();
        peer.prints(b"0123\n").await;
        // Unread tickets would make it a reset.
        AsyncWriteExt::shutdown(tls.get_mut().get_mut().0)
            .await
            .unwrap();
        peer.complains("unexpected eof while reading").await;
        let ended = peer.ends().await;
        assert!(!ended.stderr.contains(READ_CLOSE_NOTIFY));
    }
}

#[tokio::test]
async fn last_data_and_close_notify_in_one_write_arrive() {
    for case in CASES {
        let (mut tls, peer) = connection(case).await;
        let data = digits(200);
        tls.close_notify_with(&data).await.unwrap();
        assert!(tls.shutdown_bidirectional().await.unwrap().is_clean());
        drop(tls);
        let ended = peer.succeeds().await;
        assert!(ended.printed(&data));
        assert_each_alert_once(&ended);
    }
}

#[tokio::test]
async fn data_in_flight_both_ways_arrives_whole() {
    for case in CASES {
        let (tls, mut peer) = connection(case).await;
        let data = digits(16_384);
        let (mut read, mut write) = tokio::io::split(tls);
        let receive = async {
            let mut got = vec![0; data.len()];
            read.read_exact(&mut got).await.unwrap();
            assert!(got == data, "{case:?}");
        };
        let send = async { write.write_all(&data).await.unwrap() };
        in_time("transfer", async {
            tokio::join!(receive, send, peer.say(&data))
        })
        .await;
        let mut tls = read.unsplit(write);
        assert!(tls.shutdown_bidirectional().await.unwrap().is_clean());
        drop(tls);
        let ended = peer.succeeds().await;
        assert!(ended.printed(&data), "{case:?}");
        assert_each_alert_once(&ended);
    }
}

#[tokio::test]
async fn b08_what_openssl_sends_unread_is_counted() {
    for case in CASES {
        let (mut tls, mut peer) = connection(case).await;
        peer.say(b"0123456789\n").await;
        let mut first = [0];
        in_time("first byte", tls.read_exact(&mut first))
            .await
            .unwrap();
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean());
        assert_eq!(closed.discarded(), 10);
        drop(tls);
        assert_each_alert_once(&peer.succeeds().await);
    }
}

#[tokio::test]
async fn half_close_leaves_the_answers_of_s_server_readable() {
    for case in CASES.into_iter().filter(|case| case.role == Role::Client) {
        // It answers each line with its reverse.
        let server = Server::start(case, &["-rev", "-naccept", "1"]).await;
        let tls = server.connect().await;
        let lines = digits(4096);
        let (mut read, mut write) = tokio::io::split(tls);
        let ask = async {
            write.write_all(&lines).await.unwrap();
            // The FIN goes out as well.
            write.shutdown().await.unwrap();
        };
        let mut answers = Vec::new();
        in_time("answers", async {
            tokio::join!(ask, async { read.read_to_end(&mut answers).await.unwrap() })
        })
        .await;
        let reversed: Vec<u8> = (lines.split_inclusive(|&byte| byte == b'\n'))
            .flat_map(|line| line[..63].iter().rev().chain(b"\n").copied())
            .collect();
        assert!(answers == reversed, "{case:?}");
        let mut tls = read.unsplit(write);
        assert_eq!(tls.state(), ShutdownState::COMPLETE);
        assert_each_alert_once(&server.program.succeeds().await);
    }
}

#[tokio::test]
async fn half_close_leaves_what_openssl_has_sent_readable() {
    for case in CASES {
        let (mut tls, mut peer) = connection(case).await;
        peer.say(b"0123456789\n").await;
        let mut text = vec![0];
        in_time("first byte", tls.read_exact(&mut text))
            .await
            .unwrap();
        assert_eq!(tls.close_notify().await.unwrap(), ShutdownState::SENT);
        in_time("the rest", tls.read_to_end(&mut text))
            .await
            .unwrap();
        assert_eq!(text, b"0123456789\n");
        assert_eq!(tls.state(), ShutdownState::COMPLETE);
        drop(tls);
        assert_each_alert_once(&peer.succeeds().await);
    }
}

#[tokio::test]
async fn b01_openssl_closes_first() {
    for case in CASES {
        let (mut tls, peer, answer) = match case.role {
            // Answers a request with a page and closes.
            Role::Client => {
                let server = Server::start(case, &["-www", "-naccept", "1"]).await;
                let mut tls = server.connect().await;
                tls.write_all(b"GET / HTTP/1.0\r\n\r\n").await.unwrap();
                (tls, server.program, &b"HTTP/1.0 200 ok\r\n"[..])
            }
            Role::Server => {
                let (tls, mut client) = Listener::bind(case).await.accept(&[]).await;
                client.say(b"0123456789\n").await;
                client.close_stdin();
                (tls, client, &b"0123456789\n"[..])
            }
        };
        let mut text = Vec::new();
        in_time("answer", tls.read_to_end(&mut text)).await.unwrap();
        assert!(text.starts_with(answer), "{case:?}");
        assert!(tls.received_close_notify());
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean());
        assert_eq!(closed.discarded(), 0);
        drop(tls);
        let ended = peer.succeeds().await;
        assert_eq!(ended.stderr.matches(WROTE_CLOSE_NOTIFY).count(), 1);
        assert!(!ended.stderr.contains("error"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn b14_s_server_leaves_without_close_notify() {
    for case in CASES.into_iter().filter(|case| case.role == Role::Client) {
        let (mut tls, mut peer) = connection(case).await;
        peer.say(b"Q\n").await;
        let error = in_time("the end", tls.read(&mut [0])).await.unwrap_err();
        assert!(is_missing_close_notify(&error), "{error:?}");
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert_eq!(closed.peer(), PeerClose::Eof);
        assert!(closed.require_clean().is_err());
        assert_eq!(tls.state(), ShutdownState::SENT);
        peer.ends().await;
    }
}

#[tokio::test]
async fn e02_a_client_that_never_reads_resumes_500_times_of_500_after_a_bidirectional_close() {
    for case in CASES.into_iter().filter(|case| case.role == Role::Client) {
        let server = Server::start(case, &["-naccept", "501"]).await;
        for attempt in 0..501 {
            let mut tls = server.connect().await;
            let kind = tls.get_ref().get_ref().1.handshake_kind();
            match attempt {
                0 => assert_eq!(kind, Some(HandshakeKind::Full)),
                _ => assert_eq!(kind, Some(HandshakeKind::Resumed), "{case:?} {attempt}"),
            }
            tls.write_all(b"0123\n").await.unwrap();
            let closed = tls.shutdown_bidirectional().await.unwrap();
            assert!(closed.is_clean());
            assert_eq!(closed.tickets() > 0, case.is_tls13(), "{closed:?}");
        }
        server.program.succeeds().await;
    }
}

#[tokio::test]
async fn e01_s_client_resumes_after_our_bidirectional_close() {
    for case in CASES.into_iter().filter(|case| case.role == Role::Server) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("session");
        let file = file.to_str().unwrap();
        let listener = Listener::bind(case).await;

        let (mut tls, client) = listener.accept(&["-sess_out", file]).await;
        assert!(tls.shutdown_bidirectional().await.unwrap().is_clean());
        drop(tls);
        client.succeeds().await;

        let (mut tls, client) = listener.accept(&["-sess_in", file]).await;
        let kind = tls.get_ref().get_ref().1.handshake_kind();
        assert_eq!(kind, Some(HandshakeKind::Resumed), "{case:?}");
        assert!(tls.shutdown_bidirectional().await.unwrap().is_clean());
        drop(tls);
        let ended = client.succeeds().await;
        assert!(ended.printed(b"Reused, TLSv1."));
    }
}
