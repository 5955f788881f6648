//! The command line.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;
use bstr::ByteVec;
use clap::Parser;

/// Tells how a TLS server ends a connection.
#[derive(Parser)]
#[command(name = "tls-close-probe")]
pub(crate) struct Args {
    /// The server; the port is 443 unless given, an IPv6 address with a port is [::1]:443
    #[arg(value_name = "HOST:PORT")]
    pub(crate) server: String,

    /// Trust the certificates of this PEM file, in place of the system's
    #[arg(long, value_name = "FILE")]
    pub(crate) ca: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, conflicts_with = "ca")]
    pub(crate) insecure: bool,

    /// Speak TLS 1.2 instead of the best that both know
    #[arg(long)]
    pub(crate) tls12: bool,

    /// The name to ask for and to find in the certificate, in place of HOST
    #[arg(long, value_name = "NAME")]
    pub(crate) server_name: Option<String>,

    /// Send this first; \r, \n, \t, \0, \\ and \xHH are understood
    #[arg(long, value_name = "TEXT")]
    send: Option<String>,

    /// Send the content of this file first
    #[arg(long, value_name = "FILE", conflicts_with = "send")]
    send_file: Option<PathBuf>,

    /// How long each step may take: the connection with its handshake, the request and the first
    /// byte that answers it, the wait for close_notify, the wait for FIN or RST
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Print the report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl Args {
    /// What to send before closing; nothing unless asked for.
    pub(crate) fn request(&self) -> anyhow::Result<Vec<u8>> {
        Ok(match (&self.send, &self.send_file) {
            (Some(text), _) => Vec::unescape_bytes(text),
            (None, Some(path)) => {
                fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?
            }
            (None, None) => Vec::new(),
        })
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    const DAY: f64 = 24.0 * 60.0 * 60.0;
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && seconds <= DAY => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds above 0, up to a day".into()),
    }
}
