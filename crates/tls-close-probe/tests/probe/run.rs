//! Runs the program, and checks what it prints against its schema.

use std::{process::Output, process::Stdio, sync::OnceLock};

use jsonschema::Validator;
use serde_json::Value;
use tokio::{io::AsyncWriteExt, process::Command};

use crate::pair::PemFiles;

/// Where events end all that is waited for, a busy machine gets this long.
pub(crate) const PATIENT: [&str; 2] = ["--timeout", "60"];

pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tls-close-probe"));
    command.args(args).kill_on_drop(true);
    // What the one who runs the tests has set.
    command.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE");
    command
}

pub(crate) async fn run(args: &[&str]) -> Output {
    command(args).output().await.unwrap()
}

/// Runs it with a patient time limit; one in `args` wins.
pub(crate) async fn run_probe(args: &[&str]) -> Output {
    run(&[&PATIENT, args].concat()).await
}

pub(crate) async fn run_with_stdin(args: &[&str], stdin: &str) -> Output {
    let mut command = command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    pipe.write_all(stdin.as_bytes()).await.unwrap();
    drop(pipe);
    child.wait_with_output().await.unwrap()
}

pub(crate) fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Runs it with `--json` and the test's certificate as authority; returns the exit status and the
/// report, which the schema allows.
pub(crate) async fn probe(args: &[&str]) -> (i32, Value) {
    let files = PemFiles::write();
    let ca = files.certificate.path().to_str().unwrap();
    probe_with(&[&["--ca", ca], args].concat()).await
}

/// The same without an authority.
pub(crate) async fn probe_with(args: &[&str]) -> (i32, Value) {
    let output = run_probe(&[&["--json"], args].concat()).await;
    assert_eq!(text(&output.stderr), "");
    let report = serde_json::from_slice(&output.stdout).unwrap();
    assert_valid(&report);
    (output.status.code().unwrap(), report)
}

/// The report of a server that there was a connection to.
pub(crate) async fn report(args: &[&str]) -> Value {
    let (status, report) = probe(args).await;
    assert_eq!(status, 0, "{report:#}");
    report
}

#[track_caller]
pub(crate) fn assert_valid(report: &Value) {
    static SCHEMA: OnceLock<Validator> = OnceLock::new();
    let schema = SCHEMA.get_or_init(|| {
        let schema = include_str!("../../report.schema.json");
        jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap()
    });
    if let Err(e) = schema.validate(report) {
        panic!("{e} at {} in {report:#}", e.instance_path);
    }
}

/// Asserts that the report has these fields, named by JSON pointers without the first slash.
#[track_caller]
pub(crate) fn assert_fields(report: &Value, expected: &Value) {
    for (field, value) in expected.as_object().unwrap() {
        let found = report.pointer(&format!("/{field}"));
        assert_eq!(found, Some(value), "{field} in {report:#}");
    }
}

/// Asserts that the command line is refused, and returns the one line that says why.
pub(crate) async fn usage_error(args: &[&str]) -> String {
    let output = run(args).await;
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(64), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?}");
    let mut lines = stderr.lines();
    let line = lines
        .next()
        .and_then(|line| line.strip_prefix("tls-close-probe: "));
    assert_eq!(lines.next(), None, "{args:?}");
    line.unwrap().to_owned()
}
