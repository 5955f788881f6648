//! Times by criterion, in rounds: in each round all that are compared take turns.

use std::{fs, path::PathBuf, time::Duration};

use criterion::{BenchmarkId, Criterion, SamplingMode};
use serde::Deserialize;

use crate::progress::Progress;

pub(crate) const ROUNDS: usize = 5;

/// Times of one contender, one of each round.
#[derive(Clone, Debug)]
pub(crate) struct Times {
    pub(crate) name: &'static str,
    /// Nanoseconds for one iteration, the median of a round.
    pub(crate) rounds: Vec<f64>,
}

/// Contenders that were measured together.
#[derive(Clone, Debug)]
pub(crate) struct Group {
    pub(crate) name: String,
    pub(crate) times: Vec<Times>,
}

/// A median and what lies around it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

impl Spread {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let middle = values.len() / 2;
        let median = match values.len() % 2 {
            1 => values[middle],
            _ => f64::midpoint(values[middle - 1], values[middle]),
        };
        Self {
            median,
            min: values[0],
            max: values[values.len() - 1],
        }
    }
}

impl Times {
    pub(crate) fn spread(&self) -> Spread {
        Spread::of(self.rounds.iter().copied())
    }

    /// How many times as long as `other`, round by round.
    pub(crate) fn ratio_to(&self, other: &Self) -> Spread {
        let pairs = self.rounds.iter().zip(&other.rounds);
        Spread::of(pairs.map(|(ours, other)| ours / other))
    }
}

impl Group {
    pub(crate) fn get(&self, name: &str) -> &Times {
        let times = self.times.iter().find(|times| times.name == name);
        times.expect("a contender of this group")
    }
}

/// One contender: its name, and what measures so many iterations of it.
pub(crate) type Entry<'a> = (&'static str, Box<dyn FnMut(u64) -> Duration + 'a>);

pub(crate) struct Stopwatch {
    criterion: Criterion,
    dir: PathBuf,
    progress: Progress,
}

#[derive(Deserialize)]
struct Estimates {
    median: Estimate,
}

#[derive(Deserialize)]
struct Estimate {
    point_estimate: f64,
}

impl Stopwatch {
    pub(crate) fn new(progress: Progress) -> Self {
        let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("criterion");
        let criterion = Criterion::default()
            .output_directory(&dir)
            .without_plots()
            .warm_up_time(Duration::from_millis(50))
            .measurement_time(Duration::from_millis(400))
            .nresamples(1000)
            .sample_size(10);
        Self {
            criterion,
            dir,
            progress,
        }
    }

    /// Measures all entries in each round, another one first each time.
    pub(crate) fn measure(&mut self, name: &str, mut entries: Vec<Entry<'_>>) -> Group {
        if self.progress.plans((entries.len() * ROUNDS) as u64) {
            return Group {
                name: name.to_owned(),
                times: Vec::new(),
            };
        }
        let mut group = self.criterion.benchmark_group(name);
        group.sampling_mode(SamplingMode::Flat);
        let mut times: Vec<_> = entries
            .iter()
            .map(|&(name, _)| Times {
                name,
                rounds: Vec::new(),
            })
            .collect();
        for round in 0..ROUNDS {
            for turn in 0..entries.len() {
                let index = (round + turn) % entries.len();
                let (entry, routine) = &mut entries[index];
                self.progress.step(&format!("{name}: {entry}"));
                group.bench_function(BenchmarkId::new(*entry, round), |bencher| {
                    bencher.iter_custom(&mut *routine);
                });
                // As criterion makes file names.
                let path = [name, entry].map(|name| name.replace('/', "_"));
                let path = self.dir.join(&path[0]).join(&path[1]);
                let path = path.join(round.to_string()).join("new/estimates.json");
                let estimates = fs::read(path).expect("what criterion has written");
                let estimates: Estimates = serde_json::from_slice(&estimates).expect("its format");
                times[index].rounds.push(estimates.median.point_estimate);
            }
        }
        group.finish();
        Group {
            name: name.to_owned(),
            times,
        }
    }
}
