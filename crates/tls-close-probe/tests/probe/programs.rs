//! Real programs as servers, each a private process on a port of its own.

mod mail;
mod running;
mod services;
mod tls;

use serde_json::{Value, json};

use crate::{
    pair::Version,
    run::{assert_fields, probe_with},
};
use running::Running;

const VERSIONS: [Version; 2] = [Version::Tls12, Version::Tls13];

/// Probes the server in both versions; it must answer in this way. What rustls says of the close and
/// what the timeline has decrypted must agree.
async fn expect(server: &Running, args: &[&str], answer: &str) {
    for version in VERSIONS {
        let report = probe(server, args, version).await;
        assert_fields(&report, &json!({ "close/answer": answer }));
    }
}

async fn probe(server: &Running, args: &[&str], version: Version) -> Value {
    let address = server.address();
    let ca = server.path("cert.pem");
    let version_args = match version {
        Version::Tls12 => &["--tls12"][..],
        Version::Tls13 => &[],
    };
    let common = ["--timeout", "10", "--ca", &ca, &address];
    let (status, report) = probe_with(&[&common[..], version_args, args].concat()).await;
    assert_eq!(status, 0, "{report:#}");
    let name = match version {
        Version::Tls12 => "TLSv1.2",
        Version::Tls13 => "TLSv1.3",
    };
    assert_fields(&report, &json!({ "connection/tls_version": name }));

    let events = report["timeline"].as_array().unwrap();
    let sent = |side: &str, what: &str| {
        let same = |event: &&Value| event["from"] == side && event["what"] == what;
        events.iter().filter(same).count()
    };
    let clean = usize::from(report["close"]["answer"] == "close_notify");
    assert_eq!(sent("server", "close_notify"), clean, "{report:#}");
    assert_eq!(sent("client", "close_notify"), 1, "{report:#}");
    assert_eq!(sent("server", "encrypted"), 0, "{report:#}");
    assert_eq!(sent("client", "encrypted"), 0, "{report:#}");
    let tickets = events.iter().filter(|event| event["what"] == "ticket");
    let tickets: u64 = tickets.map(|event| event["count"].as_u64().unwrap()).sum();
    assert_eq!(report["close"]["tickets"], tickets, "{report:#}");
    report
}
