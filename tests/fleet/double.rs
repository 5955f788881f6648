//! A store in memory that can be as bad as a real one.

use std::{
    collections::HashMap,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep};
use tokio_tls_shutdown::resumption::fleet::{FleetStore, Lookup, StoreFuture, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Answers,
    /// After this time.
    Slow(Duration),
    Hangs,
    Fails,
    Panics,
    /// Lookups are answered, and sessions are refused.
    Full,
    /// Returns fewer values than it was asked for.
    Forgets,
}

/// Values by their names, and when they expire.
type Entries = HashMap<Vec<u8>, (Vec<u8>, Instant)>;

#[derive(Debug)]
pub(crate) struct Double {
    mode: Mutex<Mode>,
    entries: Mutex<Entries>,
    /// Round trips that handshakes wait for, and those that nobody waits for.
    pub(crate) lookups: AtomicUsize,
    pub(crate) writes: AtomicUsize,
    /// Names that were looked up.
    asked: AtomicUsize,
}

impl Double {
    pub(crate) fn new() -> Self {
        Self {
            mode: Mutex::new(Mode::Answers),
            entries: Mutex::default(),
            lookups: AtomicUsize::new(0),
            writes: AtomicUsize::new(0),
            asked: AtomicUsize::new(0),
        }
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    pub(crate) fn entries(&self) -> MutexGuard<'_, Entries> {
        let mut entries = self.entries.lock().unwrap();
        let now = Instant::now();
        entries.retain(|_, (_, until)| *until > now);
        entries
    }

    pub(crate) fn len(&self) -> usize {
        self.entries().len()
    }

    /// Changes every value.
    pub(crate) fn spoil(&self, spoil: impl Fn(&mut Vec<u8>)) {
        self.entries()
            .values_mut()
            .for_each(|(value, _)| spoil(value));
    }

    pub(crate) fn lookups(&self) -> usize {
        self.lookups.load(Ordering::Relaxed)
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn behave(&self, puts: bool) -> Result<Mode, &'static str> {
        let mode = *self.mode.lock().unwrap();
        match mode {
            Mode::Answers | Mode::Forgets => {}
            Mode::Slow(delay) => sleep(delay).await,
            Mode::Hangs => std::future::pending().await,
            Mode::Fails => return Err("down"),
            Mode::Panics => panic!("the store panics"),
            Mode::Full if puts => return Err("full"),
            Mode::Full => {}
        }
        Ok(mode)
    }

    fn put_now(&self, name: &[u8], value: &[u8], ttl: Duration) {
        let entry = (value.to_vec(), Instant::now() + ttl);
        self.entries().insert(name.to_vec(), entry);
    }
}

impl FleetStore for Double {
    fn get<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        let found = self.entries().get(name).map(|(value, _)| value.clone());
        Box::pin(async move { Ok(found) })
    }

    fn take<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        let taken = self.entries().remove(name).map(|(value, _)| value);
        Box::pin(async move { Ok(taken) })
    }

    fn put<'a>(&'a self, name: &'a [u8], value: &'a [u8], ttl: Duration) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.put_now(name, value, ttl);
            Ok(())
        })
    }

    fn remove<'a>(&'a self, name: &'a [u8]) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.entries().remove(name);
            Ok(())
        })
    }

    fn look_up<'a>(&'a self, lookups: &'a [Lookup]) -> StoreFuture<'a, Vec<Option<Vec<u8>>>> {
        self.lookups.fetch_add(1, Ordering::Relaxed);
        self.asked.fetch_add(lookups.len(), Ordering::Relaxed);
        Box::pin(async move {
            let mode = self.behave(false).await?;
            let mut found = Vec::new();
            for lookup in lookups {
                found.push(match lookup {
                    Lookup::Get(name) => self.get(name).await?,
                    Lookup::Take(name) => self.take(name).await?,
                });
            }
            if mode == Mode::Forgets {
                found.clear();
            }
            Ok(found)
        })
    }

    fn write<'a>(&'a self, writes: &'a [Write]) -> StoreFuture<'a, ()> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            let puts = writes
                .iter()
                .any(|write| matches!(write, Write::Put { .. }));
            self.behave(puts).await?;
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
