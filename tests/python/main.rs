//! Python's `ssl` module as the peer: the transport is used again after TLS.

#[path = "../support/mod.rs"]
mod support;

mod ftp;
mod reuse;

use support::{PemFiles, Program, Version};

/// Starts one of the scripts in `tests/peers`.
fn python(script: &str, args: &[&str], pem: &PemFiles) -> Program {
    let script = format!("{}/tests/peers/{script}", env!("CARGO_MANIFEST_DIR"));
    let files = [&pem.certificate, &pem.key].map(|file| file.path().to_str().unwrap());
    let args = [&[script.as_str()], args, &files].concat();
    Program::start("python3", "python3", args)
}

/// How Python names it.
fn version_name(version: Version) -> &'static str {
    match version {
        Version::Tls12 => "TLSv1_2",
        Version::Tls13 => "TLSv1_3",
    }
}
