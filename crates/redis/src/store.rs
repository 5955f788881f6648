//! `RedisStore`: commands, and the connection that they are sent on.

use std::{fmt, future::Future, io, pin::Pin, sync::Arc, time::Duration};

use redis::{
    Client, Cmd, RedisResult,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
};
#[cfg(feature = "cluster")]
use redis::{cluster::ClusterClient, cluster_async::ClusterConnection};
use tokio::sync::OnceCell;
use tokio_tls_shutdown::resumption::fleet::{FleetStore, Lookup, StoreFuture, Write};

use crate::batch::Batches;

/// Longer than any handshake or batch of writes waits.
const LIMIT: Duration = Duration::from_secs(2);

type Connect<C> =
    Arc<dyn Fn() -> Pin<Box<dyn Future<Output = RedisResult<C>> + Send>> + Send + Sync>;

/// A store of sessions in Redis.
///
/// Lookups and batches of writes are one pipeline each, and so one round trip; in a cluster they are
/// sent at the same time. All handshakes share one connection.
pub struct RedisStore<C = ConnectionManager> {
    connection: Arc<OnceCell<C>>,
    connect: Option<Connect<C>>,
    batches: Batches,
    prefix: Vec<u8>,
}

impl RedisStore {
    /// Creates a new store that connects when it is first used, and again when the connection is
    /// lost.
    ///
    /// So servers start also while Redis is down. Performs no I/O.
    #[must_use]
    pub fn lazy(client: Client) -> Self {
        let connect: Connect<ConnectionManager> = Arc::new(move || {
            let client = client.clone();
            // The circuit breaker of `FleetSessions` says when to try again.
            let config = ConnectionManagerConfig::new()
                .set_number_of_retries(1)
                .set_connection_timeout(Some(LIMIT))
                .set_response_timeout(Some(LIMIT));
            Box::pin(ConnectionManager::new_with_config(client, config))
        });
        Self::with_connect(connect, Batches::in_one_pipeline())
    }
}

#[cfg(feature = "cluster")]
impl RedisStore<ClusterConnection> {
    /// Creates a new store in a Redis Cluster, that connects when it is first used.
    ///
    /// So servers start also while the cluster is down. Performs no I/O. Needs the feature `cluster`.
    ///
    /// Let the client retry in some milliseconds, as below. By default it waits for more than a second,
    /// and longer each time: no handshake waits so long, and after a failover it takes longer until
    /// sessions resume.
    ///
    /// ```
    /// use redis::cluster_async::ClusterConnection;
    /// use tokio_tls_shutdown_redis::{RedisStore, redis};
    ///
    /// fn store() -> redis::RedisResult<RedisStore<ClusterConnection>> {
    ///     let nodes = ["redis://10.0.0.7/", "redis://10.0.0.8/", "redis://10.0.0.9/"];
    ///     let client = redis::cluster::ClusterClient::builder(nodes)
    ///         .retries(3)
    ///         .min_retry_wait(10)
    ///         .max_retry_wait(100);
    ///     Ok(RedisStore::lazy_cluster(client.build()?))
    /// }
    /// ```
    #[must_use]
    pub fn lazy_cluster(client: ClusterClient) -> Self {
        let connect: Connect<ClusterConnection> = Arc::new(move || {
            let client = client.clone();
            Box::pin(async move { client.get_async_connection().await })
        });
        Self::with_connect(connect, Batches::by_name())
    }
}

impl<C> RedisStore<C> {
    fn with_connect(connect: Connect<C>, batches: Batches) -> Self {
        Self {
            connection: Arc::new(OnceCell::new()),
            connect: Some(connect),
            batches,
            prefix: default_prefix(),
        }
    }

    /// Creates a new store on a connection: a `ConnectionManager` with a configuration of your own,
    /// or a `ClusterConnection`.
    ///
    /// It should reconnect by itself.
    #[must_use]
    pub fn new(connection: C) -> Self {
        Self {
            connection: Arc::new(OnceCell::new_with(Some(connection))),
            connect: None,
            batches: Batches::in_one_pipeline(),
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

impl<C: ConnectionLike + Clone + Send + Sync + 'static> RedisStore<C> {
    async fn connection(&self) -> RedisResult<C> {
        if let Some(connection) = self.connection.get() {
            return Ok(connection.clone());
        }
        let Some(connect) = self.connect.clone() else {
            // `new` has filled the cell.
            return Err((redis::ErrorKind::Io, "no connection").into());
        };
        // A task, which goes on when a handshake has waited long enough: connecting takes several
        // round trips, and to a cluster more.
        let cell = Arc::clone(&self.connection);
        let connected =
            tokio::spawn(async move { cell.get_or_try_init(|| connect()).await.cloned() });
        connected.await.map_err(io::Error::from)?
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
            let connection = self.connection().await?;
            let commands = lookups.iter().map(|lookup| match lookup {
                Lookup::Get(name) => (&name[..], self.command("GET", name)),
                Lookup::Take(name) => (&name[..], self.command("GETDEL", name)),
            });
            let answers = self.batches.send(&connection, commands.collect()).await?;
            let values = answers.into_iter().map(redis::from_redis_value);
            Ok(values.collect::<Result<_, _>>()?)
        })
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            let connection = self.connection().await?;
            let commands = writes.iter().map(|write| match write {
                Write::Put { name, value, ttl } => (&name[..], self.put_command(name, value, *ttl)),
                Write::Remove { name } => (&name[..], self.command("DEL", name)),
            });
            self.batches.send(&connection, commands.collect()).await?;
            Ok(())
        })
    }
}

impl<C> fmt::Debug for RedisStore<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").finish_non_exhaustive()
    }
}
