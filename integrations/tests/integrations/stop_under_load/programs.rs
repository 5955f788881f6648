//! curl, a process and a connection for each request, and h2load, which keeps its connections.

use rand::Rng;
use tokio::task::JoinSet;

use super::{BODY, Busy, CLIENTS, PEM, runs};
use crate::{
    servers::{Layer, VERSIONS},
    support::{Program, Version},
};

// What curl ends with: libcurl-errors(3).
const CURLE_OK: u16 = 0;
const CURLE_COULDNT_CONNECT: u16 = 7;
const CURLE_HTTP2: u16 = 16;
const CURLE_PARTIAL_FILE: u16 = 18;
const CURLE_SSL_CONNECT_ERROR: u16 = 35;
const CURLE_GOT_NOTHING: u16 = 52;
const CURLE_SEND_ERROR: u16 = 55;
const CURLE_RECV_ERROR: u16 = 56;

/// How a request of curl has ended.
enum End {
    Answered,
    /// With `close_notify` and no part of an answer.
    Closed,
    /// Without `close_notify`, or curl could not send and has not looked for it.
    Cut,
    /// Before the handshake was done.
    Handshake,
}

/// One request of curl, as it tells of it.
struct Fetched {
    exit: u16,
    shook_hands: bool,
    answered: bool,
    error: String,
}

impl Fetched {
    async fn get(port: u16, http: &str) -> Self {
        let resolve = format!("localhost:{port}:127.0.0.1");
        let url = format!("https://localhost:{port}/");
        let http = match http {
            "2" => "--http2",
            _ => "--http1.1",
        };
        let certificate = PEM.certificate.path().to_str().unwrap();
        let write_out = "\n%{exitcode} %{http_code} %{time_appconnect} %{errormsg}";
        let args = [
            http,
            "--silent",
            "--cacert",
            certificate,
            "--resolve",
            &resolve,
            "--write-out",
            write_out,
            &url,
        ];
        let ended = Program::start("curl", "curl", args).ends().await;
        let out = String::from_utf8(ended.stdout).unwrap();
        let (body, line) = out.rsplit_once('\n').expect(&out);
        let mut fields = line.splitn(4, ' ');
        let mut field = || fields.next().expect(line);
        let exit = field().parse().unwrap();
        let is_ok = field() == "200";
        Self {
            exit,
            shook_hands: field().parse::<f64>().unwrap() > 0.0,
            answered: is_ok && body == BODY,
            error: field().to_owned(),
        }
    }

    fn end(&self, case: &str) -> End {
        match (self.exit, self.shook_hands, self.answered) {
            (CURLE_OK, true, true) => End::Answered,
            (CURLE_SSL_CONNECT_ERROR, false, false) => End::Handshake,
            // "HTTP/2 stream 1 was not closed cleanly before end of the underlying stream"
            (CURLE_GOT_NOTHING | CURLE_PARTIAL_FILE, true, false) => End::Closed,
            // "Recv failure: Connection reset by peer", "Send failure: Broken pipe"
            // Where it cannot send the preface of HTTP/2, the handshake is not over for curl.
            (CURLE_HTTP2, _, false) | (CURLE_SEND_ERROR | CURLE_RECV_ERROR, true, false) => {
                End::Cut
            }
            _ => panic!("{case}: curl {}: {}", self.exit, self.error),
        }
    }
}

/// Requests, one after another, until nothing listens any more.
async fn one_shot(port: u16, http: &'static str) -> Vec<Fetched> {
    let mut all = Vec::new();
    loop {
        let fetched = Fetched::get(port, http).await;
        if fetched.exit == CURLE_COULDNT_CONNECT {
            return all;
        }
        all.push(fetched);
    }
}

/// What h2load says at its end.
#[derive(Debug)]
struct Kept {
    started: usize,
    answered: usize,
}

fn keep_alive(port: u16, http: &str) -> Program {
    let url = format!("https://127.0.0.1:{port}/kept");
    let clients = format!("--clients={CLIENTS}");
    // So many that it never ends by itself, and so slow that curl has its turn.
    let mut args = vec![&*clients, "--requests=1000000", "--rps=20"];
    if http == "1.1" {
        args.push("--h1");
    }
    args.push(&url);
    Program::start("h2load", "nghttp2-client", args)
}

impl Kept {
    /// `requests: 1000000 total, 504 started, 480 done, 480 succeeded, ...`
    fn parse(out: &str) -> Option<Self> {
        let line = out
            .lines()
            .find_map(|line| line.strip_prefix("requests: "))?;
        let number = |name| {
            let part = line.split(", ").find_map(|part| part.strip_suffix(name))?;
            part.parse().ok()
        };
        Some(Self {
            started: number(" started")?,
            answered: number(" succeeded")?,
        })
    }
}

/// What has become of the requests of some stops.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// Of curl and of h2load.
    answered: [usize; 2],
    /// Requests of curl that were not answered, on connections that ended with `close_notify`.
    pub(super) closed: usize,
    /// The same, on connections that ended otherwise.
    pub(super) cut: usize,
    /// Handshakes of curl that were not done when the server stopped.
    handshakes: usize,
    /// Requests of h2load that were not answered. Over HTTP/2 it counts those too that it has not
    /// sent yet when GOAWAY arrives.
    later: usize,
}

/// Serves, stops somewhere in the middle, and compares what the server and its clients say.
async fn stop(layer: Layer, version: Version, http: &'static str, tally: &mut Tally) {
    let case = format!("{layer:?} {version:?} HTTP/{http}");
    let busy = Busy::start(layer, version, rand::rng().random_range(20..60)).await;
    let port = busy.server.address.port();
    let kept = keep_alive(port, http);
    let fetches: JoinSet<_> = (0..CLIENTS).map(|_| one_shot(port, http)).collect();

    let stopped = busy.stop().await;
    // It fails if a connection has, and what it has not begun counts as failed.
    let kept = String::from_utf8(kept.ends().await.stdout).unwrap();
    let kept = Kept::parse(&kept).expect(&kept);
    let fetched: Vec<_> = fetches.join_all().await.into_iter().flatten().collect();

    stopped.is_in_order(&case);
    let (mut answered, mut closed, mut cut) = (0, 0, 0);
    for fetch in &fetched {
        match fetch.end(&case) {
            End::Answered => answered += 1,
            End::Closed => closed += 1,
            End::Cut => cut += 1,
            End::Handshake => tally.handshakes += 1,
        }
    }
    tally.answered[0] += answered;
    tally.answered[1] += kept.answered;
    tally.closed += closed;
    tally.cut += cut;
    tally.later += kept.started - kept.answered;

    // The server and the clients agree. All requests that were handled were answered.
    assert_eq!(
        answered + kept.answered,
        stopped.handled,
        "{case}: {kept:?}"
    );
    let stats = &stopped.stats;
    let (least, most) = (answered + closed, fetched.len() + CLIENTS);
    assert!(
        (least..=most).contains(&(stats.total() as usize)),
        "{case}: {stats}, {least} to {most}"
    );
    // Over HTTP/2, curl closes its socket without `close_notify` and without reading ours.
    if http == "1.1" {
        let ended = stopped.with_close_notify() as usize;
        assert!(
            (least..=least + CLIENTS).contains(&ended),
            "{case}: {stats}, {least}"
        );
    }
    if layer == Layer::Hyper {
        // It has accepted no connection that it does not serve.
        assert_eq!(stats.total() as usize, least + CLIENTS, "{case}: {stats}");
        assert_eq!((stats.dropped, stats.failed), (0, 0), "{case}: {stats}");
    }
}

pub(super) async fn stops(layer: Layer, http: &'static str) -> Tally {
    let mut tally = Tally::default();
    let runs = runs(2);
    for run in 0..runs {
        stop(layer, VERSIONS[run % 2], http, &mut tally).await;
    }
    println!("{layer:?} HTTP/{http}, {runs} stops, curl and h2load: {tally:?}");
    tally
}
