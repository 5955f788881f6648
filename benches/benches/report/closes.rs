//! How long a close takes. Handshakes are not measured.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_tls_shutdown_benches::{
    contender::{
        Close, Closes, Contender, Graceful, GracefulOpenSsl, GracefulS2n, OpenSsl, Plain, Recipe,
        RecipeInTime, RustlsNext, RustlsTokioStream, S2n, Way,
    },
    link::{Duplex, Link, Tcp},
    raw::{self, RawPair},
    tls::Version,
};

use crate::stopwatch::{Entry, Group, Stopwatch};

pub(crate) const RECIPE: &str = <Recipe as Closes>::NAME;
pub(crate) const RECIPE_IN_TIME: &str = <RecipeInTime as Closes>::NAME;

/// Connections that are open at the same time.
const BATCH: u64 = 64;

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().build().expect("a runtime")
}

fn in_batches(iterations: u64, mut batch: impl FnMut(u64) -> Duration) -> Duration {
    let mut left = iterations;
    let mut total = Duration::ZERO;
    while left > 0 {
        let now = left.min(BATCH);
        total += batch(now);
        left -= now;
    }
    total
}

fn entry<'a, L: Link, C: Contender<L::Io> + 'a>(contender: C, close: Close) -> Entry<'a> {
    let routine = move |iterations| {
        let runtime = runtime();
        let link = runtime.block_on(L::open());
        in_batches(iterations, |batch| {
            runtime.block_on(async {
                let mut pairs = Vec::new();
                for _ in 0..batch {
                    let mut pair = contender.pair(link.pair().await).await;
                    close.prepare::<_, C>(&mut pair).await;
                    pairs.push(pair);
                }
                let start = Instant::now();
                for pair in &mut pairs {
                    close.run::<_, C>(pair).await;
                }
                start.elapsed()
            })
        })
    };
    (C::NAME, Box::new(routine))
}

fn raw_entry<'a>(close: Close) -> Entry<'a> {
    let client = Arc::new(Version::Tls13.client_config());
    let server = Arc::new(Version::Tls13.server_config());
    let routine = move |iterations| {
        in_batches(iterations, |batch| {
            let mut pairs: Vec<_> = (0..batch).map(|_| RawPair::new(&client, &server)).collect();
            for pair in &mut pairs {
                pair.prepare(close);
            }
            let start = Instant::now();
            for pair in &mut pairs {
                pair.close(close);
            }
            start.elapsed()
        })
    };
    (raw::NAME, Box::new(routine))
}

/// Those that run over any transport.
fn entries<'a, L: Link>(close: Close) -> Vec<Entry<'a>> {
    let version = Version::Tls13;
    vec![
        entry::<L, _>(Way::<Graceful>::new(version), close),
        entry::<L, _>(Way::<Recipe>::new(version), close),
        entry::<L, _>(Way::<RecipeInTime>::new(version), close),
        entry::<L, _>(Way::<Plain>::new(version), close),
        entry::<L, _>(OpenSsl::default(), close),
        entry::<L, _>(GracefulOpenSsl::default(), close),
        entry::<L, _>(S2n::default(), close),
        entry::<L, _>(GracefulS2n::default(), close),
        entry::<L, _>(RustlsNext::new(version), close),
    ]
}

pub(crate) fn measure(stopwatch: &mut Stopwatch) -> Vec<Group> {
    let mut groups = Vec::new();
    for close in [Close::Notify, Close::Bidirectional] {
        let mut over_duplex = entries::<Duplex>(close);
        over_duplex.push(raw_entry(close));
        let name = format!("{close}, {}", Duplex::NAME);
        groups.push(stopwatch.measure(&name, over_duplex));

        let mut over_tcp = entries::<Tcp<true>>(close);
        over_tcp.push(entry::<Tcp<true>, _>(RustlsTokioStream::default(), close));
        let name = format!("{close}, {}", Tcp::<true>::NAME);
        groups.push(stopwatch.measure(&name, over_tcp));
    }
    groups
}
