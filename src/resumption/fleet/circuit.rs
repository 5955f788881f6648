//! A circuit breaker: calls that fail again and again are not made for a while.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// So many failures in a row open the circuit.
const FAILURES: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Closed: calls are made. Open: none is. Half-open: one is, which decides.
#[derive(Debug)]
pub(super) struct Circuit {
    state: Mutex<State>,
    on_change: fn(Change),
}

/// What a circuit reports: not each probe, only a change that the user sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Opened,
    Closed,
}

#[derive(Debug)]
struct State {
    step: Step,
    /// Calls that were admitted before the last change say nothing about what came after it.
    generation: u64,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Closed { failures: u32 },
    Open { until: Instant, pause: Duration },
    HalfOpen { pause: Duration },
}

impl Circuit {
    pub(super) const fn new(on_change: fn(Change)) -> Self {
        let state = State {
            step: Step::Closed { failures: 0 },
            generation: 0,
        };
        Self {
            state: Mutex::new(state),
            on_change,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns a permit for one call, or else when to ask again: `None` while a probe is under way.
    pub(super) fn admit(self: &Arc<Self>) -> Result<Permit, Option<Instant>> {
        let mut state = self.state();
        match state.step {
            Step::Closed { .. } => {}
            Step::Open { until, .. } if Instant::now() < until => return Err(Some(until)),
            Step::Open { pause, .. } => {
                state.step = Step::HalfOpen { pause };
                state.generation += 1;
            }
            Step::HalfOpen { .. } => return Err(None),
        }
        Ok(Permit {
            circuit: Arc::clone(self),
            generation: state.generation,
            is_pending: true,
        })
    }

    /// Returns `true` if [`admit`](Self::admit) would refuse for some time.
    pub(super) fn is_pausing(&self) -> bool {
        matches!(self.state().step, Step::Open { until, .. } if Instant::now() < until)
    }

    /// Returns `true` unless the circuit is closed.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state().step, Step::Closed { .. })
    }

    fn settle(&self, generation: u64, succeeded: bool) {
        let mut state = self.state();
        if state.generation != generation {
            return;
        }
        let (step, change) = match (state.step, succeeded) {
            (Step::Closed { .. }, true) => (Step::Closed { failures: 0 }, None),
            (Step::Closed { failures }, false) if failures + 1 < FAILURES => {
                let failures = failures + 1;
                (Step::Closed { failures }, None)
            }
            (Step::Closed { .. }, false) => (open(FIRST_PAUSE), Some(Change::Opened)),
            (Step::HalfOpen { .. }, true) => (Step::Closed { failures: 0 }, Some(Change::Closed)),
            (Step::HalfOpen { pause }, false) => (open((2 * pause).min(LONGEST_PAUSE)), None),
            // An open circuit has admitted nothing in its generation.
            (Step::Open { .. }, _) => return,
        };
        if mem::discriminant(&step) != mem::discriminant(&state.step) {
            state.generation += 1;
        }
        state.step = step;
        drop(state);
        if let Some(change) = change {
            (self.on_change)(change);
        }
    }
}

fn open(pause: Duration) -> Step {
    Step::Open {
        until: Instant::now() + pause,
        pause,
    }
}

/// A call that may be made. Dropped without a result, it has failed.
#[derive(Debug)]
pub(super) struct Permit {
    circuit: Arc<Circuit>,
    generation: u64,
    is_pending: bool,
}

impl Permit {
    pub(super) fn settle(mut self, succeeded: bool) {
        self.is_pending = false;
        self.circuit.settle(self.generation, succeeded);
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if self.is_pending {
            self.circuit.settle(self.generation, false);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::time::{advance, pause};

    use super::*;

    fn fail(circuit: &Arc<Circuit>, times: u32) {
        for _ in 0..times {
            circuit.admit().unwrap().settle(false);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_after_failures_in_a_row_and_closes_after_one_probe() {
        static OPENED: AtomicU32 = AtomicU32::new(0);
        static CLOSED: AtomicU32 = AtomicU32::new(0);
        let circuit = Arc::new(Circuit::new(|change| {
            match change {
                Change::Opened => &OPENED,
                Change::Closed => &CLOSED,
            }
            .fetch_add(1, Ordering::Relaxed);
        }));
        let changes = || {
            (
                OPENED.load(Ordering::Relaxed),
                CLOSED.load(Ordering::Relaxed),
            )
        };
        fail(&circuit, FAILURES - 1);
        circuit.admit().unwrap().settle(true);
        fail(&circuit, FAILURES - 1);
        assert!(!circuit.is_open());
        // A permit that is dropped has failed.
        drop(circuit.admit().unwrap());
        assert!(circuit.is_open());
        let mut pause = FIRST_PAUSE;
        for _ in 0..8 {
            advance(pause - Duration::from_millis(1)).await;
            assert!(circuit.admit().is_err());
            advance(Duration::from_millis(1)).await;
            let probe = circuit.admit().unwrap();
            assert_eq!(circuit.admit().unwrap_err(), None, "one probe at a time");
            probe.settle(false);
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
        assert_eq!(changes(), (1, 0));
        advance(pause).await;
        circuit.admit().unwrap().settle(true);
        assert!(!circuit.is_open());
        assert_eq!(changes(), (1, 1));
    }

    #[tokio::test]
    async fn a_call_from_before_a_change_decides_nothing() {
        pause();
        let circuit = Arc::new(Circuit::new(|_| {}));
        let early: Vec<_> = (0..3).map(|_| circuit.admit().unwrap()).collect();
        fail(&circuit, FAILURES);
        let mut early = early.into_iter();
        early.next().unwrap().settle(true);
        assert!(circuit.is_open());
        advance(FIRST_PAUSE).await;
        let probe = circuit.admit().unwrap();
        early.next().unwrap().settle(true);
        assert!(circuit.is_open());
        probe.settle(true);
        fail(&circuit, FAILURES - 1);
        early.next().unwrap().settle(false);
        assert!(!circuit.is_open());
    }
}
