//! The TLS sessions of a fleet of servers in Redis, or in Valkey.
//!
//! [`RedisStore`] is a [`FleetStore`] for [`tokio_tls_shutdown`]. How sessions are shared, what it
//! costs, and when ticket keys are the better choice is in the documentation of
//! [`resumption::fleet`](tokio_tls_shutdown::resumption::fleet).
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
//! # Clusters and failover
//!
//! With the feature `cluster`, [`RedisStore::new`] takes a `redis::cluster_async::ClusterConnection`.
//! Redis replicates asynchronously: a failover can bring back a ticket that was just taken. If you
//! accept early data, see
//! [what that means](tokio_tls_shutdown::resumption::fleet#when-the-database-fails).

#![forbid(unsafe_code)]
#![deny(missing_docs)]

use std::{fmt, future::Future, pin::Pin, time::Duration};

use redis::{
    Client, Cmd, Pipeline, RedisResult,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};
use tokio::sync::OnceCell;
use tokio_tls_shutdown::resumption::fleet::{FleetStore, Lookup, StoreFuture, Write};

pub use redis;

/// Longer than any handshake or batch of writes waits.
const LIMIT: Duration = Duration::from_secs(2);

type Connect<C> =
    Box<dyn Fn() -> Pin<Box<dyn Future<Output = RedisResult<C>> + Send>> + Send + Sync>;

/// A store of sessions in Redis.
///
/// Lookups and batches of writes are one pipeline each, and so one round trip. All handshakes share
/// one connection.
pub struct RedisStore<C = ConnectionManager> {
    connection: OnceCell<C>,
    connect: Option<Connect<C>>,
    prefix: Vec<u8>,
}

impl RedisStore {
    /// Creates a new store that connects when it is first used, and again when the connection is
    /// lost.
    ///
    /// So servers start also while Redis is down. Performs no I/O.
    #[must_use]
    pub fn lazy(client: Client) -> Self {
        let connect: Connect<ConnectionManager> = Box::new(move || {
            let client = client.clone();
            // The circuit breaker of `FleetSessions` says when to try again.
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(LIMIT))
                .set_response_timeout(Some(LIMIT));
            Box::pin(ConnectionManager::new_with_config(client, config))
        });
        Self {
            connection: OnceCell::new(),
            connect: Some(connect),
            prefix: default_prefix(),
        }
    }
}

impl<C> RedisStore<C> {
    /// Creates a new store on a connection: a `ConnectionManager` with a configuration of your own,
    /// or a `ClusterConnection`.
    ///
    /// It should reconnect by itself.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self {
            connection: OnceCell::new_with(Some(connection)),
            connect: None,
            prefix: default_prefix(),
        }
    }

    /// Sets what the names in Redis begin with. Defaults to `tls:`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: impl Into<Vec<u8>>) -> Self {
        self.prefix = prefix.into();
        self
    }
}

fn default_prefix() -> Vec<u8> {
    b"tls:".to_vec()
}

impl<C: ConnectionLike + Clone> RedisStore<C> {
    async fn connection(&self) -> RedisResult<C> {
        let connect = async || match &self.connect {
            Some(connect) => connect().await,
            // `new` has filled the cell.
            None => Err((redis::ErrorKind::Io, "no connection").into()),
        };
        self.connection.get_or_try_init(connect).await.cloned()
    }

    fn command(&self, command: &str, name: &[u8]) -> Cmd {
        let mut cmd = redis::cmd(command);
        cmd.arg([&self.prefix, name].concat());
        cmd
    }

    fn put_command(&self, name: &[u8], value: &[u8], ttl: Duration) -> Cmd {
        let mut cmd = self.command("SET", name);
        cmd.arg(value).arg("EX").arg(ttl.as_secs().max(1));
        cmd
    }
}

impl<C: ConnectionLike + Clone + Send + Sync + 'static> FleetStore for RedisStore<C> {
    fn get<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            Ok(self
                .command("GET", name)
                .query_async(&mut connection)
                .await?)
        })
    }

    fn take<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            Ok(self
                .command("GETDEL", name)
                .query_async(&mut connection)
                .await?)
        })
    }

    fn put<'a>(&'a self, name: &'a [u8], value: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            let command = self.put_command(name, value, ttl);
            Ok(command.query_async(&mut connection).await?)
        })
    }

    fn remove<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            Ok(self
                .command("DEL", name)
                .query_async(&mut connection)
                .await?)
        })
    }

    fn look_up<'a>(&'a self, lookups: &'a [Lookup]) -> StoreFuture<'a, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            let mut pipeline = Pipeline::with_capacity(lookups.len());
            for lookup in lookups {
                pipeline.add_command(match lookup {
                    Lookup::Get(name) => self.command("GET", name),
                    Lookup::Take(name) => self.command("GETDEL", name),
                });
            }
            Ok(pipeline.query_async(&mut connection).await?)
        })
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let mut connection = self.connection().await?;
            let mut pipeline = Pipeline::with_capacity(writes.len());
            for write in writes {
                let command = match write {
                    Write::Put { name, value, ttl } => self.put_command(name, value, *ttl),
                    Write::Remove { name } => self.command("DEL", name),
                };
                pipeline.add_command(command).ignore();
            }
            Ok(pipeline.query_async(&mut connection).await?)
        })
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}
