//! The corpus and bytes at random, where there is no libFuzzer.

use std::{fs, path::Path};

use rand::{Rng, SeedableRng, rngs::SmallRng};

const SEED: u64 = 6101;

fn drive(name: &str, body: fn(&[u8]), inputs: usize) {
    crate::let_rustls_unwind();
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(name);
    let mut files = 0;
    for file in fs::read_dir(corpus).unwrap() {
        let path = file.unwrap().path();
        println!("{}", path.display());
        body(&fs::read(path).unwrap());
        files += 1;
    }
    assert!(files > 0, "an empty corpus");
    let inputs = std::env::var("FUZZ_INPUTS").map_or(inputs, |n| n.parse().unwrap());
    for i in 0..inputs as u64 {
        println!("input {i} of seed {SEED}");
        let mut rng = SmallRng::seed_from_u64(SEED + i);
        let mut data = vec![0; rng.random_range(1..300)];
        rng.fill(&mut data[..]);
        body(&data);
    }
}

#[test]
fn after_close_notify() {
    drive("after_close_notify", crate::after_close_notify, 2_000);
}

#[test]
fn aligned() {
    drive("aligned", crate::aligned, 2_000);
}

#[test]
fn client_hello() {
    drive("client_hello", crate::client_hello, 2_000);
}

#[test]
fn schedules() {
    drive("schedules", crate::schedules, 500);
}

#[test]
fn calls() {
    drive("calls", crate::calls::calls, 1_000);
}
