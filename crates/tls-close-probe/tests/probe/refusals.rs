//! Servers that cannot be reached, and servers that are no TLS servers or refuse the client.

use std::{future::pending, io::Write};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa};
use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
};

use crate::{
    pair::PemFiles,
    run::{PATIENT, assert_fields, probe, probe_with, report, usage_error},
    servers::{TLS12, TLS13, answer, dead_port, listen, mutual, plain_http, server, with_tickets},
};

const UNREACHABLE: i32 = 2;
const REFUSED: i32 = 3;

fn message(report: &Value) -> &str {
    report["failure"]["message"].as_str().unwrap()
}

fn advice(report: &Value) -> String {
    let advice = report["advice"].as_array().unwrap();
    advice.iter().map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test]
async fn g35_a_server_that_wants_a_certificate_refuses_the_client() {
    let address = server(mutual(TLS13), answer).await;
    let (status, report) = probe(&[&[address.as_str()], &PATIENT[..]].concat()).await;
    assert_eq!(status, REFUSED);
    let expected = json!({
        "status": "refused",
        "connection/certificate_requested": true,
        "connection/certificate_given": false,
        "close/answer": "failed",
        "close/sent": false,
        "close/alert": 116,
        "close/discarded_bytes": 0,
    });
    assert_fields(&report, &expected);
    assert!(advice(&report).contains("--cert"), "{report:#}");

    // TLS 1.2 says it during the handshake.
    let address = server(mutual(TLS12), answer).await;
    let (status, report) = probe(&[&[address.as_str()], &PATIENT[..]].concat()).await;
    assert_eq!(status, REFUSED);
    let expected = json!({
        "failure/stage": "handshake",
        "failure/certificate_requested": true,
        "close": null,
    });
    assert_fields(&report, &expected);
    assert!(advice(&report).contains("--cert"), "{report:#}");
}

#[tokio::test]
async fn with_a_certificate_the_server_takes_the_client() {
    let files = PemFiles::write();
    let cert = files.certificate.path().to_str().unwrap();
    let key = files.key.path().to_str().unwrap();
    for case in [TLS12, TLS13] {
        let address = server(mutual(case), answer).await;
        let args = [&PATIENT[..], &["--cert", cert, "--key", key, &address]].concat();
        let report = report(&args).await;
        let expected = json!({
            "close/answer": "close_notify",
            "connection/certificate_requested": true,
            "connection/certificate_given": true,
        });
        assert_fields(&report, &expected);
    }
}

#[tokio::test]
async fn a_certificate_that_the_server_does_not_know_is_refused() {
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    // Both in one file: --key is not needed.
    let mut file = NamedTempFile::new().unwrap();
    let pem = other.cert.pem() + &other.signing_key.serialize_pem();
    file.write_all(pem.as_bytes()).unwrap();
    let address = server(mutual(TLS13), answer).await;
    let path = file.path().to_str().unwrap();
    let (status, report) = probe(&["--cert", path, &address]).await;
    assert_eq!(status, REFUSED, "{report:#}");
    assert_fields(
        &report,
        &json!({ "connection/certificate_given": true, "close/sent": false }),
    );
    assert!(advice(&report).contains("did not accept"), "{report:#}");
}

#[tokio::test]
async fn a_server_that_is_not_tls_is_refused() {
    let http = listen(plain_http).await;
    let (status, report) = probe(&[&[http.as_str()], &PATIENT[..]].concat()).await;
    assert_eq!(status, REFUSED);
    let expected = "not a TLS server: it says `HTTP/1.1 400 Bad Request`";
    assert_eq!(message(&report), expected);
    let plaintext = report["timeline"].as_array().unwrap().iter();
    let plaintext = plaintext.filter(|event| event["what"] == "plaintext");
    assert_eq!(plaintext.count(), 1);

    let fin = listen(async |mut tcp: TcpStream| {
        let mut hello = [0; 5];
        tcp.read_exact(&mut hello).await?;
        let length = u16::from_be_bytes([hello[3], hello[4]]).into();
        tokio::io::copy(&mut (&mut tcp).take(length), &mut tokio::io::sink()).await?;
        Ok(())
    });
    let (status, report) = probe(&[&[fin.await.as_str()], &PATIENT[..]].concat()).await;
    assert_eq!(status, REFUSED);
    let expected = "the server closed the connection during the TLS handshake";
    assert_eq!(message(&report), expected);

    let rst = listen(async |mut tcp: TcpStream| {
        tcp.read_u8().await?;
        Ok(())
    });
    let (status, report) = probe(&[&[rst.await.as_str()], &PATIENT[..]].concat()).await;
    assert_eq!(status, REFUSED);
    let expected = "the server reset the connection during the TLS handshake";
    assert_eq!(message(&report), expected);
}

#[tokio::test]
async fn an_alert_in_the_handshake_is_named() {
    let refuses = listen(async |mut tcp: TcpStream| {
        let mut hello = [0; 5];
        tcp.read_exact(&mut hello).await?;
        let length = u16::from_be_bytes([hello[3], hello[4]]).into();
        tokio::io::copy(&mut (&mut tcp).take(length), &mut tokio::io::sink()).await?;
        tcp.write_all(&[21, 3, 3, 0, 2, 2, 112]).await
    });
    let (status, report) = probe(&[&[refuses.await.as_str()], &PATIENT[..]].concat()).await;
    assert_eq!(status, REFUSED);
    assert_fields(&report, &json!({ "failure/alert": 112 }));
    assert!(
        message(&report).ends_with("alert unrecognized_name"),
        "{report:#}"
    );
    assert!(advice(&report).contains("--sni"), "{report:#}");
}

#[tokio::test]
async fn a_server_that_says_nothing_is_unreachable() {
    let silent = listen(async |_tcp| pending().await).await;
    let (status, report) = probe(&["--timeout", "1", &silent]).await;
    assert_eq!(status, UNREACHABLE);
    let expected = "the TLS handshake did not finish within 1s";
    assert_eq!(message(&report), expected);
    assert_eq!(
        report["timeline"].as_array().unwrap().last().unwrap()["what"],
        "gave_up"
    );
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_is_explained() {
    let address = server(with_tickets(TLS13), answer).await;
    let files = PemFiles::write();
    let ours = files.certificate.path().to_str().unwrap();
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "other");
    let key = rcgen::KeyPair::generate().unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(params.self_signed(&key).unwrap().pem().as_bytes())
        .unwrap();
    let other = file.path().to_str().unwrap();
    // Of the same name as the issuer, with another kind of key.
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(params.self_signed(&key).unwrap().pem().as_bytes())
        .unwrap();
    let other_key = file.path().to_str().unwrap();
    for (args, expected) in [
        (
            &["--ca", other][..],
            "invalid peer certificate: its issuer is not trusted",
        ),
        (
            &["--ca", other_key],
            "invalid peer certificate: its signature is not of the kind of its issuer's key",
        ),
        (
            &["--ca", ours, "--sni", "example.com"],
            "invalid peer certificate: it is not for example.com, but for localhost",
        ),
        (
            &["--ca", ours, "--tls12"],
            "the server refused the TLS handshake: alert ",
        ),
    ] {
        let (status, report) = probe_with(&[args, &PATIENT, &[&address]].concat()).await;
        assert_eq!(status, REFUSED, "{args:?}");
        assert!(
            message(&report).starts_with(expected),
            "{args:?}: {report:#}"
        );
        assert!(!advice(&report).is_empty(), "{args:?}");
    }
    assert_eq!(probe_with(&["--insecure", &address]).await.0, 0);
}

/// Why a server's certificate is not accepted that the probe would trust.
async fn why_not(edit: impl FnOnce(&mut CertificateParams)) -> String {
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    edit(&mut params);
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let der = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = TLS13.server_config().crypto_provider().clone();
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], der)
        .unwrap();
    let mut file = NamedTempFile::new().unwrap();
    file.write_all(certificate.pem().as_bytes()).unwrap();
    let address = server(config, answer).await;
    let (status, report) = probe_with(&["--ca", file.path().to_str().unwrap(), &address]).await;
    assert_eq!(status, REFUSED);
    message(&report).to_owned()
}

#[tokio::test]
async fn an_expired_certificate_is_refused() {
    let message = why_not(|params| {
        params.not_before = rcgen::date_time_ymd(2020, 1, 1);
        params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    });
    let message = message.await;
    assert!(message.contains("certificate expired"), "{message}");
}

/// As `openssl req -x509` makes one unless told otherwise.
#[tokio::test]
async fn the_certificate_of_a_ca_is_refused_in_words() {
    let message = why_not(|params| params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)).await;
    let expected = "invalid peer certificate: it is the certificate of a CA, and not of a server";
    assert_eq!(message, expected);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unreachable() {
    let address = dead_port().await;
    let (status, report) = probe_with(&["--insecure", &address]).await;
    assert_eq!(status, UNREACHABLE);
    let expected = format!("failed to connect to {address}: ");
    assert!(message(&report).starts_with(&expected), "{report:#}");

    let (status, report) = probe_with(&["--insecure", "no-such-host.invalid"]).await;
    assert_eq!(status, UNREACHABLE);
    let expected = "failed to connect to no-such-host.invalid:443: ";
    assert!(message(&report).starts_with(expected), "{report:#}");
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let empty = NamedTempFile::new().unwrap();
    let empty = empty.path().to_str().unwrap();
    let missing = format!("{empty}.missing");
    let line = usage_error(&["--ca", empty, "localhost"]).await;
    let expected = format!("failed to use --ca {empty}: it has no PEM certificate");
    assert_eq!(line, expected);
    let line = usage_error(&["--ca", &missing, "localhost"]).await;
    assert!(
        line.starts_with(&format!("failed to use --ca {missing}: ")),
        "{line}"
    );
    let mut broken = NamedTempFile::new().unwrap();
    let pem = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    broken.write_all(pem).unwrap();
    let broken = broken.path().to_str().unwrap();
    let line = usage_error(&["--ca", broken, "localhost"]).await;
    let expected = format!("failed to use --ca {broken}: it is no X.509 certificate");
    assert_eq!(line, expected);
    let line = usage_error(&["--insecure", "--cert", empty, "localhost"]).await;
    assert!(
        line.starts_with(&format!("failed to use --cert {empty}: ")),
        "{line}"
    );
    let line = usage_error(&["--insecure", "--send-file", &missing, "localhost"]).await;
    assert!(
        line.starts_with(&format!("failed to read {missing}: ")),
        "{line}"
    );
    let line = usage_error(&["--insecure", "--file", &missing]).await;
    assert!(
        line.starts_with(&format!("failed to read {missing}: ")),
        "{line}"
    );
}
