//! A schedule of two peers: the first byte says which, the others are the choices.

use crate::harness::{Choosing, run, scenarios};

/// Longer schedules only repeat themselves.
const CHOICES: usize = 4096;

pub fn schedules(data: &[u8]) {
    let Some((&number, choices)) = data.split_first() else {
        return;
    };
    let scenarios = scenarios();
    let scenario = &scenarios[usize::from(number) % scenarios.len()];
    let choices = &choices[..choices.len().min(CHOICES)];
    run(scenario, Choosing::Fixed(choices.to_vec()));
}
