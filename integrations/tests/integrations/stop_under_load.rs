//! A server that stops while clients that are not ours (Python, curl, h2load) send requests: what becomes of each
//! request, how each connection ends, and whether the report says the same.
//!
//! A request can be lost in three ways, and a client can tell them apart:
//!
//! - the *first* request of a connection, which the server has never read. `serve_until` waits for
//!   it: none is lost. The frameworks with an accept loop of their own do not:
//!   - hyper-util's `auto` connection (`axum::serve`, axum-server) ends with an error if it is
//!     stopped while it finds out the version, and hyper's own closes (hyperium/hyper#3792);
//!   - axum-server drops handshakes when it stops, and `axum::serve` and tonic drop their listener
//!     with those that are in it. To a client of TLS 1.3 its handshake is done before the server
//!     has read the end of it, so a request may be lost with it. tokio-rustls gives no access to
//!     the session of a handshake, so there is no `close_notify` either;
//! - a *later* request, that crosses the close of an idle connection. `serve_until` reads what has
//!   arrived before it stops a connection; the frameworks do not. What is sent after that is lost
//!   with all of them: the close of HTTP/1.1 has this race by design (RFC 9112, section 9.6);
//! - a request on an HTTP/2 connection that GOAWAY names as not processed.
//!
//! But for handshakes of TLS 1.3 that were dropped, `close_notify` follows and nothing was answered:
//! the client knows that it may send the request again.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use axum::{Router, routing::get};
use tokio::sync::Notify;
use tokio_tls_shutdown::{CloseStats, DrainReport};

use crate::{
    servers::{Layer, Server},
    support::{PemFiles, Version, in_time},
};

mod programs;
mod python;

/// As many that make a connection for each request, and as many that keep theirs.
const CLIENTS: usize = 24;
const DEADLINE: Duration = Duration::from_secs(25);
const BODY: &str = "hello and goodbye";

static PEM: LazyLock<PemFiles> = LazyLock::new(PemFiles::write);

/// How often: `INTEGRATIONS_RUNS=20`, or `usual` where debug builds take their time.
fn runs(usual: usize) -> usize {
    let asked = std::env::var("INTEGRATIONS_RUNS").ok();
    asked.map_or(usual, |runs| runs.parse().unwrap())
}

/// A server that counts the requests that it handles.
struct Busy {
    server: Server,
    handled: Arc<AtomicUsize>,
    reached: Arc<Notify>,
}

impl Busy {
    /// Serves `/`, of whose requests it is to stop after so many, and `/kept`.
    async fn start(layer: Layer, version: Version, stop_after: usize) -> Self {
        let handled = Arc::new(AtomicUsize::new(0));
        let reached = Arc::new(Notify::new());
        let left = Arc::new(AtomicUsize::new(stop_after));
        let (count, also, reach) = (handled.clone(), handled.clone(), reached.clone());
        let once = async move || {
            count.fetch_add(1, Ordering::Relaxed);
            if left.fetch_sub(1, Ordering::Relaxed) == 1 {
                reach.notify_one();
            }
            BODY
        };
        let kept = async move || {
            also.fetch_add(1, Ordering::Relaxed);
            BODY
        };
        let app = Router::new()
            .route("/", get(once))
            .route("/kept", get(kept));
        Self {
            server: Server::start(layer, version, app).await,
            handled,
            reached,
        }
    }

    /// Stops it in the middle of the load.
    async fn stop(self) -> Stopped {
        in_time("the load", self.reached.notified()).await;
        let tracker = self.server.tracker.clone();
        let at = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let report = self.server.drain(DEADLINE).await;
        Stopped {
            at,
            report,
            stats: tracker.stats(),
            handled: self.handled.load(Ordering::Relaxed),
        }
    }
}

/// What a server says that was stopped.
struct Stopped {
    at: u128,
    report: DrainReport,
    /// Of all connections, those that ended before the stop too.
    stats: CloseStats,
    handled: usize,
}

impl Stopped {
    /// Nothing hangs, and nothing is counted twice or never.
    fn is_in_order(&self, case: &str) {
        let Self { report, stats, .. } = self;
        assert_eq!(
            (report.aborted, report.still_open),
            (0, 0),
            "{case}: {report}"
        );
        let ended = report.open_before as u64 <= report.closed.total();
        assert!(ended, "{case}: {report}");
        assert_eq!(
            (stats.timed_out, stats.discard_limit),
            (0, 0),
            "{case}: {stats}"
        );
    }

    /// How many connections were sent `close_notify`.
    fn with_close_notify(&self) -> u64 {
        self.stats.total() - self.stats.dropped - self.stats.failed - self.stats.reset
    }
}

/// With an accept loop of one's own, `serve_until` decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_hyper_answers_every_first_request() {
    for http in ["1.1", "2"] {
        let tally = python::stops(Layer::Hyper, http).await;
        assert_eq!((tally.first_closed, tally.first_cut), (0, 0), "{tally:?}");
        assert_eq!((tally.cut, tally.refused), ([0, 0], 0), "{tally:?}");
    }
}

/// A request of curl is always the first of its connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_hyper_answers_every_curl() {
    for http in ["1.1", "2"] {
        let tally = programs::stops(Layer::Hyper, http).await;
        assert_eq!((tally.closed, tally.cut), (0, 0), "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_a_stop_of_axum_serve() {
    for http in ["1.1", "2"] {
        python::stops(Layer::TlsListener, http).await;
        programs::stops(Layer::TlsListener, http).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_a_stop_of_axum_server() {
    for http in ["1.1", "2"] {
        python::stops(Layer::AxumServer, http).await;
        programs::stops(Layer::AxumServer, http).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_a_stop_of_tonic() {
    python::stops(Layer::Tonic, "2").await;
    programs::stops(Layer::Tonic, "2").await;
}
