//! Shows how TLS servers close their connections.
//!
//! `cargo run --release -p tls-close-probe -- example.com:443`
//!
//! It connects, sends and receives what there is, sends `close_notify`, and looks at what comes: the
//! server's own `close_notify` or none, data, session tickets, and then FIN or RST. A second
//! connection shows whether the session resumes. The README has the options and the exit status.

mod args;
mod certificate_error;
mod close;
mod connect;
mod converse;
mod diagram;
mod documents;
mod fail_on;
mod failure;
mod insecure;
mod many;
mod milliseconds;
mod nagios;
mod observe;
mod options;
mod output;
mod page;
mod paint;
mod probe;
mod report;
mod session;
mod starttls;
mod svg;
mod table;
mod target;
mod text;
mod timeline;
mod trust;
mod verdict;
mod watch;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use anyhow::ensure;
use clap::Parser;

use args::Args;
use nagios::State;
use options::Options;
use output::Output;

/// `EX_USAGE` of sysexits.h: none of the statuses that say something of a server.
const USAGE: u8 = 64;

async fn probe(args: &Args) -> anyhow::Result<State> {
    let targets = target::targets(args)?;
    ensure!(
        args.svg.is_none() || targets.len() == 1,
        "--svg takes one server; see --html for many"
    );
    let options = Options::new(args)?;
    let output = Output::new(args, targets.len())?;
    if args.watch.is_some() {
        return watch::watch(&targets, &options, args, &output).await;
    }
    let reports = many::probe_all(&targets, &options, args.jobs.into(), |report, bar| {
        bar.suspend(|| output.each(report))
    });
    let reports = reports.await?;
    output.round(&reports)?;
    output.files(&reports)?;
    Ok(State::worst(&reports, &args.fail_on))
}

fn run(args: &Args) -> anyhow::Result<u8> {
    if let Some(document) = documents::document(args)? {
        output::print(&document, anstream::ColorChoice::Never)?;
        return Ok(0);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let state = runtime.block_on(probe(args));
    // A name that is still being looked up would hold us up.
    runtime.shutdown_background();
    Ok(state?.exit_code())
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(e) => {
            // If the stream is closed, no one reads it.
            let _ = e.print();
            return match e.use_stderr() {
                true => USAGE.into(),
                false => ExitCode::SUCCESS,
            };
        }
    };
    match run(&args) {
        Ok(code) => code.into(),
        Err(e) => {
            let line = format!("{e:#}").replace('\n', " ");
            let _ = writeln!(io::stderr(), "tls-close-probe: {line}");
            USAGE.into()
        }
    }
}
