//! `ssl.SSLSocket.unwrap()` and plaintext glued to a close_notify (D5).

use std::sync::Arc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, TlsStream};
use tokio_tls_shutdown::{GracefulStream, RecordAligned, ShutdownExt, ShutdownState, tokio_rustls};

use crate::{
    python,
    support::{CASES, Case, PemFiles, Role, in_time, pair},
    version_name,
};

const RUNS: usize = 200;

type Tls = GracefulStream<TlsStream<RecordAligned<TcpStream>>>;

struct Handshake {
    case: Case,
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Handshake {
    fn new(case: Case) -> Self {
        Self {
            case,
            connector: Arc::new(case.client_config()).into(),
            acceptor: Arc::new(case.server_config()).into(),
        }
    }

    async fn with(&self, tcp: TcpStream) -> Tls {
        let io = RecordAligned::new(tcp);
        GracefulStream::new(match self.case.role {
            Role::Client => {
                let connect = self.connector.connect(pair::name(), io);
                connect.await.unwrap().into()
            }
            Role::Server => self.acceptor.accept(io).await.unwrap().into(),
        })
    }
}

/// The same as in `reuse.py`.
fn message(run: usize) -> Vec<u8> {
    let len = run * 13 % 3000;
    let body = (0..len).map(|i| ((run * 7 + i * i) % 256) as u8);
    let head = u32::try_from(len).unwrap().to_be_bytes();
    head.into_iter().chain(body).collect()
}

async fn assert_reads(from: &mut (impl tokio::io::AsyncRead + Unpin), message: &[u8]) {
    let mut got = vec![0; message.len()];
    from.read_exact(&mut got).await.unwrap();
    assert!(got == message);
}

async fn reuse(we_close_first: bool, glued: bool) {
    let pem = PemFiles::write();
    for case in CASES {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let role = match case.role {
            Role::Client => "server",
            Role::Server => "client",
        };
        let version = version_name(case.version);
        let first = if we_close_first { "them" } else { "us" };
        let how = if glued { "glued" } else { "socket" };
        let runs = RUNS.to_string();
        let args = [&port, role, version, first, how, &runs];
        let mut peer = python("reuse.py", &args, &pem);
        let handshake = Handshake::new(case);
        for run in 0..RUNS {
            let one_run = async {
                let (tcp, _) = listener.accept().await.unwrap();
                tcp.set_nodelay(true).unwrap();
                let mut tls = handshake.with(tcp).await;
                assert_reads(&mut tls, &message(run)).await;
                tls.write_all(&message(run + 1)).await.unwrap();
                if !we_close_first {
                    assert_eq!(tls.read(&mut [0]).await.unwrap(), 0);
                    assert_eq!(tls.state(), ShutdownState::RECEIVED);
                }
                let closed = tls.shutdown_bidirectional().await.unwrap();
                assert!(closed.is_clean(), "{case:?}: {closed:?}");
                assert_eq!(closed.discarded(), 0);

                let (mut io, mut ahead) = tls.into_transport().unwrap().into_parts();
                if glued {
                    assert_eq!(ahead, message(run + 2), "it was not glued");
                }
                let mut got = vec![0; message(run + 2).len() - ahead.len()];
                io.read_exact(&mut got).await.unwrap();
                ahead.extend(got);
                assert!(ahead == message(run + 2));
                io.write_all(&message(run + 3)).await.unwrap();
                assert_reads(&mut io, &message(run + 4)).await;
                io.write_all(&message(run + 5)).await.unwrap();
                io.shutdown().await.unwrap();
                assert_eq!(io.read(&mut [0]).await.unwrap(), 0);
            };
            tokio::select! {
                () = in_time("one run", one_run) => {}
                () = peer.fails() => {}
            }
        }
        let ended = peer.succeeds().await;
        assert!(ended.printed(format!("{RUNS} runs").as_bytes()));
    }
}

#[tokio::test]
async fn d05_python_closes_first() {
    reuse(false, false).await;
}

#[tokio::test]
async fn d05_python_closes_first_with_plaintext_glued_to_its_close_notify() {
    reuse(false, true).await;
}

#[tokio::test]
async fn d05_we_close_first() {
    reuse(true, false).await;
}

#[tokio::test]
async fn d05_we_close_first_and_python_answers_with_plaintext_glued_to_its_close_notify() {
    reuse(true, true).await;
}
