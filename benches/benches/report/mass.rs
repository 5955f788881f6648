//! Thousands of connections that close at once.

use std::{thread, time::Instant};

use tokio::{
    io::DuplexStream,
    task::{JoinSet, LocalSet},
};
use tokio_tls_shutdown::tokio_rustls::TlsStream;
use tokio_tls_shutdown_benches::{
    contender::{Close, Contender, Graceful, Pair, Recipe, RecipeInTime, Way},
    link::{Duplex, Link},
    tls::Version,
};

use crate::{closes::runtime, progress::Progress, stopwatch::Times};

/// So many connections, so often.
const SIZES: [(usize, usize); 3] = [(1_000, 5), (10_000, 3), (50_000, 1)];

/// Connections of one size.
pub(crate) struct Mass {
    pub(crate) connections: usize,
    /// Nanoseconds for both ends of one connection.
    pub(crate) ours: Times,
    pub(crate) by_hand: Times,
    pub(crate) in_time: Times,
}

pub(crate) fn measure(progress: &Progress) -> Vec<Mass> {
    if progress.plans(SIZES.iter().map(|&(_, rounds)| rounds as u64).sum()) {
        return Vec::new();
    }
    let ours = Way::<Graceful>::new(Version::Tls13);
    let by_hand = Way::<Recipe>::new(Version::Tls13);
    let in_time = Way::<RecipeInTime>::new(Version::Tls13);
    SIZES
        .into_iter()
        .map(|(connections, rounds)| {
            let mut mass = Mass {
                connections,
                ours: times(&ours),
                by_hand: times(&by_hand),
                in_time: times(&in_time),
            };
            for _ in 0..rounds {
                progress.step(&format!("{connections} connections"));
                mass.ours.rounds.push(close_all(&ours, connections));
                mass.by_hand.rounds.push(close_all(&by_hand, connections));
                mass.in_time.rounds.push(close_all(&in_time, connections));
            }
            mass
        })
        .collect()
}

fn times<C: Contender<DuplexStream>>(_: &C) -> Times {
    Times {
        name: C::NAME,
        rounds: Vec::new(),
    }
}

fn close_all<C>(contender: &Way<C>, connections: usize) -> f64
where
    Way<C>: Contender<DuplexStream, Stream = TlsStream<DuplexStream>> + Sync,
{
    let pairs = shake_hands(contender, connections);
    LocalSet::new().block_on(&runtime(), async {
        let mut set = JoinSet::new();
        for mut pair in pairs {
            set.spawn_local(async move {
                Close::Bidirectional.run::<_, Way<C>>(&mut pair).await;
                pair
            });
        }
        let start = Instant::now();
        let closed = set.join_all().await;
        start.elapsed().as_nanos() as f64 / closed.len() as f64
    })
}

/// On all cores, because that is what takes most of the time.
fn shake_hands<C>(contender: &Way<C>, connections: usize) -> Vec<Pair<TlsStream<DuplexStream>>>
where
    Way<C>: Contender<DuplexStream, Stream = TlsStream<DuplexStream>> + Sync,
{
    let threads = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let threads: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    runtime().block_on(async {
                        let mut pairs = Vec::new();
                        for _ in 0..connections / threads {
                            pairs.push(contender.pair(Duplex.pair().await).await);
                        }
                        pairs
                    })
                })
            })
            .collect();
        let pairs = threads.into_iter().map(|thread| thread.join());
        pairs.flat_map(|pairs| pairs.expect("handshakes")).collect()
    })
}
