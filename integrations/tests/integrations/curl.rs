//! curl as the client.

use std::{io::Write, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    routing::{get, post},
};
use tempfile::NamedTempFile;

use crate::{
    servers::{LAYERS, Layer, Server, VERSIONS},
    support::{PemFiles, Program, Version},
};

const REFUSAL: usize = 1_000_000;

fn app() -> Router {
    let refuse = async || (StatusCode::PAYLOAD_TOO_LARGE, vec![b'x'; REFUSAL]);
    Router::new()
        .route("/", get(async || "hello and goodbye"))
        .route("/upload", post(refuse))
}

/// Fetches `paths` with one curl, and returns what it prints.
async fn curl(server: &Server, pem: &PemFiles, args: &[&str], paths: &[&str]) -> Vec<u8> {
    let port = server.address.port();
    let certificate = pem.certificate.path().to_str().unwrap();
    let resolve = format!("localhost:{port}:127.0.0.1");
    let common = ["--silent", "--show-error", "--cacert", certificate];
    let mut line: Vec<String> = common.iter().chain(args).map(|&arg| arg.into()).collect();
    line.extend(["--resolve".into(), resolve]);
    line.extend(
        paths
            .iter()
            .map(|path| format!("https://localhost:{port}{path}")),
    );
    Program::start("curl", "curl", line).succeeds().await.stdout
}

/// Runs `fetch` against each layer, and drains that: no connection is left, none has failed.
async fn with_each_layer(fetch: impl AsyncFn(&Server, Layer, Version)) {
    for layer in LAYERS {
        for version in VERSIONS {
            let server = Server::start(layer, version, app()).await;
            fetch(&server, layer, version).await;
            let tracker = server.tracker.clone();
            let report = server.drain(Duration::from_secs(20)).await;
            assert_eq!(
                (report.aborted, report.still_open),
                (0, 0),
                "{layer:?} {report}"
            );
            let stats = tracker.stats();
            assert_eq!((stats.failed, stats.dropped), (0, 0), "{layer:?} {stats}");
            assert_eq!(stats.total(), 1, "{layer:?} {stats}");
        }
    }
}

#[tokio::test]
async fn curl_keeps_a_connection_alive() {
    let pem = PemFiles::write();
    for (http, version_of_http) in [("--http1.1", "1.1"), ("--http2", "2")] {
        with_each_layer(async |server, layer, version| {
            let args = [http, "--write-out", " %{http_version} %{num_connects}\n"];
            let out = curl(server, &pem, &args, &["/", "/"]).await;
            let line = |connects| format!("hello and goodbye {version_of_http} {connects}\n");
            let lines = line(1) + &line(0);
            assert_eq!(
                String::from_utf8_lossy(&out),
                lines,
                "{layer:?} {version:?}"
            );
        })
        .await;
    }
}

#[tokio::test]
async fn curl_asks_for_the_close() {
    let pem = PemFiles::write();
    with_each_layer(async |server, layer, version| {
        let args = ["--http1.1", "--header", "Connection: close"];
        let out = curl(server, &pem, &args, &["/"]).await;
        assert_eq!(out, b"hello and goodbye", "{layer:?} {version:?}");
    })
    .await;
}

#[tokio::test]
async fn curl_gets_the_whole_refusal_of_its_upload() {
    let pem = PemFiles::write();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&[b'x'; 5_000_000]).unwrap();
    let data = format!("@{}", file.path().display());
    for http in ["--http1.1", "--http2"] {
        with_each_layer(async |server, layer, version| {
            let upload = ["--data-binary", &data, "--header", "Expect:"];
            let args = [&[http, "--write-out", "%{http_code}"], &upload[..]].concat();
            let out = curl(server, &pem, &args, &["/upload"]).await;
            let case = format!("{layer:?} {version:?} {http}");
            assert_eq!(out.len(), REFUSAL + 3, "{case}");
            assert!(out.ends_with(b"413"), "{case}");
        })
        .await;
    }
}

/// Over HTTP/2, curl with OpenSSL closes its socket without `close_notify` and without reading what
/// still arrives, so its kernel may answer ours with a reset. Nothing was cut off: all was served.
#[tokio::test]
async fn g33_a_served_curl_is_never_counted_as_reset() {
    let pem = PemFiles::write();
    for http in ["--http1.1", "--http2"] {
        for layer in LAYERS {
            for version in VERSIONS {
                let server = Server::start(layer, version, app()).await;
                for _ in 0..10 {
                    let out = curl(&server, &pem, &[http], &["/"]).await;
                    assert_eq!(out, b"hello and goodbye");
                }
                let tracker = server.tracker.clone();
                let report = server.drain(Duration::from_secs(20)).await;
                assert_eq!(report.still_open, 0, "{layer:?} {report}");
                let stats = tracker.stats();
                let case = format!("{layer:?} {version:?} {http}: {stats}");
                let mut served = stats.clean + stats.reset_after_close_notify;
                if http == "--http2" {
                    served += stats.eof;
                }
                println!("{case}");
                assert_eq!((served, stats.total()), (10, 10), "{case}");
            }
        }
    }
}
