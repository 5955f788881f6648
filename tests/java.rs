//! Java's JNDI as the peer: LDAP StartTLS, and TLS ended again on the same socket (RFC 4511
//! section 4.14.3; D5).

mod support;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use support::{Case, PemFiles, Program, Role, Version, in_time};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use tokio_tls_shutdown::{GracefulStream, RecordAligned, ShutdownExt, ShutdownState, tokio_rustls};

const ROUNDS: usize = 5;

/// BER, only as far as the responder needs it.
mod ber {
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const INTEGER: u8 = 0x02;
    pub(super) const OCTETS: u8 = 0x04;
    pub(super) const ENUMERATED: u8 = 0x0a;

    pub(super) fn element(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let body = parts.concat();
        let len = u8::try_from(body.len()).unwrap();
        assert!(len < 0x80, "the short form of a length");
        [vec![tag, len], body].concat()
    }

    pub(super) fn octets(text: &str) -> Vec<u8> {
        element(OCTETS, &[text.into()])
    }

    /// Splits the first element off: its tag, its body, the rest.
    pub(super) fn split(bytes: &[u8]) -> (u8, &[u8], &[u8]) {
        let (tag, len, rest) = match bytes {
            [tag, len @ ..=0x7f, rest @ ..] => (*tag, usize::from(*len), rest),
            [tag, 0x81, len, rest @ ..] => (*tag, usize::from(*len), rest),
            _ => panic!("{bytes:?}"),
        };
        let (body, rest) = rest.split_at(len);
        (tag, body, rest)
    }
}

// RFC 4511 section 4: the tags of the operations.
const BIND_REQUEST: u8 = 0x60;
const BIND_RESPONSE: u8 = 0x61;
const UNBIND_REQUEST: u8 = 0x42;
const SEARCH_REQUEST: u8 = 0x63;
const SEARCH_RESULT_ENTRY: u8 = 0x64;
const SEARCH_RESULT_DONE: u8 = 0x65;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;

/// Reads one message and not a byte more; `None` at the end.
async fn read_message(from: &mut (impl AsyncRead + Unpin)) -> Option<(Vec<u8>, u8)> {
    let mut message = vec![0];
    if from.read(&mut message).await.unwrap() == 0 {
        return None;
    }
    message.push(from.read_u8().await.unwrap());
    let len = match message[1] {
        len @ ..=0x7f => len,
        0x81 => {
            message.push(from.read_u8().await.unwrap());
            message[2]
        }
        _ => panic!("a message that is too long"),
    };
    let head = message.len();
    message.resize(head + usize::from(len), 0);
    from.read_exact(&mut message[head..]).await.unwrap();

    let (tag, body, rest) = ber::split(&message);
    assert_eq!((tag, rest.len()), (ber::SEQUENCE, 0));
    let (tag, id, operation) = ber::split(body);
    assert_eq!(tag, ber::INTEGER);
    Some((id.to_vec(), operation[0]))
}

/// Why the responder stops.
#[derive(Debug, PartialEq, Eq)]
enum End {
    StartTls,
    Unbind,
    /// The end of the stream, between two messages.
    Closed,
}

/// Answers requests. A search is answered with the name of the channel.
async fn respond(stream: &mut (impl AsyncRead + AsyncWrite + Unpin), channel: &str) -> End {
    while let Some((id, operation)) = read_message(stream).await {
        let success = || {
            let code = ber::element(ber::ENUMERATED, &[vec![0]]);
            vec![code, ber::octets(""), ber::octets("")]
        };
        let message = |operation: u8, parts: &[Vec<u8>]| {
            let id = ber::element(ber::INTEGER, std::slice::from_ref(&id));
            ber::element(ber::SEQUENCE, &[id, ber::element(operation, parts)])
        };
        let answer = match operation {
            BIND_REQUEST => message(BIND_RESPONSE, &success()),
            EXTENDED_REQUEST => message(EXTENDED_RESPONSE, &success()),
            SEARCH_REQUEST => {
                let values = ber::element(ber::SET, &[ber::octets(channel)]);
                let attribute = ber::element(ber::SEQUENCE, &[ber::octets("channel"), values]);
                let attributes = ber::element(ber::SEQUENCE, &[attribute]);
                let entry = [ber::octets("cn=channel"), attributes];
                let done = message(SEARCH_RESULT_DONE, &success());
                [message(SEARCH_RESULT_ENTRY, &entry), done].concat()
            }
            UNBIND_REQUEST => return End::Unbind,
            _ => panic!("operation {operation:#x}"),
        };
        stream.write_all(&answer).await.unwrap();
        if operation == EXTENDED_REQUEST {
            return End::StartTls;
        }
    }
    End::Closed
}

/// How a connection was served.
#[derive(Debug, PartialEq, Eq)]
enum Served {
    Whole,
    /// The JDK may have lost its way: see [`Tap::spoils_jndi`].
    Spoiled,
}

async fn serve(tcp: TcpStream, case: Case) -> Served {
    let acceptor = TlsAcceptor::from(Arc::new(case.server_config()));
    let mut clear = RecordAligned::new(Tap::new(tcp)).into_plaintext();
    for _ in 0..ROUNDS {
        assert_eq!(respond(&mut clear, "clear").await, End::StartTls);

        let (tcp, ahead) = clear.into_parts();
        let aligned = RecordAligned::with_prefix(tcp, ahead);
        let mut tls = GracefulStream::new(acceptor.accept(aligned).await.unwrap());
        assert_eq!(respond(&mut tls, "tls").await, End::Closed);

        assert_eq!(tls.state(), ShutdownState::RECEIVED);
        assert!(tls.shutdown_bidirectional().await.unwrap().is_clean());
        clear = tls.into_transport().unwrap();
        if case.is_tls13() && clear.get_ref().spoils_jndi() {
            return Served::Spoiled;
        }
    }
    // JNDI does not always send UnbindRequest.
    assert_ne!(respond(&mut clear, "clear").await, End::StartTls);
    Served::Whole
}

/// Keeps what was written last.
#[derive(Debug)]
struct Tap {
    tcp: TcpStream,
    last: Vec<u8>,
}

impl Tap {
    fn new(tcp: TcpStream) -> Self {
        let last = Vec::new();
        Self { tcp, last }
    }

    /// With TLS 1.3, JNDI (JDK 17) does not wait for the close_notify that answers its own. It
    /// takes it for LDAP and skips it up to a byte that may begin a message: if there is one, the
    /// answers behind it are not understood.
    fn spoils_jndi(&self) -> bool {
        self.last.contains(&ber::SEQUENCE)
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.last = buf.to_vec();
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

async fn stop_tls(case: Case) -> Served {
    let pem = PemFiles::write();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let version = match case.version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    };
    let mut client = Program::start(
        "java",
        "default-jdk-headless",
        [
            "-Djava.net.preferIPv4Stack=true",
            &format!("-Djdk.tls.client.protocols={version}"),
            concat!(env!("CARGO_MANIFEST_DIR"), "/tests/peers/StopTls.java"),
            &listener.local_addr().unwrap().port().to_string(),
            &ROUNDS.to_string(),
            pem.certificate.path().to_str().unwrap(),
        ],
    );
    let served = async {
        let (tcp, _) = in_time("java's start", listener.accept()).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        in_time("ldap", serve(tcp, case)).await
    };
    let served = tokio::select! {
        served = served => served,
        () = client.fails() => unreachable!(),
    };
    if served == Served::Whole {
        assert!(client.succeeds().await.printed(b"done"));
    }
    served
}

#[tokio::test]
async fn d05_ldap_goes_on_in_the_clear_after_tls_1_2() {
    let case = Case::new(Version::Tls12, Role::Server);
    assert_eq!(stop_tls(case).await, Served::Whole);
}

#[tokio::test]
async fn d05_ldap_goes_on_in_the_clear_after_tls_1_3() {
    let case = Case::new(Version::Tls13, Role::Server);
    // Two of three are whole.
    for _ in 0..20 {
        if stop_tls(case).await == Served::Whole {
            return;
        }
    }
    panic!("all were spoiled");
}
