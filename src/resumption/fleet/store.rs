//! `FleetStore`: what a database must offer to hold the sessions of a fleet.

use std::{error::Error, future::Future, pin::Pin, time::Duration};

/// Error of a [`FleetStore`]. What it is does not matter: the handshake is a full one.
pub type StoreError = Box<dyn Error + Send + Sync>;

/// Future returned by the methods of a [`FleetStore`].
pub type StoreFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'a>>;

/// A database that holds the sessions of a fleet of servers.
///
/// Names are 32 bytes, and values some hundred bytes more than the client certificates of a
/// session; neither tells anything about a session to those who have no
/// [key](super::FleetKeys).
///
/// It is used as `Arc<dyn FleetStore>`, so that the store is no type parameter of
/// [`GracefulAcceptor`](crate::GracefulAcceptor) and of all that holds one. The boxed future costs
/// one allocation for each round trip.
///
/// A method may take its time, but must not block the thread. Time limits, reconnects of a
/// connection that was idle and back-off are not its concern: see
/// [`FleetSessions`](super::FleetSessions). A future may be dropped at any point. If one panics, also
/// while it is dropped, it counts as an error. With `panic = "abort"` a panic of the store ends the
/// process.
///
/// ```
/// use std::{collections::HashMap, sync::Mutex, time::Duration};
/// use tokio_tls_shutdown::resumption::fleet::{FleetStore, StoreFuture};
///
/// /// For tests: expires nothing.
/// #[derive(Default)]
/// struct InMemory(Mutex<HashMap<Vec<u8>, Vec<u8>>>);
///
/// impl FleetStore for InMemory {
///     fn get<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
///         Box::pin(async { Ok(self.0.lock().unwrap().get(name).cloned()) })
///     }
///
///     fn take<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
///         Box::pin(async { Ok(self.0.lock().unwrap().remove(name)) })
///     }
///
///     fn put<'a>(&'a self, name: &'a [u8], value: &'a [u8], _: Duration) -> StoreFuture<'a, ()> {
///         Box::pin(async {
///             self.0.lock().unwrap().insert(name.to_vec(), value.to_vec());
///             Ok(())
///         })
///     }
///
///     fn remove<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, ()> {
///         Box::pin(async {
///             self.0.lock().unwrap().remove(name);
///             Ok(())
///         })
///     }
/// }
/// ```
pub trait FleetStore: Send + Sync + 'static {
    /// Returns the value with this name, and leaves it where it is.
    ///
    /// # Errors
    ///
    /// If the database does not answer as it should. A value that does not exist is no error.
    fn get<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// Returns the value with this name, and deletes it.
    ///
    /// Of any number of calls at the same time, on whatever machines, only one may return the
    /// value: that is what makes a TLS 1.3 ticket, and the early data with it, single-use. A
    /// database whose deletion reports if there was something to delete can get first and then
    /// delete, and return the value only if that has deleted it.
    ///
    /// # Errors
    ///
    /// As for [`get`](Self::get). Whether the value was deleted is then unknown.
    fn take<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>>;

    /// Stores a value under this name, in place of another one, for the time `ttl` at most.
    ///
    /// `ttl` is a second or more. The database may forget the value earlier.
    ///
    /// # Errors
    ///
    /// If it is not known to be stored.
    fn put<'a>(&'a self, name: &'a [u8], value: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()>;

    /// Deletes the value with this name, if there is one.
    ///
    /// # Errors
    ///
    /// If it is not known to be deleted.
    fn remove<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, ()>;

    /// Performs several lookups, and returns as many results in the same order.
    ///
    /// Defaults to one after the other. A database that can should do it in one round trip.
    ///
    /// # Errors
    ///
    /// If one of them fails.
    fn look_up<'a>(&'a self, lookups: &'a [Lookup]) -> StoreFuture<'a, Vec<Option<Vec<u8>>>> {
        Box::pin(async move {
            let mut found = Vec::with_capacity(lookups.len());
            for lookup in lookups {
                found.push(match lookup {
                    Lookup::Get(name) => self.get(name).await?,
                    Lookup::Take(name) => self.take(name).await?,
                });
            }
            Ok(found)
        })
    }

    /// Performs several writes in this order.
    ///
    /// Defaults to one after the other. A database that can should do it in one round trip.
    ///
    /// # Errors
    ///
    /// If one of them fails. Those before it may have been performed, and those behind it too.
    fn write<'a>(&'a self, writes: &'a [Write]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            for write in writes {
                match write {
                    Write::Put { name, value, ttl } => self.put(name, value, *ttl).await?,
                    Write::Remove { name } => self.remove(name).await?,
                }
            }
            Ok(())
        })
    }
}

/// One lookup of [`FleetStore::look_up`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// [`FleetStore::get`] with this name: a TLS 1.2 session.
    Get(Vec<u8>),
    /// [`FleetStore::take`] with this name: a TLS 1.3 ticket.
    Take(Vec<u8>),
}

/// One write of [`FleetStore::write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Write {
    /// [`FleetStore::put`].
    Put {
        /// The name of the value.
        name: Vec<u8>,
        /// The value.
        value: Vec<u8>,
        /// How long it is kept.
        ttl: Duration,
    },
    /// [`FleetStore::remove`].
    Remove {
        /// The name of the value.
        name: Vec<u8>,
    },
}
