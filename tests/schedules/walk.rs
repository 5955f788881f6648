//! Schedules at random, and one again.

use rand::{Rng, SeedableRng, rngs::SmallRng};

use crate::harness::{Choosing, End, run, scenarios};

const SEED: u64 = 6101;
const STEPS: usize = 1_000_000;

fn env(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn a_random_walk_keeps_the_rules() {
    let steps = env("SCHEDULE_STEPS", STEPS);
    let seed = env("SCHEDULE_SEED", usize::try_from(SEED).unwrap());
    let mut rng = SmallRng::seed_from_u64(seed as u64);
    let scenarios = scenarios();
    let (mut runs, mut taken, mut fair, mut clean) = (0, 0, 0, 0);
    while taken < steps {
        let scenario = &scenarios[runs % scenarios.len()];
        let choosing = Choosing::Random {
            seed: rng.random(),
            choices: 1 << rng.random_range(3..12),
        };
        let run = run(scenario, choosing);
        runs += 1;
        taken += run.made.len();
        fair += usize::from(run.fair);
        clean += run.ends.iter().filter(|end| **end == End::Clean).count();
    }
    println!("{taken} steps in {runs} schedules, {fair} of them fair, {clean} clean ends");
    assert!(fair > 0 && clean > 2 * fair, "nothing was cut off");
}

/// Runs the schedule that a failed test has printed.
#[test]
#[ignore = "takes a schedule in SCHEDULE"]
fn replay() {
    let schedule = std::env::var("SCHEDULE").expect("SCHEDULE is what a failed test has printed");
    let (number, made) = schedule.split_once(':').unwrap();
    let made = (made.split(',').filter(|choice| !choice.is_empty()))
        .map(|choice| choice.parse().unwrap())
        .collect();
    let scenario = &scenarios()[number.parse::<usize>().unwrap()];
    println!("{scenario}");
    println!("{:?}", run(scenario, Choosing::Fixed(made)).ends);
}
