//! Thousands of TCP connections, opened and closed for minutes by a server that uses this crate,
//! with peers good and bad. Fails on an outcome that its peer does not account for, on a file
//! descriptor that is left, and on memory that grows.

mod peer;
mod server;
mod usage;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use comfy_table::{Table, presets::ASCII_MARKDOWN};
use tokio::{net::TcpListener, sync::Semaphore, time::sleep};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tls_shutdown::tokio_rustls;
use tokio_tls_shutdown_fuzz::support::CASES;

use crate::{
    peer::Peer,
    server::{Call, Outcome, Server},
    usage::Usage,
};

/// Opens and closes TLS connections by the thousand.
#[derive(Parser)]
struct Args {
    /// For so many minutes.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// So many connections at a time; each takes two file descriptors.
    #[arg(long, default_value_t = 9_000)]
    connections: usize,
    /// Closes take at most so many seconds.
    #[arg(long, default_value_t = 10)]
    deadline: u64,
    /// A connection is idle for at most so many seconds before it is closed.
    #[arg(long, default_value_t = 30)]
    idle: u64,
}

/// How often each call on each kind of peer has ended in each way.
type Counts = Arc<Mutex<BTreeMap<(Peer, Call, Outcome), u64>>>;

/// Each has ports of its own, or those of closed connections would run out.
const ADDRESSES: u8 = 32;
/// Handshakes at a time: more would only run into their deadlines.
const HANDSHAKES: usize = 128;
const OTHER_DESCRIPTORS: usize = 200;

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    let descriptors = 2 * args.connections + OTHER_DESCRIPTORS;
    let limit = rlimit::increase_nofile_limit(u64::MAX)?;
    ensure!(
        limit >= descriptors as u64,
        "{descriptors} file descriptors are needed and {limit} allowed: see `ulimit -n` and --connections"
    );

    let counts = Counts::default();
    let deadline = Duration::from_secs(args.deadline);
    let idle = Duration::from_secs(args.idle);
    let mut sites = Vec::new();
    let mut servers = Vec::new();
    for i in 0..ADDRESSES {
        let listener = TcpListener::bind((Ipv4Addr::new(127, 0, 0, i + 1), 0)).await?;
        let case = CASES[usize::from(i) % CASES.len()];
        let mut config = case.server_config();
        config.send_tls13_tickets = 2;
        sites.push((
            listener.local_addr()?,
            TlsConnector::from(Arc::new(case.client_config())),
        ));
        let server = Server {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            deadline,
            idle,
            counts: counts.clone(),
        };
        servers.push(tokio::spawn(server.run(listener)));
    }
    let before = Usage::now()?;

    let open = Arc::new(Semaphore::new(args.connections));
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let end = Instant::now() + Duration::from_secs_f64(60.0 * args.minutes);
    let mut opened = 0;
    let mut most = before;
    let mut full: Option<Usage> = None;
    let mut next_look = Instant::now();
    while Instant::now() < end {
        let place = open.clone().acquire_owned().await?;
        let turn = handshakes.clone().acquire_owned().await?;
        let (address, connector) = sites[opened % sites.len()].clone();
        let peer = Peer::ALL[opened / sites.len() % Peer::ALL.len()];
        opened += 1;
        tokio::spawn(async move {
            // What becomes of it, the server counts.
            let _ = peer.run(address, connector, turn, deadline).await;
            drop(place);
        });
        if Instant::now() >= next_look {
            next_look += Duration::from_secs(10);
            let now = Usage::now()?;
            most = most.max(now);
            if full.is_none() && open.available_permits() < args.connections / 50 {
                full = Some(now);
            }
            println!("{opened} opened, {now}");
        }
    }
    println!("closing the last");
    let _all = (open.acquire_many(u32::try_from(args.connections)?)).await?;
    // The server's side of the last ones.
    for _ in 0..100 {
        if Usage::now()?.descriptors <= before.descriptors {
            break;
        }
        sleep(Duration::from_millis(100)).await;
    }
    let after = Usage::now()?;

    let wrong = report(&counts);
    println!("{opened} connections; before: {before}; most: {most}; after: {after}");
    let full = full.context("there were never as many connections as asked for")?;
    ensure!(
        wrong == 0,
        "{wrong} outcomes that their peers do not account for"
    );
    ensure!(
        after.descriptors <= before.descriptors,
        "file descriptors are left"
    );
    ensure!(
        most.descriptors <= descriptors,
        "more file descriptors than two for each connection"
    );
    // Those that drain a flood hold more than those that are idle.
    ensure!(
        most.resident_kib < 2 * full.resident_kib,
        "memory has grown since all connections were open ({full})"
    );
    Ok(())
}

/// Prints what has happened and returns how much of it should not have.
fn report(counts: &Counts) -> u64 {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    table.set_header(["peer", "call", "outcome", "times", ""]);
    let mut wrong = 0;
    for ((peer, call, outcome), times) in &*counts.lock().unwrap() {
        let allowed = peer.allows(*outcome);
        if !allowed {
            wrong += times;
        }
        table.add_row([
            format!("{peer:?}"),
            format!("{call:?}"),
            format!("{outcome:?}"),
            times.to_string(),
            if allowed { "" } else { "WRONG" }.to_owned(),
        ]);
    }
    println!("{table}");
    wrong
}
