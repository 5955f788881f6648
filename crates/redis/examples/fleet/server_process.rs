//! A server as a process of its own.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use anyhow::{Context, Result};
use tokio_tls_shutdown::tokio_rustls::rustls::pki_types::CertificateDer;

/// What the servers of a fleet have in common, and nobody else may know.
pub(crate) struct Secrets {
    pub(crate) certificate: CertificateDer<'static>,
    lines: String,
}

impl Secrets {
    pub(crate) fn generate() -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        // From a secret manager, in earnest.
        let session_key = ring::rand::generate::<[u8; 32]>(&ring::rand::SystemRandom::new());
        let session_key = session_key
            .map(|key| key.expose())
            .map_err(|_| anyhow::anyhow!("no randomness"))?;
        let secrets = [
            hex(made.cert.der()),
            hex(&made.signing_key.serialize_der()),
            hex(&session_key),
        ];
        Ok(Self {
            certificate: made.cert.der().clone(),
            lines: secrets.map(|secret| secret + "\n").concat(),
        })
    }
}

/// Is killed (SIGKILL, where there are signals) when it is dropped.
pub(crate) struct ServerProcess {
    pub(crate) address: SocketAddr,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl ServerProcess {
    /// Starts a program that calls [`serve`](crate::server::serve).
    pub(crate) fn start(program: &mut Command, secrets: &Secrets) -> Result<Self> {
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut stdin = child.stdin.take().context("no standard input")?;
        stdin.write_all(secrets.lines.as_bytes())?;
        let mut stdout = BufReader::new(child.stdout.take().context("no standard output")?);
        // A test program says other things first.
        let address = loop {
            let mut line = String::new();
            if stdout.read_line(&mut line)? == 0 {
                anyhow::bail!("the server has not started");
            }
            if let Ok(address) = line.trim().parse() {
                break address;
            }
        };
        Ok(Self {
            address,
            child,
            stdin: Some(stdin),
            stdout,
        })
    }

    /// Lets it end. Returns what it says.
    pub(crate) fn stop(mut self) -> Result<String> {
        drop(self.stdin.take());
        let mut said = String::new();
        self.stdout.read_to_string(&mut said)?;
        self.child.wait()?;
        Ok(said)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
