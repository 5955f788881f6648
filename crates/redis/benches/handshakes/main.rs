//! What a fleet's sessions cost, beside sessions in memory and ticket keys. Writes `RESULTS.md`.
//!
//! `cargo bench -p tokio-tls-shutdown-redis`. Two servers and their clients are in one process, on
//! loopback, with a `redis-server` of its own. All take turns, in another order in each round, so that
//! a change of the machine's load meets all of them; a ratio is taken in each round by itself.

mod counts;
#[path = "../../tests/redis_server/mod.rs"]
mod redis_server;
mod report;
mod site;

use std::{sync::Arc, time::Instant};

use redis_server::RedisServer;
use tokio::task::JoinSet;
use tokio_tls_shutdown::{
    GracefulConnector,
    tokio_rustls::rustls::version::{TLS12, TLS13},
};

use counts::Counts;
use report::{Measured, Report};
use site::{Kept, Site};

const ROUNDS: usize = 7;
const CLIENTS: usize = 16;
/// In one round, by all clients at once.
const VISITS: usize = 960;
/// In one round, one after the other.
const ONE_BY_ONE: usize = 300;

struct Contender {
    site: Arc<Site>,
    clients: Vec<GracefulConnector>,
    measured: Measured,
}

impl Contender {
    async fn start(site: Site) -> Self {
        let clients: Vec<_> = (0..CLIENTS).map(|_| site.client()).collect();
        // The first handshake of each server is a full one, and so is the first of each client.
        for n in 0..4 {
            site.visit(&site.client(), n).await;
        }
        for client in &clients {
            site.visit(client, 0).await;
        }
        Self {
            measured: Measured::new(site.kept),
            site: Arc::new(site),
            clients,
        }
    }

    async fn round(&mut self, redis: &RedisServer) {
        let before = Counts::now(&self.site, redis);
        let start = Instant::now();
        let mut tasks = JoinSet::new();
        for client in &self.clients {
            let (site, client) = (Arc::clone(&self.site), client.clone());
            tasks.spawn(async move {
                let mut resumed = 0;
                for n in 0..VISITS / CLIENTS {
                    resumed += u64::from(site.visit(&client, n).await.resumed);
                }
                resumed
            });
        }
        let resumed: u64 = tasks.join_all().await.into_iter().sum();
        let rate = VISITS as f64 / start.elapsed().as_secs_f64();
        let after = Counts::now(&self.site, redis);
        self.measured.add_round(rate, VISITS as u64, resumed);
        self.measured.counts.add_since(&before, &after);
        for n in 0..ONE_BY_ONE {
            let visit = self.site.visit(&self.clients[0], n).await;
            self.measured.add_alone(&visit);
        }
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let redis = RedisServer::start();
    let mut report = Report::new(&redis.info("server", "redis_version"));
    for (version, tls) in [("TLS 1.3", &TLS13), ("TLS 1.2", &TLS12)] {
        let mut contenders = Vec::new();
        for kept in Kept::ALL {
            contenders.push(Contender::start(Site::start(kept, tls, &redis).await).await);
        }
        for round in 0..=ROUNDS {
            let len = contenders.len();
            for at in 0..len {
                contenders[(at + round) % len].round(&redis).await;
            }
            eprintln!("{version}, round {round} of {ROUNDS}");
            if round == 0 {
                // To warm up.
                for contender in &mut contenders {
                    contender.measured = Measured::new(contender.site.kept);
                }
            }
        }
        report.add(version, contenders.into_iter().map(|one| one.measured));
    }
    report.write();
}
