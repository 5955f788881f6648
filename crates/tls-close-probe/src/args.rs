//! The command line.

use std::{fs, path::PathBuf, time::Duration};

use anyhow::Context;
use bstr::ByteVec;
use clap::{ArgGroup, Parser, ValueEnum, builder::styling};
use clap_complete::Shell;

use crate::{fail_on::FailOn, starttls::Starttls};

const STYLES: styling::Styles = styling::Styles::styled()
    .header(styling::AnsiColor::Green.on_default().bold())
    .usage(styling::AnsiColor::Green.on_default().bold())
    .literal(styling::AnsiColor::Cyan.on_default().bold())
    .placeholder(styling::AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Exit status:
  0   every server closed cleanly, or in a way that --fail-on does not name
  1   a server closed in a way that --fail-on names
  2   a server could not be reached, or did not answer in time
  3   a server answered, but no TLS connection came about, or it refused this client
  64  the command line is wrong, or a file cannot be used

Of several servers the worst counts: 2, then 3, then 1; and of the rounds of --watch that were \
finished, also if it was ended by Ctrl-C or SIGTERM.";

const SERVERS: &str = "\
The servers; `-` reads them from standard input, one a line

The port is 443, or that of the --starttls protocol, unless given. An IPv6 address with a port \
is [::1]:443.";

const USAGE: &str = "tls-close-probe [OPTIONS] <HOST[:PORT]>...
       tls-close-probe [OPTIONS] --file <FILE>";

/// Shows how TLS servers close their connections.
///
/// Connects, sends what it is told to, sends close_notify, and reports what comes: the server's own
/// close_notify or none, data, session tickets, and then FIN or RST. A second connection shows
/// whether the session resumes.
#[derive(Parser)]
#[command(name = "tls-close-probe", version, styles = STYLES, after_help = AFTER_HELP, args_override_self = true)]
#[command(override_usage = USAGE)]
#[command(group = ArgGroup::new("what").required(true).multiple(true)
    .args(["servers", "file", "schema", "completions", "man"]))]
pub(crate) struct Args {
    /// The servers; `-` reads them from standard input, one a line
    #[arg(value_name = "HOST[:PORT]", long_help = SERVERS)]
    pub(crate) servers: Vec<String>,

    /// Read more servers from this file, one a line; `#` begins a comment, `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Probe at most this many servers at a time
    #[arg(long, value_name = "N", default_value = "16", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) jobs: u16,

    /// Upgrade a plaintext connection of this protocol to TLS
    #[arg(long, value_name = "PROTOCOL")]
    pub(crate) starttls: Option<Starttls>,

    /// Trust the certificates of this PEM file, in place of the system's
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) ca: Option<PathBuf>,

    /// Accept any certificate
    #[arg(long, conflicts_with = "ca", help_heading = "TLS")]
    pub(crate) insecure: bool,

    /// Use TLS 1.2 instead of the highest version that both sides support
    #[arg(long, help_heading = "TLS")]
    pub(crate) tls12: bool,

    /// The name to ask for (SNI) and to find in the certificate, in place of HOST
    #[arg(long, alias = "server-name", value_name = "NAME", help_heading = "TLS")]
    pub(crate) sni: Option<String>,

    /// The client's certificate chain, a PEM file
    #[arg(long, value_name = "FILE", help_heading = "TLS")]
    pub(crate) cert: Option<PathBuf>,

    /// The private key of --cert, a PEM file; the file of --cert unless given
    #[arg(long, value_name = "FILE", requires = "cert", help_heading = "TLS")]
    pub(crate) key: Option<PathBuf>,

    /// Send this before closing; \r, \n, \t, \0, \\ and \xHH are understood
    #[arg(long, value_name = "TEXT", value_parser = escaped, help_heading = "Before the close")]
    send: Option<String>,

    /// Send the content of this file before closing
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "send",
        help_heading = "Before the close"
    )]
    send_file: Option<PathBuf>,

    /// Limit of each step: connecting, STARTTLS and handshake together; the request and the first
    /// byte of its answer; close_notify; FIN or RST
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) timeout: Duration,

    /// Exit with 1 if a server closes in one of these ways
    #[arg(long, value_name = "WAY", value_delimiter = ',')]
    pub(crate) fail_on: Vec<FailOn>,

    /// Probe again and again, with this pause, until Ctrl-C or SIGTERM
    #[arg(long, value_name = "SECONDS", value_parser = seconds, conflicts_with_all = ["svg", "html"])]
    pub(crate) watch: Option<Duration>,

    /// End --watch after this many rounds
    #[arg(long, value_name = "N", requires = "watch", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: Option<u64>,

    /// Print one JSON object for each server, one a line if there are several
    #[arg(long, help_heading = "Output")]
    pub(crate) json: bool,

    /// Print only the status line, with performance data for Nagios and its kin
    #[arg(long, conflicts_with = "json", help_heading = "Output")]
    pub(crate) nagios: bool,

    /// Print the whole report of each server, not only a table, if there are several
    #[arg(long, short, conflicts_with_all = ["json", "nagios"], help_heading = "Output")]
    pub(crate) verbose: bool,

    /// Write the timeline of the close as a picture; for one server
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) svg: Option<PathBuf>,

    /// Write a page with the results of all servers and their timelines
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) html: Option<PathBuf>,

    /// When to use colours; `auto` respects NO_COLOR
    #[arg(
        long,
        value_name = "WHEN",
        default_value = "auto",
        help_heading = "Output"
    )]
    pub(crate) color: Color,

    /// Print the JSON Schema of what --json prints
    #[arg(long, exclusive = true, help_heading = "About this program")]
    pub(crate) schema: bool,

    /// Print completions for this shell
    #[arg(
        long,
        value_name = "SHELL",
        exclusive = true,
        help_heading = "About this program"
    )]
    pub(crate) completions: Option<Shell>,

    /// Print the man page
    #[arg(long, exclusive = true, help_heading = "About this program")]
    pub(crate) man: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

impl From<Color> for anstream::ColorChoice {
    fn from(color: Color) -> Self {
        match color {
            Color::Auto => Self::Auto,
            Color::Always => Self::Always,
            Color::Never => Self::Never,
        }
    }
}

impl Args {
    /// Returns what to send before closing: nothing unless asked for.
    pub(crate) fn request(&self) -> anyhow::Result<Vec<u8>> {
        Ok(match (&self.send, &self.send_file) {
            (Some(text), _) => Vec::unescape_bytes(text),
            (None, Some(path)) => {
                fs::read(path).with_context(|| format!("failed to read {}", path.display()))?
            }
            (None, None) => Vec::new(),
        })
    }
}

/// Refuses what `request` would take literally.
fn escaped(text: &str) -> Result<String, String> {
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            continue;
        }
        let escape: String = match rest.clone().next() {
            Some('x') => rest.by_ref().take(3).collect(),
            _ => rest.by_ref().take(1).collect(),
        };
        let known = match escape.strip_prefix('x') {
            Some(hex) => hex.len() == 2 && hex.bytes().all(|digit| digit.is_ascii_hexdigit()),
            None => matches!(escape.as_str(), "r" | "n" | "t" | "0" | "\\"),
        };
        if !known {
            return Err(format!(
                "`\\{escape}` is none of \\r, \\n, \\t, \\0, \\\\ and \\xHH"
            ));
        }
    }
    Ok(text.to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    const DAY: f64 = 24.0 * 60.0 * 60.0;
    match text.parse() {
        Ok(seconds) if seconds > 0.0 && seconds <= DAY => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds above 0, up to a day".into()),
    }
}
