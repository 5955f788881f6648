//! Closing against TLS stacks that are not ours.
//!
//! Plays the same scenarios with each peer in both roles and both versions of TLS, compares what
//! comes of them with what is expected, and writes the table to `MATRIX.md`.

#![deny(unsafe_code)]

mod driver;
mod far;
mod http;
mod identity;
mod library;
mod ours;
mod peer;
mod peers;
mod process;
mod scenario;
mod stack;
mod table;

use std::{process::ExitCode, sync::Arc, time::Duration};

use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{sync::Semaphore, task::JoinSet, time::timeout};

use crate::{
    driver::{Row, Stage, play_row},
    identity::Identity,
    library::Library,
    peer::{Kind, Peer},
    peers::PEERS,
    process::Process,
};

/// How long all scenarios together may take; building the peers does not count.
const LIMIT: Duration = Duration::from_secs(600);
/// Rows that are played at the same time.
const AT_ONCE: usize = 4;

/// Closes TLS connections with other TLS stacks, and writes MATRIX.md.
#[derive(Parser)]
struct Args {
    /// Only these peers; nothing is written.
    peers: Vec<String>,
    /// Only with our side over this library; nothing is written.
    #[arg(long)]
    library: Option<Library>,
}

impl Args {
    fn libraries(&self) -> impl Iterator<Item = Library> {
        let chosen = self.library;
        Library::ALL
            .into_iter()
            .filter(move |one| chosen.is_none_or(|chosen| chosen == *one))
    }
}

/// A peer and what came of it.
pub(crate) struct Result {
    pub(crate) peer: &'static Peer,
    pub(crate) version: String,
    pub(crate) rows: Vec<Row>,
    pub(crate) missing: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    let chosen = |peer: &Peer| args.peers.is_empty() || args.peers.iter().any(|p| p == peer.key);
    for name in &args.peers {
        anyhow::ensure!(
            PEERS.iter().any(|peer| peer.key == name),
            "no peer is called {name}"
        );
    }
    let identity = Arc::new(Identity::make()?);
    let directory = tempfile::tempdir()?;

    let mut results = Vec::new();
    for peer in PEERS.iter().filter(|peer| chosen(peer)) {
        let own = directory.path().join(peer.key);
        std::fs::create_dir(&own)?;
        let (argv, version, missing) = match prepare(peer, &own).await {
            Ok((argv, version)) => (argv, version, None),
            Err(e) => (Vec::new(), String::new(), Some(format!("{e:#}"))),
        };
        let result = Result {
            peer,
            version,
            rows: Vec::new(),
            missing,
        };
        results.push((result, argv, own));
    }

    let permits = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (index, (result, argv, own)) in results.iter().enumerate() {
        if result.missing.is_some() {
            continue;
        }
        let stage = Stage {
            peer: result.peer,
            argv: argv.clone(),
            identity: Arc::clone(&identity),
            directory: own.clone(),
        };
        for library in args.libraries() {
            for (side, expected) in result.peer.rows(library) {
                let (permits, stage) = (Arc::clone(&permits), stage.clone());
                tasks.spawn(async move {
                    let _permit = permits.acquire_owned().await?;
                    let row = play_row(library, stage, side, expected).await?;
                    anyhow::Ok((index, row))
                });
            }
        }
    }
    // On standard error, if that is a terminal.
    let bar = ProgressBar::new(tasks.len() as u64).with_style(ProgressStyle::with_template(
        "{bar:30} {pos}/{len} rows, {elapsed} of about {duration}: {msg}",
    )?);
    let playing = async {
        while let Some(played) = tasks.join_next().await {
            // A panic ends the run here.
            let (index, row) = played??;
            let result = &mut results[index].0;
            bar.set_message(format!(
                "{} with {}, {}",
                result.peer.name, row.library, row.side
            ));
            bar.inc(1);
            if let Some(version) = &row.version {
                result.version.clone_from(version);
            }
            result.rows.push(row);
        }
        anyhow::Ok(())
    };
    timeout(LIMIT, playing).await??;
    bar.finish_and_clear();

    let results: Vec<_> = results.into_iter().map(|(result, ..)| result).collect();
    let text = table::write(&results);
    if args.peers.is_empty() && args.library.is_none() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/MATRIX.md"), &text)?;
    } else {
        print!("{text}");
    }
    Ok(match report(&results) {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    })
}

/// Builds a peer, or sees that it is installed; returns how to start it and its version.
async fn prepare(
    peer: &Peer,
    directory: &std::path::Path,
) -> anyhow::Result<(Vec<String>, String)> {
    let command = match &peer.kind {
        Kind::Script(script) => return Ok((script.build(directory).await?, String::new())),
        Kind::Pipe(pipe) => pipe.version,
        Kind::Proxy(proxy) => proxy.version,
        Kind::Daemon(daemon) => daemon.version,
        Kind::WebClient(client) => client.version,
    };
    let [program, args @ ..] = command else {
        anyhow::bail!("no command for its version");
    };
    let mut process = Process::start(program, args)?;
    process.stdin = None;
    let version = table::version_in(&process.printed().await);
    Ok((Vec::new(), version))
}

/// Prints what is not as it should be; returns how much that is.
fn report(results: &[Result]) -> usize {
    let mut wrong = 0;
    let mut played = 0;
    for result in results {
        let name = result.peer.name;
        match (&result.missing, result.peer.may_be_missing) {
            (Some(_), Some(reason)) => println!("{name} is missing, as it may be: {reason}"),
            (Some(why), None) => {
                wrong += 1;
                println!("{name} is missing: {why}");
            }
            (None, _) => {}
        }
        for row in &result.rows {
            for cell in row.cells.iter().filter(|cell| cell.observed != "-") {
                if cell.is_as_expected() {
                    played += 1;
                    continue;
                }
                wrong += 1;
                println!(
                    "{name} with {}, {}, {}: expected {}, but {}",
                    row.library,
                    row.side,
                    cell.scenario.title(),
                    cell.expected,
                    cell.observed
                );
            }
        }
    }
    println!("{played} passed, {wrong} failed");
    wrong
}
