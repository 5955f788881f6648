//! The program as its users run it, against servers that end in each way there is.

#[path = "../../../tests/support/pair.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]
mod pair;

use std::{
    future::pending,
    io::{self, Write},
    process::Output,
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use socket2::SockRef;
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::Command,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig, server::TlsStream};
use tokio_tls_shutdown::{GracefulStream, ShutdownExt};

use pair::{Case, PemFiles, Role, Version};

const TLS12: Case = Case::new(Version::Tls12, Role::Client);
const TLS13: Case = Case::new(Version::Tls13, Role::Client);

async fn run(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tls-close-probe"));
    command.args(args).kill_on_drop(true);
    command.output().await.unwrap()
}

/// Where events end all that is waited for, a busy machine gets this long.
const PATIENT: [&str; 2] = ["--timeout", "60"];

type Tls = TlsStream<TcpStream>;

/// Listens, does the same on each connection, and returns the address.
async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            tcp.set_nodelay(true).unwrap();
            tokio::spawn(serve(tcp));
        }
    });
    format!("localhost:{port}")
}

/// A TLS server that does the same on each connection.
async fn server<F>(config: ServerConfig, serve: fn(Tls) -> F) -> String
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let acceptor = TlsAcceptor::from(Arc::new(config));
    listen(move |tcp| {
        let accept = acceptor.accept(tcp);
        async move { serve(accept.await?).await }
    })
    .await
}

fn with_tickets(case: Case) -> ServerConfig {
    let mut config = case.server_config();
    config.send_tls13_tickets = 2;
    config
}

/// What the probe reports of such a server, with `args` for the probe.
async fn report<F>(config: ServerConfig, serve: fn(Tls) -> F, args: &[&str]) -> Value
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    report_of(&server(config, serve).await, args).await
}

async fn report_of(address: &str, args: &[&str]) -> Value {
    let files = PemFiles::write();
    let ca = files.certificate.path().to_str().unwrap();
    let output = run(&[&["--json", "--ca", ca, address], args].concat()).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.as_str()), (Some(0), ""));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_fields(report: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(&report[field], value, "{field} in {report:#}");
    }
}

/// Asserts that there is no report, and returns the one line that says why.
async fn refusal(args: &[&str]) -> String {
    let output = run(args).await;
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
    let mut lines = stderr.lines();
    let line = lines
        .next()
        .and_then(|line| line.strip_prefix("tls-close-probe: "));
    assert_eq!(lines.next(), None, "{args:?}");
    line.unwrap().to_owned()
}

/// Sends an answer and `close_notify` together.
async fn close_notify_with(tls: Tls, answer: &[u8]) -> io::Result<Tls> {
    let mut tls = GracefulStream::new(tls);
    tls.close_notify_with(answer).await?;
    Ok(tls.into_inner())
}

async fn read_to_close_notify(tls: &mut Tls) -> io::Result<()> {
    tokio::io::copy(tls, &mut tokio::io::sink()).await?;
    Ok(())
}

fn reset(tls: &Tls) -> io::Result<()> {
    SockRef::from(tls.get_ref().0).set_linger(Some(Duration::ZERO))
}

async fn answer(mut tls: Tls) -> io::Result<()> {
    read_to_close_notify(&mut tls).await?;
    tls.close_notify().await?;
    Ok(())
}

#[tokio::test]
async fn a_server_that_answers_is_clean() {
    for case in [TLS12, TLS13] {
        let report = report(with_tickets(case), answer, &PATIENT).await;
        let expected = json!({
            "server_name": "localhost",
            "tls_version": if case.is_tls13() { "TLSv1_3" } else { "TLSv1_2" },
            "sent_bytes": 0,
            "received_bytes": 0,
            "server_ended_first": null,
            "close": "close_notify",
            "close_error": null,
            "discarded_bytes": 0,
            "tickets": if case.is_tls13() { 2 } else { 0 },
            "transport": "fin",
            "transport_bytes": 0,
            "resumed": true,
            "resumption_error": null,
        });
        assert_fields(&report, &expected);
    }
}

#[tokio::test]
async fn the_fields_of_the_json_stay() {
    let report = report(with_tickets(TLS13), answer, &PATIENT).await;
    let fields: Vec<_> = report.as_object().unwrap().keys().collect();
    let mut expected = [
        "address",
        "server_name",
        "tls_version",
        "cipher_suite",
        "handshake_ms",
        "sent_bytes",
        "received_bytes",
        "server_ended_first",
        "close",
        "close_ms",
        "close_error",
        "discarded_bytes",
        "tickets",
        "late_tickets",
        "transport",
        "transport_ms",
        "transport_bytes",
        "resumed",
        "resumption_error",
    ];
    expected.sort_unstable();
    assert_eq!(fields, expected);
}

#[tokio::test]
async fn without_json_it_says_the_same_in_words() {
    let address = server(with_tickets(TLS13), answer).await;
    let args = [&["--insecure", &address], &PATIENT[..]].concat();
    let output = run(&args).await;
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for words in [
        "clean: the server's close_notify came after",
        "none came after our close_notify",
        "FIN",
        "a second connection resumed the session",
    ] {
        assert!(text.contains(words), "{words} in {text}");
    }
}

#[tokio::test]
async fn a_server_that_answers_with_fin_is_unclean() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await
    }
    for case in [TLS12, TLS13] {
        let report = report(with_tickets(case), end, &PATIENT).await;
        assert_fields(&report, &json!({ "close": "fin", "transport": "fin" }));
    }
}

#[tokio::test]
async fn a_server_that_answers_with_a_reset_is_unclean() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        reset(&tls)
    }
    for case in [TLS12, TLS13] {
        let report = report(with_tickets(case), end, &PATIENT).await;
        assert_fields(&report, &json!({ "close": "reset", "transport": "reset" }));
    }
}

#[tokio::test]
async fn a_reset_behind_close_notify_is_seen() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        reset(&tls)
    }
    let report = report(with_tickets(TLS13), end, &PATIENT).await;
    assert_fields(
        &report,
        &json!({ "close": "close_notify", "transport": "reset" }),
    );
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        pending().await
    }
    let report = report(with_tickets(TLS13), end, &["--timeout", "3"]).await;
    assert_fields(
        &report,
        &json!({ "close": "timed_out", "transport": "open" }),
    );
}

#[tokio::test]
async fn data_after_our_close_notify_is_counted() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.write_all(&[0; 100_000]).await?;
        tls.close_notify().await?;
        Ok(())
    }
    for case in [TLS12, TLS13] {
        let report = report(with_tickets(case), end, &PATIENT).await;
        assert_fields(
            &report,
            &json!({ "close": "close_notify", "discarded_bytes": 100_000, "received_bytes": 0 }),
        );
    }
}

#[tokio::test]
async fn a_flood_is_given_up() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        for _ in 0..24 {
            tls.write_all(&[0; 1024 * 1024]).await?;
        }
        tls.flush().await
    }
    let report = report(with_tickets(TLS13), end, &PATIENT).await;
    assert_fields(
        &report,
        &json!({ "close": "discard_limit", "transport": "fin" }),
    );
    assert!(report["discarded_bytes"].as_u64() > Some(16 * 1024 * 1024));
    assert!(report["transport_bytes"].as_u64() > Some(0));
}

#[tokio::test]
async fn plaintext_behind_the_close_is_counted() {
    async fn end(mut tls: Tls) -> io::Result<()> {
        read_to_close_notify(&mut tls).await?;
        tls.close_notify().await?;
        tls.get_mut().0.write_all(b"220 clear\r\n").await
    }
    let report = report(with_tickets(TLS13), end, &PATIENT).await;
    assert_fields(
        &report,
        &json!({ "close": "close_notify", "transport": "fin", "transport_bytes": 11 }),
    );
}

#[tokio::test]
async fn a_server_that_ends_first_is_told_apart() {
    async fn close_notify(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        let mut tls = close_notify_with(tls, b"bye").await?;
        read_to_close_notify(&mut tls).await
    }
    async fn fin(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        tls.get_mut().0.shutdown().await?;
        read_to_close_notify(&mut tls).await
    }
    async fn rst(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        reset(&tls)
    }
    let args = [&PATIENT[..], &["--send", "x"]].concat();

    let report_1 = report(with_tickets(TLS13), close_notify, &args).await;
    let expected = json!({
        "server_ended_first": "close_notify",
        "received_bytes": 3,
        "close": "close_notify",
    });
    assert_fields(&report_1, &expected);

    let report_2 = report(with_tickets(TLS13), fin, &args).await;
    let expected = json!({ "server_ended_first": "fin", "close": "fin" });
    assert_fields(&report_2, &expected);

    let report_3 = report(with_tickets(TLS13), rst, &args).await;
    let expected = json!({ "server_ended_first": "reset", "transport": "reset" });
    assert_fields(&report_3, &expected);
}

#[tokio::test]
async fn escapes_in_the_request_are_understood() {
    const REQUEST: &[u8] = b"a\r\n\t\x00\xff\\z";
    async fn check(mut tls: Tls) -> io::Result<()> {
        let mut request = [0; REQUEST.len()];
        tls.read_exact(&mut request).await?;
        if request == REQUEST {
            tls = close_notify_with(tls, b"yes").await?;
        }
        read_to_close_notify(&mut tls).await
    }
    let args = [&PATIENT[..], &["--send", r"a\r\n\t\0\xff\\z"]].concat();
    let report = report(with_tickets(TLS13), check, &args).await;
    assert_fields(
        &report,
        &json!({ "sent_bytes": REQUEST.len(), "received_bytes": 3 }),
    );
}

#[tokio::test]
async fn a_late_answer_to_the_request_is_waited_for() {
    async fn late(mut tls: Tls) -> io::Result<()> {
        tls.read_u8().await?;
        // Longer than the silence that ends a conversation.
        tokio::time::sleep(Duration::from_millis(600)).await;
        let mut tls = close_notify_with(tls, b"yes").await?;
        read_to_close_notify(&mut tls).await
    }
    let args = [&PATIENT[..], &["--send", "x"]].concat();
    let report = report(with_tickets(TLS13), late, &args).await;
    assert_fields(
        &report,
        &json!({ "received_bytes": 3, "server_ended_first": "close_notify" }),
    );
}

/// More than the buffers on the way hold: who does not read while it sends gets stuck.
#[tokio::test]
async fn a_file_is_sent_while_the_answer_comes() {
    const FILE: usize = 12_000_000;
    async fn echo(tls: Tls) -> io::Result<()> {
        let (mut reader, mut writer) = tokio::io::split(tls);
        tokio::io::copy(&mut reader, &mut writer).await?;
        reader.unsplit(writer).close_notify().await?;
        Ok(())
    }
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(&vec![b'x'; FILE]).unwrap();
    let path = file.path().to_str().unwrap();
    let args = [&PATIENT[..], &["--send-file", path]].concat();
    let report = report(with_tickets(TLS13), echo, &args).await;
    assert_fields(
        &report,
        &json!({ "sent_bytes": FILE, "close": "close_notify" }),
    );
    let bytes = |field: &str| report[field].as_u64().unwrap();
    assert_eq!(
        bytes("received_bytes") + bytes("discarded_bytes"),
        FILE as u64
    );
}

#[tokio::test]
async fn without_tickets_nothing_is_resumed() {
    let report = report(TLS13.server_config(), answer, &PATIENT).await;
    assert_fields(&report, &json!({ "tickets": 0, "resumed": false }));
}

#[tokio::test]
async fn a_failed_second_connection_does_not_cost_the_report() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        drop(listener);
        let acceptor = TlsAcceptor::from(Arc::new(with_tickets(TLS13)));
        answer(acceptor.accept(tcp).await.unwrap()).await
    });
    let report = report_of(&format!("localhost:{port}"), &PATIENT).await;
    assert_fields(
        &report,
        &json!({ "close": "close_notify", "resumed": null }),
    );
    let error = report["resumption_error"].as_str().unwrap();
    assert!(error.contains("cannot be connected to"), "{error}");
}

#[tokio::test]
async fn what_is_no_tls_server_is_said_to_be_none() {
    let http = listen(|mut tcp| async move {
        tcp.read_u8().await?;
        tcp.write_all(b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n")
            .await?;
        tcp.shutdown().await?;
        tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await?;
        Ok(())
    });
    let line = refusal(&[&[http.await.as_str()], &PATIENT[..]].concat()).await;
    assert_eq!(
        line,
        "this is no TLS server: it says `HTTP/1.1 400 Bad Request`"
    );

    let gone = listen(async |mut tcp: TcpStream| {
        tcp.read_u8().await?;
        Ok(())
    });
    let line = refusal(&[&[gone.await.as_str()], &PATIENT[..]].concat()).await;
    assert!(line.starts_with("the TLS handshake failed: "), "{line}");

    let silent = listen(async |_tcp| pending().await);
    let line = refusal(&["--timeout", "1", &silent.await]).await;
    assert_eq!(line, "the TLS handshake did not end within 1s");
}

#[tokio::test]
async fn a_handshake_that_cannot_succeed_is_explained() {
    let address = server(with_tickets(TLS13), answer).await;
    let files = PemFiles::write();
    let ours = files.certificate.path().to_str().unwrap();
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(other.cert.pem().as_bytes()).unwrap();
    let other = file.path().to_str().unwrap();
    for (args, expected) in [
        (&["--ca", other][..], "invalid peer certificate: "),
        (
            &["--ca", ours, "--server-name", "example.com"],
            "invalid peer certificate: ",
        ),
        (&["--ca", ours, "--tls12"], "the TLS handshake failed: "),
    ] {
        let line = refusal(&[args, &PATIENT, &[&address]].concat()).await;
        assert!(line.starts_with(expected), "{args:?}: {line}");
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_said_not_to_be() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let expected = format!(
        "{} cannot be connected to: ",
        address.replace(':', " port ")
    );
    let line = refusal(&["--insecure", &address]).await;
    assert!(line.starts_with(&expected), "{line}");

    let line = refusal(&["--insecure", "no-such-host.invalid"]).await;
    let expected = "no-such-host.invalid port 443 cannot be connected to: ";
    assert!(line.starts_with(expected), "{line}");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let empty = NamedTempFile::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    let missing = format!("{empty}.missing");
    let line = refusal(&["--ca", empty, "localhost"]).await;
    assert_eq!(
        line,
        format!("{empty} cannot be used as --ca: it holds no PEM certificate")
    );
    let line = refusal(&["--ca", &missing, "localhost"]).await;
    let expected = format!("{missing} cannot be used as --ca: ");
    assert!(line.starts_with(&expected), "{line}");
    let line = refusal(&["--insecure", "--send-file", &missing, "localhost"]).await;
    assert!(
        line.starts_with(&format!("{missing} cannot be read: ")),
        "{line}"
    );
}

#[tokio::test]
async fn what_is_no_address_is_said_to_be_none() {
    for address in [
        "",
        ":443",
        "host:",
        "host:0",
        "host:65536",
        "host:x",
        "a:b:1",
        "[::1",
        "[::1]x",
        "[::1]:",
        "[host]:443",
        "[1.2.3.4]:443",
    ] {
        let line = refusal(&["--insecure", address]).await;
        let expected = format!("`{address}` is no HOST:PORT, HOST or [IPV6]:PORT");
        assert_eq!(line, expected);
    }
}

#[tokio::test]
async fn a_wrong_command_line_exits_with_2() {
    for args in [
        &[][..],
        &["--no-such-option", "localhost"],
        &["--timeout", "0", "localhost"],
        &["--timeout", "-1", "localhost"],
        &["--timeout", "1e300", "localhost"],
        &["--timeout", "NaN", "localhost"],
        &["--send", "a", "--send-file", "b", "localhost"],
        &["--insecure", "--ca", "a", "localhost"],
    ] {
        let output = run(args).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty(), "{args:?}");
    }
}
