//! A server that stops while clients that are not ours send requests: what becomes of each
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
use rand::Rng;
use tokio::sync::Notify;

use crate::{
    servers::{Layer, Server, VERSIONS},
    support::{PemFiles, Program, Version, in_time},
};

const CLIENTS: usize = 24;
const DEADLINE: Duration = Duration::from_secs(25);

/// 24 clients with a connection for each request and 24 that keep theirs, until none can connect any
/// more. Prints a line for each connection: whether the handshake was done, how many requests were
/// sent and answered, how many of the others GOAWAY names as not processed, when the last one was
/// sent, and how the connection ended.
const LOAD: &str = r#"
import socket, ssl, struct, sys, threading, time

port, certificate, http, count = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
context = ssl.create_default_context(cafile=certificate)
context.set_alpn_protocols(["http/1.1"] if http == "1.1" else ["h2"])
BODY = b"hello and goodbye"
lines = []

class End(Exception):
    """The server has closed with close_notify."""

class Connection:
    def __init__(self, keeps):
        self.keeps, self.sent, self.answered, self.refused, self.sent_at = keeps, 0, 0, 0, 0
        self.done, self.end, self.buffer = False, "?", b""

    def run(self):
        tcp = socket.create_connection(("127.0.0.1", port), timeout=60)
        tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        tls = None
        try:
            # A FIN without close_notify is an error.
            tls = self.tls = context.wrap_socket(
                tcp, server_hostname="localhost", suppress_ragged_eofs=False,
                do_handshake_on_connect=False)
            tls.do_handshake()
            self.done = True
            try:
                self.http1() if http == "1.1" else self.http2()
            except (BrokenPipeError, ConnectionResetError) as e:
                # What has arrived before is still there.
                while True:
                    self.more()
        except End:
            self.end = "close_notify"
            try:
                tls.unwrap()
            except (ssl.SSLError, OSError):
                pass
        except ssl.SSLEOFError:
            self.end = "eof"
        except ConnectionResetError:
            self.end = "reset"
        except Exception as e:
            self.end = type(e).__name__ + ":" + str(e).replace(" ", "_")
        finally:
            (tls or tcp).close()
            lines.append(" ".join(str(field) for field in (
                "connection", int(self.keeps), int(self.done), self.sent, self.answered,
                self.refused, self.sent_at, self.end)))

    def more(self):
        data = self.tls.recv(65536)
        if not data:
            raise End
        self.buffer += data

    def send(self, data):
        self.tls.sendall(data)
        self.sent += 1
        self.sent_at = time.time_ns()

    def http1(self):
        close = b"" if self.keeps else b"connection: close\r\n"
        while True:
            self.send(b"GET / HTTP/1.1\r\nhost: localhost\r\n" + close + b"\r\n")
            self.buffer = b""
            while not self.buffer.endswith(BODY):
                self.more()
            assert self.buffer.startswith(b"HTTP/1.1 200 OK")
            self.answered += 1
            while not self.keeps:
                self.more()

    def frame(self):
        while len(self.buffer) < 9:
            self.more()
        length, kind, flags, stream = struct.unpack(">IBBI", b"\0" + self.buffer[:9])
        while len(self.buffer) < 9 + length:
            self.more()
        payload, self.buffer = self.buffer[9:9 + length], self.buffer[9 + length:]
        return kind, flags, stream, payload

    def http2(self):
        # GET https://localhost/ in HPACK.
        fields = b"\x82\x87\x84\x41\x09localhost"
        hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + pack(4, 0, 0, b"")
        stream, last, going_away = 1, None, False
        try:
            while True:
                self.send(hello + pack(1, 5, stream, fields))
                hello, waits = b"", True
                while waits:
                    kind, flags, of, payload = self.frame()
                    if kind == 4 and not flags & 1:
                        self.tls.sendall(pack(4, 1, 0, b""))
                    elif kind == 6 and not flags & 1:
                        self.tls.sendall(pack(6, 1, 0, payload))
                    elif kind == 7:
                        going_away, last = True, struct.unpack(">I", payload[:4])[0]
                    elif kind == 3 and of == stream:
                        raise Exception("RST_STREAM")
                    elif kind in (0, 1) and flags & 1 and of == stream:
                        self.answered, waits = self.answered + 1, False
                if not self.keeps or going_away:
                    break
                stream += 2
            self.tls.sendall(pack(7, 0, 0, bytes(8)))
            while True:
                kind, flags, of, payload = self.frame()
                if kind == 6 and not flags & 1:
                    self.tls.sendall(pack(6, 1, 0, payload))
        finally:
            if self.sent > self.answered and last is not None and last < stream:
                self.refused = 1

def pack(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload

def client(keeps):
    while True:
        try:
            Connection(keeps).run()
        except OSError:
            return

threads = [threading.Thread(target=client, args=(keeps,)) for keeps in (False, True) * count]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(lines))
"#;

/// One connection, as its client saw it.
#[derive(Debug)]
struct Seen {
    keeps: bool,
    shook_hands: bool,
    sent: usize,
    answered: usize,
    refused: usize,
    sent_at: u128,
    end: String,
}

impl Seen {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.strip_prefix("connection ")?.split(' ');
        let mut number = || fields.next()?.parse::<u128>().ok();
        let (keeps, shook_hands, sent) = (number()?, number()?, number()?);
        let (answered, refused, sent_at) = (number()?, number()?, number()?);
        Some(Self {
            keeps: keeps == 1,
            shook_hands: shook_hands == 1,
            sent: sent as usize,
            answered: answered as usize,
            refused: refused as usize,
            sent_at,
            end: fields.next()?.to_owned(),
        })
    }
}

/// What has become of the requests and connections of some stops.
#[derive(Debug, Default)]
struct Tally {
    connections: usize,
    answered: usize,
    /// First requests that were not answered, on connections that ended with `close_notify`.
    first_closed: usize,
    /// The same, on connections that ended otherwise: the server had not finished the handshake.
    first_cut: usize,
    /// Later ones.
    later: usize,
    /// How many of these were sent before the stop: first and later ones.
    sent_before: [usize; 2],
    /// Requests that GOAWAY names as not processed.
    refused: usize,
    /// Connections that ended without `close_notify`, though the handshake was done for the client:
    /// with TLS 1.2 and 1.3.
    cut: [usize; 2],
    /// Handshakes that were not done when the server stopped.
    handshakes: usize,
}

/// How often: `INTEGRATIONS_RUNS=20`, or less by default where debug builds take their time.
fn runs() -> usize {
    let asked = std::env::var("INTEGRATIONS_RUNS").ok();
    asked.map_or(4, |runs| runs.parse().unwrap())
}

static PEM: LazyLock<PemFiles> = LazyLock::new(PemFiles::write);

/// Serves, stops somewhere in the middle, and compares what the server and its clients say.
async fn stop(layer: Layer, version: Version, http: &str, tally: &mut Tally) {
    let served = Arc::new(AtomicUsize::new(0));
    let reached = Arc::new(Notify::new());
    let stop_after = rand::rng().random_range(100..400);
    let (count, reach) = (served.clone(), reached.clone());
    let app = Router::new().route(
        "/",
        get(async move || {
            if count.fetch_add(1, Ordering::Relaxed) == stop_after {
                reach.notify_one();
            }
            "hello and goodbye"
        }),
    );
    let server = Server::start(layer, version, app).await;
    let port = server.address.port().to_string();
    let certificate = PEM.certificate.path().to_str().unwrap();
    let clients = CLIENTS.to_string();
    let args = ["-c", LOAD, &port, certificate, http, &clients];
    let load = Program::start("python3", "python3", args);

    in_time("the load", reached.notified()).await;
    let tracker = server.tracker.clone();
    let stopped_at = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
    let report = server.drain(DEADLINE).await;
    let load = load.succeeds().await;
    let lines = String::from_utf8(load.stdout).unwrap();
    let seen: Vec<_> = lines
        .lines()
        .map(|line| Seen::parse(line).expect(line))
        .collect();

    let case = format!("{layer:?} {version:?} HTTP/{http}");
    assert_eq!(
        (report.aborted, report.still_open),
        (0, 0),
        "{case}: {report}"
    );
    let stats = tracker.stats();
    let mut done = 0;
    let mut closed = 0;
    let mut answered = 0;
    for connection in &seen {
        let ends_well = connection.end == "close_notify";
        if !connection.shook_hands {
            assert_eq!(connection.sent, 0, "{case}: {connection:?}");
            tally.handshakes += 1;
            continue;
        }
        done += 1;
        closed += u64::from(ends_well);
        answered += connection.answered;
        tally.cut[usize::from(version == Version::Tls13)] += usize::from(!ends_well);
        let lost = connection.sent - connection.answered;
        assert!(lost <= 1, "{case}: {connection:?}");
        if lost == 1 {
            let is_first = connection.sent == 1;
            match (connection.refused == 1, is_first, ends_well) {
                (true, ..) => tally.refused += 1,
                (_, false, _) => tally.later += 1,
                (_, true, true) => tally.first_closed += 1,
                (_, true, false) => tally.first_cut += 1,
            }
            let before = usize::from(connection.sent_at < stopped_at);
            tally.sent_before[usize::from(!is_first)] += before;
        }
        // Only a handshake that the server has not finished ends otherwise.
        assert!(
            ends_well || (connection.sent <= 1 && connection.answered == 0),
            "{case}: {connection:?}"
        );
        // Without a later request there is no race that a connection of one request could lose.
        assert!(
            connection.keeps || connection.sent <= 1,
            "{case}: {connection:?}"
        );
    }
    tally.connections += done;
    tally.answered += answered;

    // The report and the clients agree. All requests that were handled were answered.
    assert_eq!(answered, served.load(Ordering::Relaxed), "{case}");
    let ended = report.open_before as u64 <= report.closed.total();
    assert!(ended, "{case}: {report}");
    let with_close_notify = stats.total() - stats.dropped - stats.failed - stats.reset;
    assert_eq!(with_close_notify, closed, "{case}: {stats}");
    let accepted = stats.total() as usize;
    assert!(
        done <= accepted && accepted <= seen.len(),
        "{case}: {done} {} {stats}",
        seen.len()
    );
    assert_eq!(
        (stats.timed_out, stats.discard_limit),
        (0, 0),
        "{case}: {stats}"
    );
}

async fn stops(layer: Layer, http: &str) -> Tally {
    let mut tally = Tally::default();
    for run in 0..runs() {
        stop(layer, VERSIONS[run % 2], http, &mut tally).await;
    }
    println!("{layer:?} HTTP/{http}, {} stops: {tally:?}", runs());
    // Only what was dropped in the middle of a TLS 1.3 handshake ends without close_notify.
    assert_eq!(tally.cut[0], 0, "{layer:?} {tally:?}");
    tally
}

/// With an accept loop of one's own, `serve_until` decides.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_hyper_answers_every_first_request() {
    for http in ["1.1", "2"] {
        let tally = stops(Layer::Hyper, http).await;
        assert_eq!((tally.first_closed, tally.first_cut), (0, 0), "{tally:?}");
        assert_eq!((tally.cut, tally.refused), ([0, 0], 0), "{tally:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_a_stop_of_axum_serve() {
    for http in ["1.1", "2"] {
        stops(Layer::TlsListener, http).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_a_stop_of_axum_server() {
    for http in ["1.1", "2"] {
        stops(Layer::AxumServer, http).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn g31_a_stop_of_tonic() {
    stops(Layer::Tonic, "2").await;
}
