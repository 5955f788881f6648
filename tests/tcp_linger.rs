//! Lingering over real TCP: an answer sent while the request is unread arrives whole (D3, D4).
//!
//! Beside it the `shutdown()` of plain tokio-rustls, whose result is printed and not asserted.

mod support;

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use support::{Case, Role, Version, in_time, pair};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::sleep,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};
use tokio_tls_shutdown::{ClosePolicy, GracefulStream, tokio_rustls};

const RUNS: usize = 200;
const PLAIN_RUNS: usize = 20;
/// Runs at a time.
const PARALLEL: usize = 10;

const MIB: usize = 1 << 20;
/// What the server reads of a request.
const HEAD: usize = 1024;
const UNREAD: usize = 64 * 1024;

/// Wider than the default, so that a busy machine does not reach them.
const LINGER: ClosePolicy = ClosePolicy::Linger {
    idle: Duration::from_secs(25),
    deadline: Duration::from_secs(25),
    discard_limit: 64 * 1024 * 1024,
};

static ANSWER: LazyLock<Vec<u8>> =
    LazyLock::new(|| (0..4 * MIB).map(|i| (i % 251) as u8).collect());

#[derive(Clone, Copy, Debug)]
enum Client {
    /// Reads at once.
    Prompt,
    /// Goes on sending for more than 50 ms while it reads.
    UploadsOn,
    /// Begins to read when the server has long called `shutdown()`.
    ReadsLate,
}

impl Client {
    fn answer(self) -> &'static [u8] {
        match self {
            Self::Prompt => &ANSWER,
            // So that it can all lie in socket buffers.
            Self::UploadsOn | Self::ReadsLate => &ANSWER[..MIB / 2],
        }
    }

    async fn run(self, tls: TlsStream<TcpStream>) -> Seen {
        let (read, mut write) = split(tls);
        // A server that resets may have done so by now: reading tells.
        let _ = write.write_all(&[b'x'; HEAD + UNREAD]).await;
        match self {
            Self::Prompt => {
                let seen = read_answer(read, self.answer()).await;
                let _ = write.shutdown().await;
                seen
            }
            Self::UploadsOn => {
                let upload = async {
                    for _ in 0..10 {
                        sleep(Duration::from_millis(10)).await;
                        if write.write_all(&[b'x'; 16 * 1024]).await.is_err() {
                            return false;
                        }
                    }
                    write.shutdown().await.is_ok()
                };
                let (uploaded, seen) = tokio::join!(upload, read_answer(read, self.answer()));
                Seen {
                    clean: seen.clean && uploaded,
                    ..seen
                }
            }
            Self::ReadsLate => {
                sleep(Duration::from_millis(100)).await;
                let seen = read_answer(read, self.answer()).await;
                let _ = write.shutdown().await;
                seen
            }
        }
    }
}

/// What the client has of the answer.
struct Seen {
    bytes: usize,
    /// It ended with close_notify, and nothing failed.
    clean: bool,
}

async fn read_answer(mut tls: impl AsyncRead + Unpin, answer: &[u8]) -> Seen {
    let mut chunk = vec![0; 16 * 1024];
    let mut bytes = 0;
    let clean = loop {
        match tls.read(&mut chunk).await {
            Ok(0) => break true,
            Ok(n) => {
                assert!(chunk[..n] == answer[bytes..bytes + n]);
                bytes += n;
            }
            Err(_) => break false,
        }
    };
    Seen { bytes, clean }
}

/// Answers before it has read the request, closes, and drops the stream.
async fn serve(mut tls: impl AsyncRead + AsyncWrite + Unpin, answer: &[u8]) {
    tls.read_exact(&mut [0; HEAD]).await.unwrap();
    let _ = tls.write_all(answer).await;
    let _ = tls.shutdown().await;
}

#[derive(Clone)]
struct Site {
    connector: TlsConnector,
    acceptor: TlsAcceptor,
}

impl Site {
    fn new(version: Version) -> Self {
        let case = Case::new(version, Role::Server);
        let mut server = case.server_config();
        server.send_tls13_tickets = 2;
        Self {
            connector: Arc::new(case.client_config()).into(),
            acceptor: Arc::new(server).into(),
        }
    }

    async fn one_run(self, client: Client, policy: Option<ClosePolicy>) -> Seen {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            tcp.set_nodelay(true).unwrap();
            let tls = self.acceptor.accept(tcp).await.unwrap();
            match policy {
                None => serve(tls, client.answer()).await,
                Some(policy) => {
                    let mut tls = GracefulStream::new(tls);
                    tls.set_policy(policy);
                    serve(tls, client.answer()).await;
                }
            }
        });
        let tcp = TcpStream::connect(address).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let tls = self.connector.connect(pair::name(), tcp).await.unwrap();
        let seen = client.run(tls).await;
        server.await.unwrap();
        seen
    }

    async fn runs(&self, runs: usize, client: Client, policy: Option<ClosePolicy>) -> Tally {
        let mut tally = Tally::default();
        let mut running = JoinSet::new();
        let mut left = runs;
        loop {
            while left > 0 && running.len() < PARALLEL {
                let run = self.clone().one_run(client, policy);
                running.spawn(in_time("one run", run));
                left -= 1;
            }
            match running.join_next().await {
                Some(seen) => tally.add(&seen.unwrap(), client),
                None => return tally,
            }
        }
    }
}

#[derive(Default)]
struct Tally {
    runs: usize,
    whole: usize,
    bytes: usize,
}

impl Tally {
    fn add(&mut self, seen: &Seen, client: Client) {
        self.runs += 1;
        self.bytes += seen.bytes;
        self.whole += usize::from(seen.clean && seen.bytes == client.answer().len());
    }
}

async fn all_answers_arrive_whole(client: Client) {
    for version in [Version::Tls12, Version::Tls13] {
        let site = Site::new(version);
        for (name, policy, runs) in [
            ("plain tokio-rustls", None, PLAIN_RUNS),
            ("Linger", Some(LINGER), RUNS),
        ] {
            let tally = site.runs(runs, client, policy).await;
            let percent = 100 * tally.bytes / (tally.runs * client.answer().len());
            let Tally { whole, runs, .. } = tally;
            println!("{client:?}, {version:?}, {name}: {whole} of {runs} whole, {percent} %");
            if policy.is_some() {
                assert_eq!((whole, runs), (RUNS, RUNS));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d03_an_answer_arrives_whole_although_the_request_is_unread() {
    all_answers_arrive_whole(Client::Prompt).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d04_an_answer_arrives_whole_although_the_upload_goes_on() {
    all_answers_arrive_whole(Client::UploadsOn).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn d03_an_answer_arrives_whole_although_it_is_read_late() {
    all_answers_arrive_whole(Client::ReadsLate).await;
}
