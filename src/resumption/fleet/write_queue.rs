//! The writes that no task waits for: a bounded queue, and one task while there is something in it.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    runtime::Handle,
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    call,
    circuit::Circuit,
    observe,
    stats::{Counters, WriteResult},
    store::{FleetStore, Write},
};

/// How long the store may take for one batch.
const TIMEOUT: Duration = Duration::from_secs(1);
/// When to look again whether a removal can be sent, unless the circuit says when.
const RETRY: Duration = Duration::from_secs(1);
const MAX_BATCH: usize = 128;

pub(super) struct WriteQueue {
    store: Arc<dyn FleetStore>,
    counters: Arc<Counters>,
    circuit: Arc<Circuit>,
    state: Mutex<State>,
    idle: Notify,
}

struct State {
    writes: VecDeque<Write>,
    /// Sessions are dropped when this many writes wait, and removals when twice as many do: one
    /// that is lost leaves the session of a failed connection in the store.
    capacity: usize,
    has_worker: bool,
    /// The runtime of a handshake. A connection may be dropped outside of any.
    runtime: Option<Handle>,
}

impl WriteQueue {
    pub(super) fn new(store: Arc<dyn FleetStore>, counters: Arc<Counters>) -> Self {
        Self {
            store,
            counters,
            circuit: Arc::new(Circuit::new(observe::writes_changed)),
            state: Mutex::new(State {
                writes: VecDeque::new(),
                capacity: 1024,
                has_worker: false,
                runtime: None,
            }),
            idle: Notify::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_capacity(&self, capacity: usize) {
        self.state().capacity = capacity;
    }

    pub(super) fn set_runtime(&self, runtime: &Handle) {
        let known = self.state().runtime.replace(runtime.clone());
        // Not in the lock.
        drop(known);
    }

    pub(super) fn len(&self) -> usize {
        self.state().writes.len()
    }

    pub(super) fn is_broken(&self) -> bool {
        self.circuit.is_open()
    }

    /// Queues writes, in this order.
    pub(super) fn push(self: &Arc<Self>, writes: Vec<Write>) {
        let pausing = self.circuit.is_pausing();
        let mut dropped = 0;
        let mut state = self.state();
        for write in writes {
            let has_room = match write {
                Write::Put { .. } => !pausing && state.writes.len() < state.capacity,
                Write::Remove { .. } => state.writes.len() < state.capacity.saturating_mul(2),
            };
            match has_room {
                true => state.writes.push_back(write),
                false => dropped += 1,
            }
        }
        dropped += self.start_worker(state);
        self.counters.write(WriteResult::Dropped, dropped);
    }

    /// Starts a worker if one is needed. Returns how many writes are dropped, as there is no runtime.
    fn start_worker(self: &Arc<Self>, mut state: MutexGuard<'_, State>) -> usize {
        if state.has_worker || state.writes.is_empty() {
            return 0;
        }
        let runtime = Handle::try_current().ok();
        let Some(runtime) = runtime.or_else(|| state.runtime.clone()) else {
            return mem::take(&mut state.writes).len();
        };
        state.has_worker = true;
        let worker = Worker {
            queue: Arc::clone(self),
            is_worker: true,
            batch: Vec::new(),
        };
        drop(state);
        runtime.spawn(worker.run());
        0
    }

    /// Waits until nothing is queued or being sent.
    pub(super) async fn flush(self: &Arc<Self>) {
        // What a runtime that has ended has left is sent on this one. Once: a runtime that ends now
        // drops each worker.
        let dropped = self.start_worker(self.state());
        self.counters.write(WriteResult::Dropped, dropped);
        loop {
            let mut idle = std::pin::pin!(self.idle.notified());
            idle.as_mut().enable();
            if !self.state().has_worker {
                return;
            }
            idle.await;
        }
    }
}

impl fmt::Debug for WriteQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteQueue").finish_non_exhaustive()
    }
}

/// The task that sends. Dropped with its runtime, it leaves the rest to the next one.
struct Worker {
    queue: Arc<WriteQueue>,
    /// Until it has found the queue empty. Then another one may be the worker.
    is_worker: bool,
    /// What is being sent.
    batch: Vec<Write>,
}

impl Worker {
    async fn run(mut self) {
        while self.next_batch() {
            if let Some(retry) = self.send().await {
                sleep_until(retry).await;
            }
        }
    }

    /// Takes the next writes. If there are none, the task is no longer the worker.
    fn next_batch(&mut self) -> bool {
        let mut state = self.queue.state();
        let n = state.writes.len().min(MAX_BATCH);
        self.batch = state.writes.drain(..n).collect();
        if self.batch.is_empty() {
            state.has_worker = false;
            self.is_worker = false;
        }
        self.is_worker
    }

    /// Sends a batch. Returns when to continue, if there is a removal to send again.
    async fn send(&mut self) -> Option<Instant> {
        let queue = &self.queue;
        let permit = match queue.circuit.admit() {
            Ok(permit) => permit,
            Err(until) => {
                let again = self.give_up(WriteResult::Dropped);
                return again.then(|| until.unwrap_or_else(|| Instant::now() + RETRY));
            }
        };
        queue.counters.batch();
        let answer = call::bounded(TIMEOUT, || queue.store.write(&self.batch)).await;
        permit.settle(answer.is_ok());
        match answer {
            Ok(()) => {
                let written = mem::take(&mut self.batch);
                queue.counters.write(WriteResult::Written, written.len());
            }
            Err(_) => {
                self.give_up(WriteResult::Failed);
            }
        }
        None
    }

    /// Counts the sessions of the batch as lost, and queues its removals again. Returns `true` if
    /// anything is queued.
    fn give_up(&mut self, result: WriteResult) -> bool {
        let batch = mem::take(&mut self.batch);
        let (removals, sessions): (Vec<_>, Vec<_>) =
            (batch.into_iter()).partition(|write| matches!(write, Write::Remove { .. }));
        self.queue.counters.write(result, sessions.len());
        let mut state = self.queue.state();
        for removal in removals.into_iter().rev() {
            state.writes.push_front(removal);
        }
        !state.writes.is_empty()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It was being sent, and whether it has arrived is not known.
        self.give_up(WriteResult::Failed);
        if self.is_worker {
            self.queue.state().has_worker = false;
        }
        self.queue.idle.notify_waiters();
    }
}
