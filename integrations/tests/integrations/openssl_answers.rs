//! hyper over OpenSSL: a response arrives whole though the request was not read.

use std::{convert::Infallible, pin::Pin, time::Duration};

use http_body_util::Full;
use hyper::{Request, Response, body::Incoming, server::conn::http1, service::service_fn};
use openssl::ssl::{Ssl, SslAcceptor, SslFiletype, SslMethod, SslVersion};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_openssl::SslStream;
use tokio_rustls::TlsConnector;
use tokio_tls_shutdown::{
    CloseTracker, Gate, GracefulStream, integrations::hyper::io, tokio_rustls,
};

use crate::{
    servers::VERSIONS,
    support::{Case, PemFiles, Role, Version, in_time, pair},
};

const ANSWER: usize = 1_000_000;
const UPLOAD: usize = 1_000_000;

fn acceptor(version: Version) -> SslAcceptor {
    let pem = PemFiles::write();
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor
        .set_certificate_file(pem.certificate.path(), SslFiletype::PEM)
        .unwrap();
    acceptor
        .set_private_key_file(pem.key.path(), SslFiletype::PEM)
        .unwrap();
    let version = match version {
        Version::Tls12 => SslVersion::TLS1_2,
        Version::Tls13 => SslVersion::TLS1_3,
    };
    acceptor.set_max_proto_version(Some(version)).unwrap();
    acceptor.build()
}

async fn answer(_: Request<Incoming>) -> Result<Response<Full<hyper::body::Bytes>>, Infallible> {
    Ok(Response::new(Full::new(vec![b'x'; ANSWER].into())))
}

async fn serve(tcp: TcpStream, acceptor: &SslAcceptor, tracker: &CloseTracker, plain: bool) {
    tcp.set_nodelay(true).unwrap();
    let ssl = Ssl::new(acceptor.context()).unwrap();
    if plain {
        let mut tls = SslStream::new(ssl, tcp).unwrap();
        Pin::new(&mut tls).accept().await.unwrap();
        let io = hyper_util::rt::TokioIo::new(tls);
        let _ = http1::Builder::new()
            .serve_connection(io, service_fn(answer))
            .await;
        return;
    }
    let mut tls = SslStream::new(ssl, Gate::new(tcp)).unwrap();
    Pin::new(&mut tls).accept().await.unwrap();
    let mut tls = GracefulStream::new(tls);
    tls.track(tracker);
    let connection = http1::Builder::new().serve_connection(io(tls), service_fn(answer));
    connection.await.unwrap();
}

/// Returns how much of the answer arrives.
async fn exchange(
    version: Version,
    acceptor: &SslAcceptor,
    tracker: &CloseTracker,
    plain: bool,
) -> usize {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = async {
        let (tcp, _) = listener.accept().await.unwrap();
        serve(tcp, acceptor, tracker, plain).await;
    };
    let client = async {
        let tcp = TcpStream::connect(address).await.unwrap();
        let config = Case::new(version, Role::Client).client_config();
        let connector = TlsConnector::from(std::sync::Arc::new(config));
        let tls = connector.connect(pair::name(), tcp).await.unwrap();
        let (mut read, mut write) = tokio::io::split(tls);
        let upload = tokio::spawn(async move {
            let head = format!(
                "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {UPLOAD}\r\n\
                 connection: close\r\n\r\n"
            );
            // The server may end it.
            let _ = write.write_all(head.as_bytes()).await;
            let _ = write.write_all(&vec![b'x'; UPLOAD]).await;
            write
        });
        let mut response = Vec::new();
        let _ = read.read_to_end(&mut response).await;
        let _ = upload.await.unwrap().shutdown().await;
        let head = response.windows(4).position(|end| end == b"\r\n\r\n");
        head.map_or(0, |head| response.len() - head - 4)
    };
    in_time("the exchange", async { tokio::join!(server, client).1 }).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_over_openssl_arrives_whole_50_of_50() {
    for version in VERSIONS {
        let (acceptor, tracker) = (acceptor(version), CloseTracker::new());
        let mut whole = 0;
        for _ in 0..50 {
            whole += usize::from(exchange(version, &acceptor, &tracker, false).await == ANSWER);
        }
        let mut plain = 0;
        for _ in 0..10 {
            plain += usize::from(exchange(version, &acceptor, &tracker, true).await == ANSWER);
        }
        println!("{version:?}: {whole} of 50 whole, {plain} of 10 with tokio-openssl alone");
        assert_eq!(whole, 50);
        let report = tracker.drain(Duration::from_secs(10)).await;
        assert_eq!((report.closed.clean, report.still_open), (0, 0), "{report}");
        assert_eq!(tracker.stats().clean, 50, "{report}");
    }
}
