//! What can be counted, whatever else the machine does.

use std::fs;

use crate::{redis_server::RedisServer, site::Site};

/// Counts at one moment; a difference of two is what happened in between.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// `GET` and `GETDEL`, as Redis has counted them.
    pub(crate) reads: u64,
    /// `SET` and `DEL`.
    pub(crate) writes: u64,
    /// Round trips that a handshake waited for.
    pub(crate) lookups: u64,
    /// Round trips that nobody waited for.
    pub(crate) batches: u64,
    /// Processor time of this process, servers and clients, in units of 10 ms.
    pub(crate) cpu: u64,
}

impl Counts {
    pub(crate) fn now(site: &Site, redis: &RedisServer) -> Self {
        let stats = || site.fleet.iter().map(|sessions| sessions.stats());
        Self {
            reads: redis.calls("get") + redis.calls("getdel"),
            writes: redis.calls("set") + redis.calls("del"),
            lookups: stats().map(|stats| stats.lookups()).sum(),
            batches: stats().map(|stats| stats.batches).sum(),
            cpu: cpu_ticks(),
        }
    }

    pub(crate) fn add_since(&mut self, before: &Self, after: &Self) {
        self.reads += after.reads - before.reads;
        self.writes += after.writes - before.writes;
        self.lookups += after.lookups - before.lookups;
        self.batches += after.batches - before.batches;
        self.cpu += after.cpu - before.cpu;
    }
}

/// `utime` and `stime` of proc(5); 0 where there is no such file.
fn cpu_ticks() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name of the program, in parentheses, may have spaces.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    fields.filter_map(|field| field.parse::<u64>().ok()).sum()
}
