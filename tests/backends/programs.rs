//! Other programs as peers of the libraries: `openssl s_client` and `s_server`, curl, Python.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tls_shutdown::{ClosePolicy, GracefulStream, PeerClose, ShutdownExt, ShutdownState};

use crate::{
    libraries::{NativeTls, Openssl, S2n},
    library::Library,
    support::{CASES, Case, PemFiles, Program, Role, Version, in_time},
};

type Tls<L> = GracefulStream<<L as Library>::Tls<TcpStream>>;

async fn open<L: Library>(case: Case, tcp: TcpStream) -> Tls<L> {
    tcp.set_nodelay(true).unwrap();
    let tls = in_time("handshake", L::open(case, tcp)).await;
    GracefulStream::new(tls.unwrap())
}

fn cases<L: Library>() -> impl Iterator<Item = Case> {
    CASES.into_iter().filter(|case| L::speaks(*case))
}

/// s2n reads nothing after its own `close_notify`: it sees only how the transport ends.
fn expected<L: Library>(case: Case) -> PeerClose {
    match L::NAME == S2n::NAME && case.version == Version::Tls12 {
        true => PeerClose::Eof,
        false => PeerClose::CloseNotify,
    }
}

/// A connection with the program `openssl`, which ends when the connection does.
pub(crate) async fn openssl<L: Library>(case: Case) -> (Tls<L>, Program) {
    let version = match case.version {
        Version::Tls12 => "-tls1_2",
        Version::Tls13 => "-tls1_3",
    };
    let pem = PemFiles::write();
    let [certificate, key] = [&pem.certificate, &pem.key].map(|file| file.path().to_str().unwrap());
    match case.role {
        Role::Client => {
            let accept = ["-accept", "127.0.0.1:0", "-cert", certificate, "-key", key];
            let args = ["s_server", version, "-state", "-naccept", "1"];
            let mut program = Program::start("openssl", "openssl", args.iter().chain(&accept));
            let address = program.line("ACCEPT ").await;
            let tcp = TcpStream::connect(address).await.unwrap();
            (open::<L>(case, tcp).await, program)
        }
        Role::Server => {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let args = ["s_client", version, "-state", "-connect", &address];
            let program = Program::start("openssl", "openssl", args);
            let (tcp, _) = in_time("accept", listener.accept()).await.unwrap();
            (open::<L>(case, tcp).await, program)
        }
    }
}

async fn closes_with_openssl<L: Library>() {
    for case in cases::<L>() {
        let (mut tls, mut peer) = openssl::<L>(case).await;
        tls.write_all(b"0123\n").await.unwrap();
        peer.prints(b"0123\n").await;
        let closed = in_time("close", tls.shutdown_bidirectional()).await;
        assert_eq!(closed.unwrap().peer(), expected::<L>(case), "{case:?}");
        drop(tls);
        let ended = peer.succeeds().await;
        for alert in ["read", "write"] {
            let line = format!("alert {alert}:warning:close notify");
            assert_eq!(ended.stderr.matches(&line).count(), 1, "{}", ended.stderr);
        }
        assert_eq!(ended.stderr.matches(" alert ").count(), 2);
    }
}

/// `openssl` closes first: its standard input has ended.
async fn answers_openssl<L: Library>() {
    for case in cases::<L>().filter(|case| case.role == Role::Server) {
        let (mut tls, mut peer) = openssl::<L>(case).await;
        peer.say(b"0123\n").await;
        peer.close_stdin();
        let mut got = Vec::new();
        in_time("data", tls.read_to_end(&mut got)).await.unwrap();
        assert_eq!(got, b"0123\n");
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean() && closed.peer_closed_first());
        assert_eq!(tls.state(), ShutdownState::COMPLETE);
        drop(tls);
        peer.succeeds().await;
    }
}

/// An answer without a length, to an upload that is not read: curl fails unless it is whole and ends
/// with `close_notify`.
async fn answers_curl<L: Library>() {
    for case in cases::<L>().filter(|case| case.role == Role::Server) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!(
            "https://localhost:{}/",
            listener.local_addr().unwrap().port()
        );
        let upload = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(upload.path(), vec![b'u'; 2 << 20]).unwrap();
        let data = format!("@{}", upload.path().display());
        let args = [
            "-sSk",
            "--http1.1",
            "-H",
            "expect:",
            "--data-binary",
            &data,
            &url,
        ];
        let curl = Program::start("curl", "curl", args);
        let (tcp, _) = in_time("accept", listener.accept()).await.unwrap();
        let mut tls = open::<L>(case, tcp).await;
        tls.set_policy(ClosePolicy::linger());
        in_time("answer", async {
            tls.write_all(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            tls.write_all(&vec![b'a'; 1 << 20]).await.unwrap();
            tls.shutdown().await.unwrap();
        })
        .await;
        drop(tls);
        let ended = curl.succeeds().await;
        assert_eq!(ended.stdout, vec![b'a'; 1 << 20], "{}", ended.stderr);
    }
}

/// Closes first, waits for our `close_notify`, and expects the end of the transport behind it.
const UNWRAP: &str = r#"
import socket, ssl, sys
role, version, certificate, key, port = sys.argv[1:]
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if role == "server" else ssl.PROTOCOL_TLS_CLIENT)
context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
if role == "server":
    context.load_cert_chain(certificate, key)
    listener = socket.create_server(("127.0.0.1", 0))
    print("port", listener.getsockname()[1], flush=True)
    tls = context.wrap_socket(listener.accept()[0], server_side=True)
else:
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    tls = context.wrap_socket(socket.create_connection(("127.0.0.1", int(port))))
tls.sendall(b"ping")
assert tls.recv(4) == b"pong"
transport = tls.unwrap()
assert transport.recv(1) == b""
"#;

async fn answers_python<L: Library>() {
    for case in cases::<L>() {
        let pem = PemFiles::write();
        let [certificate, key] =
            [&pem.certificate, &pem.key].map(|file| file.path().to_str().unwrap());
        let version = match case.version {
            Version::Tls12 => "TLSv1_2",
            Version::Tls13 => "TLSv1_3",
        };
        let start = |role: &str, port: &str| {
            let args = ["-c", UNWRAP, role, version, certificate, key, port];
            Program::start("python3", "python3", args)
        };
        let (tcp, peer) = match case.role {
            Role::Client => {
                let mut peer = start("server", "");
                let port: u16 = peer.line("port ").await.parse().unwrap();
                (TcpStream::connect(("127.0.0.1", port)).await, peer)
            }
            Role::Server => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let port = listener.local_addr().unwrap().port().to_string();
                let peer = start("client", &port);
                let accepted = in_time("accept", listener.accept()).await;
                (accepted.map(|(tcp, _)| tcp), peer)
            }
        };
        let mut tls = open::<L>(case, tcp.unwrap()).await;
        let mut got = [0; 4];
        in_time("ping", tls.read_exact(&mut got)).await.unwrap();
        tls.write_all(b"pong").await.unwrap();
        let closed = in_time("close", async {
            assert_eq!(tls.read(&mut got).await.unwrap(), 0);
            tls.shutdown_bidirectional().await
        });
        let closed = closed.await.unwrap();
        assert!(closed.is_clean() && closed.peer_closed_first(), "{case:?}");
        drop(tls);
        peer.succeeds().await;
    }
}

macro_rules! programs {
    ($($library:ident $Library:ident)*) => {
        $(
            mod $library {
                #[tokio::test]
                async fn closes_with_openssl() {
                    super::closes_with_openssl::<super::$Library>().await;
                }

                #[tokio::test]
                async fn answers_openssl() {
                    super::answers_openssl::<super::$Library>().await;
                }

                #[tokio::test]
                async fn answers_curl() {
                    super::answers_curl::<super::$Library>().await;
                }

                #[tokio::test]
                async fn answers_python() {
                    super::answers_python::<super::$Library>().await;
                }
            }
        )*
    };
}

programs! {
    openssl_library Openssl
    native_tls NativeTls
    s2n S2n
}
