//! The tables of `RESULTS.md`.

use std::{fmt::Write, fs, time::Duration};

use crate::{
    CLIENTS, ONE_BY_ONE, ROUNDS, VISITS,
    counts::Counts,
    site::{Kept, Visit},
};

/// Of one contender, in all rounds.
pub(crate) struct Measured {
    kept: Kept,
    /// Visits in a second, of each round.
    rates: Vec<f64>,
    visits: u64,
    resumed: u64,
    pub(crate) counts: Counts,
    alone: Vec<Duration>,
    alone_resumed: u64,
}

impl Measured {
    pub(crate) fn new(kept: Kept) -> Self {
        Self {
            kept,
            rates: Vec::new(),
            visits: 0,
            resumed: 0,
            counts: Counts::default(),
            alone: Vec::new(),
            alone_resumed: 0,
        }
    }

    pub(crate) fn add_round(&mut self, rate: f64, visits: u64, resumed: u64) {
        self.rates.push(rate);
        self.visits += visits;
        self.resumed += resumed;
    }

    pub(crate) fn add_alone(&mut self, visit: &Visit) {
        self.alone.push(visit.took);
        self.alone_resumed += u64::from(visit.resumed);
    }
}

/// The time that so many of a hundred did not exceed.
fn percentile(times: &[Duration], percent: usize) -> String {
    let mut sorted = times.to_vec();
    sorted.sort();
    let at = sorted.len() * percent / 100;
    let found = sorted.get(at).or(sorted.last());
    found.map_or_else(String::new, |time| {
        format!("{:.2} ms", time.as_secs_f64() * 1e3)
    })
}

/// The median, with the lowest and the highest value.
fn spread(values: impl IntoIterator<Item = f64>, digits: usize) -> String {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let (median, last) = (values[values.len() / 2], values[values.len() - 1]);
    format!(
        "{median:.digits$} ({:.digits$} to {last:.digits$})",
        values[0]
    )
}

pub(crate) struct Report(String);

impl Report {
    pub(crate) fn new(redis: &str) -> Self {
        let visits = ROUNDS * VISITS;
        let alone = ROUNDS * ONE_BY_ONE;
        Self(format!(
            "# Results\n\n\
             Written by `cargo bench -p tokio-tls-shutdown-redis`, with Redis {redis}.\n\n\
             A visit is a TCP connection, a handshake, one byte each way, and a close by both sides. \
             Each client goes from one of two servers to the other. Servers, clients and Redis have \
             one machine in common, so most of a visit is not the sessions' cost. A client waits until \
             what its last visit has brought is there, which clients in earnest do not: this lowers \
             the rate of a fleet, and the more the farther Redis is. All take turns, \
             {ROUNDS} rounds, in another order in each.\n\n\
             - visits/s: {CLIENTS} clients at once, median of the rounds, with the slowest and the \
             fastest; to memory: the ratio to sessions in memory, in each round by itself.\n\
             - processor: time of servers and clients, without Redis, of one of these {visits} visits.\n\
             - commands and round trips, of each of these visits: commands as Redis has counted them \
             (`INFO commandstats`), reads and writes; round trips that the handshake waited for, and \
             those that nobody waited for. Connections that end together share one.\n\
             - median and 99th percentile: from the connected socket until the server's first answer, \
             {alone} visits one after the other. The link with a delay is a task with a timer of 1 ms, \
             which takes up to 1 ms more each way.\n"
        ))
    }

    pub(crate) fn add(&mut self, version: &str, measured: impl Iterator<Item = Measured>) {
        let measured: Vec<_> = measured.collect();
        let memory = measured.iter().find(|one| one.kept == Kept::InMemory);
        let memory = memory
            .map(|memory| memory.rates.clone())
            .unwrap_or_default();
        let out = &mut self.0;
        out.push_str(&format!(
            "\n## {version}\n\n\
             | sessions | resumed | visits/s | to memory | processor | commands | round trips | median | 99th percentile |\n\
             |---|---|---|---|---|---|---|---|---|\n"
        ));
        for one in &measured {
            let each = |n: u64| n as f64 / one.visits as f64;
            let ratios = one
                .rates
                .iter()
                .zip(&memory)
                .map(|(one, memory)| one / memory);
            let counts = &one.counts;
            let _ = writeln!(
                out,
                "| {} | {} of {} | {} | {} | {:.2} ms | {:.2}, {:.2} | {:.2}, {:.2} | {} | {} |",
                one.kept.name(),
                one.resumed + one.alone_resumed,
                one.visits + one.alone.len() as u64,
                spread(one.rates.iter().copied(), 0),
                spread(ratios, 2),
                each(counts.cpu) * 10.0,
                each(counts.reads),
                each(counts.writes),
                each(counts.lookups),
                each(counts.batches),
                percentile(&one.alone, 50),
                percentile(&one.alone, 99),
            );
        }
    }

    pub(crate) fn write(&self) {
        print!("{}", self.0);
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/RESULTS.md");
        fs::write(path, &self.0).unwrap();
    }
}
