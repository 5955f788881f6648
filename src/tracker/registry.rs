//! What the connections of one tracker share.
//!
//! # Invariants
//!
//! 1. A connection is in `entries` from its registration until it is counted in `stats`, both in
//!    the same shard and both changed under one lock. A look at all shards together therefore sees
//!    each connection exactly once: open or counted.
//! 2. `open` is raised before an entry is added and lowered after it was removed: it is never below
//!    the number of entries. When it is zero, every connection that was registered is counted and
//!    its report was made.
//! 3. `draining` and `aborted` are set once and never reset, each before a task is woken for it:
//!    `draining` after the counts of that drain were taken, `aborted` with all shards locked, so
//!    that who ends because of it is in the numbers of that drain.
//! 4. Wakers and the user's callback are called, cloned and dropped with no lock held: they may run
//!    anything, also what registers, leaves or looks at this tracker. (A comparison of two wakers
//!    runs no foreign code, and is done in the lock.)
//!
//! # Lock order
//!
//! 1. shards, in the order of their index;
//! 2. nothing else: who holds the lock of an entry or of a wait list takes no other, and no
//!    such lock is taken while a shard is locked.
//!
//! # Who contends
//!
//! Between its registration and its end a connection takes only the lock of its own entry, which
//! only an abort takes besides, once. Registration and end take the lock of one shard for one
//! change of a map, a tenth of a microsecond next to a handshake of a hundred: with 16 shards even a
//! machine that does nothing but handshakes does not notice. Only who asks for the counts (`stats`,
//! the begin and the end of a drain, an abort) locks all shards.

use std::{
    array,
    collections::BTreeMap,
    fmt, mem,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use crate::{
    foreign,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    tracker::{
        report::CloseReport,
        stats::CloseStats,
        wait_list::{Ticket, WaitList},
    },
};

/// Fewer under the model checker: each lock multiplies the schedules.
const SHARDS: usize = if cfg!(shuttle) { 2 } else { 16 };

pub(super) type OnClose = Box<dyn Fn(&CloseReport) + Send + Sync>;

#[derive(Default)]
pub(super) struct Registry {
    shards: [Mutex<State>; SHARDS],
    next: AtomicU64,
    open: AtomicUsize,
    draining: AtomicBool,
    aborted: AtomicBool,
    on_empty: WaitList,
    on_draining: WaitList,
    on_close: Option<OnClose>,
}

#[derive(Default)]
struct State {
    /// By age, so that the oldest is woken first.
    entries: BTreeMap<u64, Arc<Entry>>,
    stats: CloseStats,
}

/// All shards at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Snapshot {
    pub(super) open: usize,
    pub(super) stats: CloseStats,
}

impl Registry {
    pub(super) fn new(on_close: Option<OnClose>) -> Self {
        Self {
            on_close,
            ..Self::default()
        }
    }

    pub(super) fn len(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        // All locks first, or a connection that ends in between is in neither number.
        let shards = self.lock_all();
        let mut sum = Snapshot::default();
        for shard in &shards {
            sum.open += shard.entries.len();
            sum.stats.add(&shard.stats);
        }
        sum
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Begins a drain, and returns the counts from before it was announced.
    pub(super) fn begin_drain(&self) -> Snapshot {
        let before = self.snapshot();
        self.draining.store(true, Ordering::SeqCst);
        self.on_draining.wake_all();
        before
    }

    /// Aborts every connection, those that are still to come too. Returns how many are open.
    pub(super) fn abort_all(&self) -> usize {
        let entries: Vec<_> = {
            // In the locks, or one that sees the flag and leaves at once is not among those open.
            let shards = self.lock_all();
            self.aborted.store(true, Ordering::SeqCst);
            let entries = shards.iter().flat_map(|shard| shard.entries.values());
            entries.map(Arc::clone).collect()
        };
        entries.iter().for_each(|entry| entry.wake());
        entries.len()
    }

    fn lock_all(&self) -> [MutexGuard<'_, State>; SHARDS] {
        array::from_fn(|shard| lock(&self.shards[shard]))
    }

    pub(super) fn register(self: &Arc<Self>) -> TrackerGuard {
        self.open.fetch_add(1, Ordering::SeqCst);
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::<Entry>::default();
        lock(self.shard(id)).entries.insert(id, Arc::clone(&entry));
        TrackerGuard {
            registry: Arc::clone(self),
            id,
            entry,
        }
    }

    fn shard(&self, id: u64) -> &Mutex<State> {
        &self.shards[(id % SHARDS as u64) as usize]
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.on_empty.len() + self.on_draining.len()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No invariant can be left broken: nothing that may panic runs in a lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who waits for one connection.
#[derive(Default)]
struct Entry {
    wakers: Mutex<[Option<Waker>; 2]>,
}

impl Entry {
    fn set_waker(&self, waker: &Waker, side: Side) {
        let is_known = |known: &Option<Waker>| known.as_ref().is_some_and(|w| w.will_wake(waker));
        if is_known(&lock(&self.wakers)[side as usize]) {
            return;
        }
        // Only the connection itself calls this, so nothing comes between the two locks but an
        // abort, and that is seen afterwards.
        let waker = waker.clone();
        let before = lock(&self.wakers)[side as usize].replace(waker);
        drop(before);
    }

    fn wake(&self) {
        let wakers = mem::take(&mut *lock(&self.wakers));
        for waker in wakers.into_iter().flatten() {
            foreign::call(|| waker.wake());
        }
    }
}

/// Which of the two tasks that a stream may have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Read,
    Write,
}

/// The place of one connection in a tracker. It does not leave by itself: only its owner knows how
/// the connection ended.
pub(super) struct TrackerGuard {
    registry: Arc<Registry>,
    id: u64,
    entry: Arc<Entry>,
}

impl TrackerGuard {
    pub(super) fn is_with(&self, registry: &Arc<Registry>) -> bool {
        Arc::ptr_eq(&self.registry, registry)
    }

    /// Returns `true` if the tracker calls back with a report.
    pub(super) fn wants_report(&self) -> bool {
        self.registry.on_close.is_some()
    }

    /// Returns `true` if the connection was aborted. For a poll that does not block; one that does
    /// has to be woken, by [`poll_aborted`](Self::poll_aborted).
    pub(super) fn is_aborted(&self) -> bool {
        self.registry.aborted.load(Ordering::Relaxed)
    }

    /// Returns `true` if the connection was aborted; if not, the caller is woken when it is.
    pub(super) fn poll_aborted(&self, cx: &Context<'_>, side: Side) -> bool {
        let aborted = || self.registry.aborted.load(Ordering::SeqCst);
        if aborted() {
            return true;
        }
        self.entry.set_waker(cx.waker(), side);
        // An abort sets the flag first and then takes the wakers: either it has found this one, or
        // the lock of the entry orders the flag before this look.
        aborted()
    }

    /// Calls the user's callback, which may panic. To be called before [`leave`](Self::leave): who
    /// waits for the tracker may rely on it.
    pub(super) fn call_back(&self, report: &CloseReport) {
        if let Some(on_close) = &self.registry.on_close {
            on_close(report);
        }
    }

    /// Counts the connection and forgets it. To be called once.
    pub(super) fn leave(&self, report: &CloseReport) {
        {
            let mut state = lock(self.registry.shard(self.id));
            state.stats.count(report.outcome(), report.discarded());
            state.entries.remove(&self.id);
        }
        if self.registry.open.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.registry.on_empty.wake_all();
        }
    }

    /// Makes the tasks that wait for the connection poll it again.
    pub(super) fn wake(&self) {
        self.entry.wake();
    }
}

impl fmt::Debug for TrackerGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TrackerGuard").field(&self.id).finish()
    }
}

/// What a task can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Empty,
    Draining,
}

/// Waits until a condition holds. Holds its place in the list until it is dropped.
pub(super) struct Wait {
    registry: Arc<Registry>,
    condition: Condition,
    ticket: Ticket,
}

impl Wait {
    pub(super) fn new(registry: &Arc<Registry>, condition: Condition) -> Self {
        Self {
            registry: Arc::clone(registry),
            condition,
            ticket: Ticket::default(),
        }
    }

    fn list(&self) -> &WaitList {
        match self.condition {
            Condition::Empty => &self.registry.on_empty,
            Condition::Draining => &self.registry.on_draining,
        }
    }
}

impl Clone for Wait {
    fn clone(&self) -> Self {
        Self::new(&self.registry, self.condition)
    }
}

impl Future for Wait {
    type Output = ();

    fn poll(mut self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut ticket = mem::take(&mut self.ticket);
        let poll = self.list().poll(cx, &mut ticket, || match self.condition {
            Condition::Empty => self.registry.len() == 0,
            Condition::Draining => self.registry.is_draining(),
        });
        if poll.is_ready() {
            self.list().remove(&mut ticket);
        }
        self.ticket = ticket;
        poll
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let mut ticket = mem::take(&mut self.ticket);
        self.list().remove(&mut ticket);
    }
}
