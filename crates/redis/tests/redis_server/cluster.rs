//! A Redis Cluster of the test's own: three masters.

use std::{
    process::Command,
    thread::sleep,
    time::{Duration, Instant},
};

use super::{RedisServer, free_port};

const MASTERS: usize = 3;

pub struct RedisCluster {
    masters: Vec<RedisServer>,
}

impl RedisCluster {
    pub fn start() -> Self {
        let node = |_| {
            let bus = free_port().to_string();
            let settings = [
                ["--cluster-enabled", "yes"],
                // The default is the port and 10,000, which may be no port.
                ["--cluster-port", &bus],
                // In milliseconds; a part of it passes until the cluster is up.
                ["--cluster-node-timeout", "1000"],
            ];
            let settings = settings.as_flattened().iter().map(|&word| word.to_owned());
            RedisServer::start_with(settings.collect())
        };
        let this = Self {
            masters: (0..MASTERS).map(node).collect(),
        };
        let addresses = (this.masters.iter()).map(|node| format!("127.0.0.1:{}", node.port()));
        let created = Command::new("redis-cli")
            .args(["--cluster", "create"])
            .args(addresses)
            .arg("--cluster-yes")
            .output()
            .expect("install redis-server, which brings redis-cli: tests/install.sh does");
        let said = String::from_utf8_lossy(&created.stdout);
        assert!(created.status.success(), "{said}");
        let started = Instant::now();
        while !this.is_up() {
            assert!(started.elapsed() < Duration::from_secs(30), "{said}");
            sleep(Duration::from_millis(10));
        }
        this
    }

    fn is_up(&self) -> bool {
        self.masters.iter().all(|master| {
            let says = |field| master.field("CLUSTER INFO", field);
            // Before a master knows the others, it may say that all is well.
            says("cluster_size") == "3"
                && says("cluster_slots_ok") == "16384"
                && says("cluster_state") == "ok"
        })
    }

    /// The URLs of some nodes, as a client is told them.
    pub fn urls(&self) -> Vec<String> {
        self.masters.iter().map(RedisServer::url).collect()
    }

    /// How many sessions each master has.
    pub fn len_of_each(&self) -> Vec<usize> {
        self.masters.iter().map(RedisServer::len).collect()
    }
}
