//! hyper's defect: a response that is lost because the request was not read to its end.

use std::{fmt, sync::Arc, time::Duration};

use axum::{Router, extract::Path, http::Request, routing::post};
use http_body_util::{BodyExt, Full};
use hyper::{body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{Notify, Semaphore},
    task::JoinSet,
};

use crate::{
    servers::{LAYERS, Layer, Server, VERSIONS},
    support::{Version, in_time},
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Http {
    One,
    Two,
}

#[derive(Clone, Copy)]
struct Exchange {
    layer: Layer,
    version: Version,
    http: Http,
    upload: usize,
    answer: usize,
}

impl fmt::Display for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?}, {:?}, HTTP/{}, {} kB up, {} MB down",
            self.layer,
            self.version,
            if self.http == Http::One { 1 } else { 2 },
            self.upload / 1000,
            self.answer / 1_000_000,
        )
    }
}

impl Exchange {
    /// Makes it once, and returns how many bytes of the answer have arrived.
    async fn make(self) -> usize {
        let server = Server::start_with(self.layer, self.version, |stop| self.app(stop)).await;
        let arrived = in_time("the response", async {
            match self.http {
                Http::One => self.over_http1(&server).await,
                Http::Two => self.over_http2(&server).await,
            }
        });
        let arrived = arrived.await;
        server.drain(Duration::from_secs(30)).await;
        arrived
    }

    /// Answers without having read the body. An HTTP/2 connection closes only if it is told to.
    fn app(self, stop: Arc<Notify>) -> Router {
        let answer = move |Path(bytes): Path<usize>| async move {
            if self.http == Http::Two {
                stop.notify_one();
            }
            vec![b'x'; bytes]
        };
        Router::new().route("/{bytes}", post(answer))
    }

    async fn over_http1(self, server: &Server) -> usize {
        let (mut read, mut write) = tokio::io::split(server.connect("http/1.1").await);
        let head = format!(
            "POST /{} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\
             connection: close\r\n\r\n",
            self.answer, self.upload
        );
        let upload = tokio::spawn(async move {
            // The server may end it.
            let _ = write.write_all(head.as_bytes()).await;
            let _ = write.write_all(&vec![b'x'; self.upload]).await;
            write
        });
        let mut response = Vec::new();
        let _ = read.read_to_end(&mut response).await;
        upload.await.unwrap();
        let head = response.windows(4).position(|end| end == b"\r\n\r\n");
        head.map_or(0, |head| response.len() - head - 4)
    }

    async fn over_http2(self, server: &Server) -> usize {
        let io = TokioIo::new(server.connect("h2").await);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        let connection = tokio::spawn(connection);
        let request = Request::post(format!("https://localhost/{}", self.answer))
            .body(Full::new(Bytes::from(vec![b'x'; self.upload])))
            .unwrap();
        let mut arrived = 0;
        if let Ok(response) = sender.send_request(request).await {
            let mut body = response.into_body();
            while let Some(Ok(frame)) = body.frame().await {
                arrived += frame.data_ref().map_or(0, Bytes::len);
            }
        }
        drop(sender);
        let _ = connection.await.unwrap();
        arrived
    }

    /// Returns in how many of `runs` the answer was whole.
    async fn repeat(self, runs: usize, at_once: &Arc<Semaphore>) -> usize {
        let mut tasks = JoinSet::new();
        for _ in 0..runs {
            let permit = Arc::clone(at_once).acquire_owned().await.unwrap();
            tasks.spawn(async move {
                let arrived = self.make().await;
                drop(permit);
                arrived
            });
        }
        let arrived = tasks.join_all().await;
        arrived.into_iter().filter(|n| *n == self.answer).count()
    }
}

/// 50 times with 1 MB and 10 times with 10 MB, where debug builds take their time.
/// `INTEGRATIONS_RUNS=50` makes each exchange 50 times, the plain ones too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_arrives_whole_though_the_request_was_not_read() {
    let asked: Option<usize> = std::env::var("INTEGRATIONS_RUNS")
        .ok()
        .map(|n| n.parse().unwrap());
    let at_once = Arc::new(Semaphore::new(4));
    let mut exchanges = Vec::new();
    for layer in [Layer::Plain].into_iter().chain(LAYERS) {
        for version in VERSIONS {
            for http in [Http::One, Http::Two] {
                for upload in [20_000, 100_000, 1_000_000] {
                    for answer in [1_000_000, 10_000_000] {
                        let exchange = Exchange {
                            layer,
                            version,
                            http,
                            upload,
                            answer,
                        };
                        let usual = match (layer, answer) {
                            (Layer::Plain, 1_000_000) => 10,
                            (Layer::Plain, _) => 2,
                            (_, 1_000_000) => 50,
                            _ => 10,
                        };
                        exchanges.push((exchange, asked.unwrap_or(usual)));
                    }
                }
            }
        }
    }
    let mut lost = Vec::new();
    for (exchange, runs) in exchanges {
        let whole = exchange.repeat(runs, &at_once).await;
        println!("{exchange}: {whole} of {runs} whole");
        if exchange.layer != Layer::Plain && whole != runs {
            lost.push(format!("{exchange}: only {whole} of {runs}"));
        }
    }
    assert!(lost.is_empty(), "{lost:#?}");
}
