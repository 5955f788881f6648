//! One scripted peer and random calls, on a plain stream and on two kinds of `GracefulStream`: each
//! keeps the rules of a close, and all come to the same.
//!
//! A script follows from a seed. It says what the peer sends, what the transport does with each byte,
//! and what is called. An oracle that knows nothing of rustls opens what we put on the wire.
//! `oracle` has the rules for each stream, `compare` where two streams may differ, and `known` what
//! is known to be wrong.
//!
//! Of the environment it takes `DIFFERENTIAL_RUNS`, `DIFFERENTIAL_SEED`, and `DIFFERENTIAL_ALL` to
//! list all that fails in place of the first.
#![allow(unreachable_pub, reason = "the modules of one program")]

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod compare;
mod facts;
mod handshake;
mod keys;
mod known;
mod minimise;
mod oracle;
mod peer;
mod run;
mod script;
mod side;
mod transport;
mod wire;

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, Ordering},
};

use calls::Kind;
use compare::{Compared, compare};
use known::known;
use minimise::minimise;
use run::{Clock, run};
use script::Script;

/// How many scripts are run, unless DIFFERENTIAL_RUNS says otherwise.
const RUNS: u64 = if cfg!(debug_assertions) {
    1_000
} else {
    100_000
};

/// More than there are processors: a close that waits for the reactor sleeps.
const THREADS: u64 = 16;

fn env(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

/// How far the other streams were compared with a `GracefulStream`: a plain one, a lingering one.
type Coverage = [Option<Compared>; 2];

fn check(script: &Script, clock: &Clock) -> Result<Coverage, String> {
    let run = |kind| run(script, kind, clock).map_err(|violation| violation.to_string());
    let graceful = run(Kind::Graceful)?;
    let linger = run(Kind::Linger)?;
    let linger = compare(script, &graceful, &linger, Kind::Linger)?;
    let plain = match script.is_common() {
        true => Some(compare(script, &graceful, &run(Kind::Plain)?, Kind::Plain)?),
        false => None,
    };
    Ok([plain, Some(linger)])
}

/// What is wrong, without the numbers and without where.
fn class(what: &str) -> String {
    let what = match what.split_once("): ") {
        Some((_, what)) if !what.contains("GracefulStream") => what,
        _ => what,
    };
    what.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Nothing of what panics here is of interest before it is known which script it was.
fn let_panics_be_silent() {
    std::panic::set_hook(Box::new(|panic| {
        let file = panic.location().map_or("", |location| location.file());
        if file.contains("differential") {
            eprintln!("{panic}");
        }
    }));
}

#[test]
fn random_scripts_keep_the_rules_on_every_stream() {
    let_panics_be_silent();
    let first = env("DIFFERENTIAL_SEED", 1);
    let runs = env("DIFFERENTIAL_RUNS", RUNS);
    // For who looks at all that is wrong, not only at the first.
    let goes_on = std::env::var_os("DIFFERENTIAL_ALL").is_some();
    let stopped = AtomicBool::new(false);
    let check_some = |thread: u64| {
        let clock = Clock::new();
        let seeds = (first + thread..first + runs).step_by(THREADS as usize);
        let seeds = seeds.take_while(|_| !stopped.load(Ordering::Relaxed));
        let results = seeds.map(|seed| (seed, check(&Script::new(seed), &clock)));
        let results = results.inspect(|(_, result)| {
            if matches!(result, Err(what) if !goes_on && known(&class(what)).is_none()) {
                stopped.store(true, Ordering::Relaxed);
            }
        });
        results.collect::<Vec<_>>()
    };
    let mut results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || check_some(thread)))
            .collect();
        let results = threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap());
        results.collect()
    });
    results.sort_by_key(|&(seed, _)| seed);
    let mut coverage = BTreeMap::<_, usize>::new();
    let mut failed = BTreeMap::<String, (u64, usize)>::new();
    let mut excluded = BTreeMap::<_, (u64, usize)>::new();
    for (seed, result) in results {
        match result {
            Ok([plain, linger]) => {
                for compared in [("plain", plain), ("linger", linger)] {
                    *coverage.entry(compared).or_default() += 1;
                }
            }
            Err(what) => match known(&class(&what)) {
                Some(why) => excluded.entry(why).or_insert((seed, 0)).1 += 1,
                None if goes_on => failed.entry(class(&what)).or_insert((seed, 0)).1 += 1,
                None => panic!(
                    "seed {seed}: {what}\nto run it again: DIFFERENTIAL_SEED={seed} cargo test \
                     --test differential replay -- --ignored --nocapture"
                ),
            },
        }
    }
    println!("{runs} scripts");
    for ((stream, compared), n) in coverage {
        let how = compared.map_or("not run".to_owned(), |compared| format!("{compared:?}"));
        println!("{n} {stream}: {how}");
    }
    for (why, (seed, n)) in excluded {
        println!("known, {n} times, first by seed {seed}: {why}");
    }
    for (what, (seed, n)) in &failed {
        println!("FAILED {n} times, first by seed {seed}: {what}");
    }
    assert!(failed.is_empty());
}

/// Runs the script of a seed that a failed test has printed, and the shortest that fails likewise.
#[test]
#[ignore = "takes a seed in DIFFERENTIAL_SEED"]
fn replay() {
    let_panics_be_silent();
    let clock = Clock::new();
    let script = Script::new(env("DIFFERENTIAL_SEED", 1));
    println!("{script:#?}");
    if let Err(what) = check(&script, &clock) {
        println!("{what}");
        let wanted = class(&what);
        let fails =
            |script: &Script| check(script, &clock).is_err_and(|what| class(&what) == wanted);
        let shortest = minimise(script, fails);
        println!("the shortest that fails likewise: {shortest:?}");
        panic!("{}", check(&shortest, &clock).unwrap_err());
    }
}
