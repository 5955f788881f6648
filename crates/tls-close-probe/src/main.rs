//! Tells how a TLS server ends a connection.
//!
//! `cargo run --release -p tls-close-probe -- example.com:443`
//!
//! It connects, says and hears what there is, sends close_notify, and looks at what comes: the
//! server's own close_notify or none, data, session tickets, and then FIN or RST. A second
//! connection tells whether the session is resumed.
//!
//! The exit code is 0 when there is a report, whatever it says; 1 when there is none, with one line
//! on stderr; 2 when the command line is wrong.

mod args;
mod close;
mod connect;
mod converse;
mod insecure;
mod report;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;

use args::Args;
use connect::Server;
use report::Report;

async fn probe(args: &Args) -> anyhow::Result<Report> {
    let request = args.request()?;
    let server = Server::new(args)?;
    let mut connected = server.connect().await?;
    let conversation = converse::converse(&mut connected.stream, &request, args.timeout).await;
    let close = close::close(connected.stream, args.timeout).await;
    let again = match server.connect().await {
        Ok(second) => {
            let resumed = second.facts.resumed;
            close::close_politely(second.stream).await;
            Ok(resumed)
        }
        Err(e) => Err(format!("{e:#}")),
    };
    Ok(Report {
        connection: connected.facts,
        conversation,
        close,
        resumed: again.as_ref().ok().copied(),
        resumption_error: again.err(),
    })
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let text = match json {
        true => format!("{}\n", serde_json::to_string_pretty(report)?),
        false => report.to_string(),
    };
    match io::stdout().write_all(text.as_bytes()) {
        // Whoever read it has seen enough.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("the report could not be printed"),
    }
}

fn run(args: &Args) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(probe(args));
    // A name that is still being looked up would hold us up.
    runtime.shutdown_background();
    print(&report?, args.json)
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            let line = format!("{e:#}").replace('\n', " ");
            // There is nobody left to tell if stderr is closed.
            let _ = writeln!(io::stderr(), "tls-close-probe: {line}");
            ExitCode::FAILURE
        }
    }
}
