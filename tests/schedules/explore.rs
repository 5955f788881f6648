//! All schedules up to a depth.

use std::collections::{HashMap, VecDeque};

use crate::harness::{Choosing, Run, Scenario, Wire, run, scenarios};

/// How many choices are free; then the transport is fair.
const DEPTH: usize = 6;

/// Runs every schedule whose first `depth` choices differ, but only one of those that have reached
/// the same point. Returns how many it has run.
fn explore(scenario: &Scenario, depth: usize) -> usize {
    let mut runs = 0;
    // At how many choices each point was reached, at least.
    let mut seen: HashMap<(u64, Vec<u8>), usize> = HashMap::new();
    let mut open = VecDeque::from([Vec::new()]);
    while let Some(prefix) = open.pop_front() {
        let Run {
            made, of, before, ..
        } = run(scenario, Choosing::Fixed(prefix.clone()));
        runs += 1;
        for at in prefix.len()..made.len().min(depth) {
            // Choices in the middle of a poll are part of the point.
            let poll = (0..=at).rev().take_while(|&i| before[i] == before[at]);
            let point = (before[at], made[poll.last().unwrap()..at].to_vec());
            let reached = seen.entry(point).or_insert(usize::MAX);
            if *reached <= at {
                break;
            }
            *reached = at;
            for other in 1..of[at] {
                open.push_back([&made[..at], &[other]].concat());
            }
        }
    }
    runs
}

fn explore_all(depth: usize, of_wire: fn(Wire) -> bool) {
    let mut runs = 0;
    for scenario in scenarios().iter().filter(|s| of_wire(s.wire)) {
        let here = explore(scenario, depth);
        println!("{here} schedules: {scenario}");
        runs += here;
    }
    println!("{runs} schedules altogether");
}

fn depth() -> usize {
    std::env::var("SCHEDULE_DEPTH").map_or(DEPTH, |depth| depth.parse().unwrap())
}

#[test]
fn every_schedule_on_a_transport_that_delivers_what_is_written() {
    explore_all(depth(), |wire| wire == Wire::Plain);
}

#[test]
fn every_schedule_on_a_transport_that_delivers_what_is_flushed() {
    explore_all(depth(), |wire| wire == Wire::Buffered);
}
