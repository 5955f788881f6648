//! Clients in Python, which see everything.

use rand::Rng;

use super::{Busy, CLIENTS, PEM, runs};
use crate::{
    servers::{Layer, VERSIONS},
    support::{Program, Version},
};

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
    pub(super) refused: usize,
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
pub(super) struct Tally {
    connections: usize,
    answered: usize,
    /// First requests that were not answered, on connections that ended with `close_notify`.
    pub(super) first_closed: usize,
    /// The same, on connections that ended otherwise: the server had not finished the handshake.
    pub(super) first_cut: usize,
    /// Later ones.
    later: usize,
    /// How many of these were sent before the stop: first and later ones.
    sent_before: [usize; 2],
    /// Requests that GOAWAY names as not processed.
    pub(super) refused: usize,
    /// Connections that ended without `close_notify`, though the handshake was done for the client:
    /// with TLS 1.2 and 1.3.
    pub(super) cut: [usize; 2],
    /// Handshakes that were not done when the server stopped.
    handshakes: usize,
}

/// Serves, stops somewhere in the middle, and compares what the server and its clients say.
async fn stop(layer: Layer, version: Version, http: &str, tally: &mut Tally) {
    let case = format!("{layer:?} {version:?} HTTP/{http}");
    let stop_after = rand::rng().random_range(100..400);
    let busy = Busy::start(layer, version, stop_after).await;
    let port = busy.server.address.port().to_string();
    let certificate = PEM.certificate.path().to_str().unwrap();
    let clients = CLIENTS.to_string();
    let args = ["-c", LOAD, &port, certificate, http, &clients];
    let load = Program::start("python3", "python3", args);

    let stopped = busy.stop().await;
    let load = load.succeeds().await;
    let lines = String::from_utf8(load.stdout).unwrap();
    let seen: Vec<_> = lines
        .lines()
        .map(|line| Seen::parse(line).expect(line))
        .collect();

    stopped.is_in_order(&case);
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
            let before = usize::from(connection.sent_at < stopped.at);
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
    assert_eq!(answered, stopped.handled, "{case}");
    let stats = &stopped.stats;
    assert_eq!(stopped.with_close_notify(), closed, "{case}: {stats}");
    let accepted = stats.total() as usize;
    assert!(
        done <= accepted && accepted <= seen.len(),
        "{case}: {done} {} {stats}",
        seen.len()
    );
}

pub(super) async fn stops(layer: Layer, http: &str) -> Tally {
    let mut tally = Tally::default();
    let runs = runs(4);
    for run in 0..runs {
        stop(layer, VERSIONS[run % 2], http, &mut tally).await;
    }
    println!("{layer:?} HTTP/{http}, {runs} stops, Python: {tally:?}");
    // Only what was dropped in the middle of a TLS 1.3 handshake ends without close_notify.
    assert_eq!(tally.cut[0], 0, "{layer:?} {tally:?}");
    tally
}
