//! The TLS sessions of a fleet of servers in Redis, or in Valkey.
//!
//! [`RedisStore`] is a [`FleetStore`](tokio_tls_shutdown::resumption::fleet::FleetStore) for
//! [`tokio_tls_shutdown`]. How sessions are shared, what it costs, and when ticket keys are the better
//! choice is in the documentation of [`resumption::fleet`](tokio_tls_shutdown::resumption::fleet).
//!
//! ```
//! use std::sync::Arc;
//! use tokio_tls_shutdown::{
//!     GracefulAcceptor,
//!     resumption::fleet::{FleetKeys, FleetSessions},
//!     tokio_rustls::rustls::ServerConfig,
//! };
//! use tokio_tls_shutdown_redis::{RedisStore, redis};
//!
//! fn acceptor(config: Arc<ServerConfig>, key: [u8; 32]) -> redis::RedisResult<GracefulAcceptor> {
//!     let store = RedisStore::lazy(redis::Client::open("redis://10.0.0.7/")?);
//!     let sessions = FleetSessions::new(Arc::new(store), FleetKeys::new(key), "www.example.com");
//!     Ok(GracefulAcceptor::new(config).with_fleet_sessions(sessions))
//! }
//! ```
//!
//! # Cost
//!
//! One `GET` or `GETDEL` before a handshake, and after the end of a connection that has brought a
//! session one `SET`, which those that end together share a round trip for. `RESULTS.md` in this
//! package has what the bench `handshakes` has counted and measured beside sessions in memory and
//! ticket keys. With Redis on the same machine, the server's first answer comes 0.1 ms later than with
//! sessions in memory, the processor time of servers and clients is 1.04 times that with memory in TLS
//! 1.3 and 1.14 in TLS 1.2, and 16 clients that come again at once make 0.92 and 0.80 times as many
//! visits.
//!
//! # Redis settings
//!
//! - Redis 6.2 or later, or Valkey, for `GETDEL`.
//! - `maxmemory` and `maxmemory-policy allkeys-lru` (or `volatile-ttl`): a session that is evicted
//!   early costs one full handshake. With `noeviction` a full Redis refuses new sessions.
//! - `save ""` and `appendonly no`: sessions need not survive Redis, and a restored backup would bring
//!   back tickets that were used.
//! - An ACL for these servers alone:
//!   `user tls on >password ~tls:* -@all +get +getdel +set +del +client|setinfo +ping`.
//! - TLS to Redis with the feature `tls-rustls` and `rediss://`. Values are encrypted anyway; without
//!   TLS, who is on the way sees the ACL's password, and can delete sessions.
//!
//! # A Redis that cannot be trusted
//!
//! Who controls Redis, or its connections where they are not over TLS, cannot read, change or make a
//! session: see [`FleetKeys`](tokio_tls_shutdown::resumption::fleet::FleetKeys). But `redis` 1.2 buffers an
//! answer until it is complete, of any length, and goes on with that when nobody waits for it any more: an
//! answer without end **uses up the memory of the server**. No setting limits that. Let the servers
//! connect to a Redis of your own, over TLS where anyone else is on the way, and set a limit of memory for
//! the process.
//!
//! # Clusters and failover
//!
//! With the feature `cluster`, [`RedisStore::lazy_cluster`] connects to a Redis Cluster, and
//! [`RedisStore::new`] takes a `redis::cluster_async::ClusterConnection`. Each session is in a slot of
//! its own, and so a batch of writes is one command to a master for each, sent at the same time. Its
//! ACL has `+cluster|slots`, too.
//!
//! While a master is down, the sessions that it has are not found. Set
//! `cluster-require-full-coverage no`, or no session is, until its replica has taken over. How soon
//! sessions resume after that is up to the cluster's client: that of `redis` 1.2 was seen not to answer
//! for more than 30 seconds after a failover under load, with full handshakes meanwhile.
//!
//! Redis replicates asynchronously: a failover can bring back a ticket that was just taken. If you
//! accept early data, see
//! [what that means](tokio_tls_shutdown::resumption::fleet#when-the-database-fails).
//!
//! Sentinel is not supported: a connection of `redis::sentinel` does not follow a failover by itself.
//! [`RedisStore::new`] takes any connection that does.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod batch;
mod store;

pub use redis;
pub use store::RedisStore;

/// The README, whose code is compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
