//! The tracker with connections that come and go on other threads: a stress test as it is, and all
//! kinds of schedules under the model checker.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use super::{CloseOutcome, CloseReport, CloseStats, CloseTracker, Side, registry::TrackerGuard};
use crate::{
    event::Role,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

#[cfg(shuttle)]
use shuttle::{future::block_on, thread};
#[cfg(not(shuttle))]
use std::thread;

/// Runs a future on this thread. If nothing wakes it, this hangs, and the model checker says so.
#[cfg(not(shuttle))]
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            std::task::Poll::Ready(output) => return output,
            std::task::Poll::Pending => thread::park(),
        }
    }
}

fn report(outcome: CloseOutcome) -> CloseReport {
    CloseReport {
        role: Role::Server,
        outcome,
        discarded: 1,
        duration: None,
        error: None,
        resumed: false,
        peer_closed_first: false,
    }
}

/// As the last thing a record does.
fn leave(guard: &TrackerGuard, outcome: CloseOutcome) {
    let report = report(outcome);
    guard.call_back(&report);
    guard.leave(&report);
}

async fn aborted(guard: &TrackerGuard, side: Side) {
    std::future::poll_fn(|cx| match guard.poll_aborted(cx, side) {
        true => std::task::Poll::Ready(()),
        false => std::task::Poll::Pending,
    })
    .await;
}

/// Connections of one kind close by themselves, those of the other when they are aborted; one more
/// is made while the tracker drains. Whatever the schedule, all end, each is counted once and
/// reported before it is missed, and no task sleeps through it.
fn drain(closing: u64, staying: u64) {
    let reported = Arc::new(AtomicU64::new(0));
    let tracker = CloseTracker::with_on_close({
        let reported = Arc::clone(&reported);
        move |_| {
            reported.fetch_add(1, Ordering::SeqCst);
        }
    });
    let guards = |n: u64| (0..n).map(|_| tracker.register()).collect::<Vec<_>>();
    let mut threads = Vec::new();
    for guard in guards(closing) {
        threads.push(thread::spawn(move || leave(&guard, CloseOutcome::Clean)));
    }
    for guard in guards(staying) {
        threads.push(thread::spawn(move || {
            block_on(aborted(&guard, Side::Read));
            leave(&guard, CloseOutcome::Aborted);
        }));
    }
    let late = tracker.clone();
    threads.push(thread::spawn(move || {
        block_on(late.draining());
        let guard = late.register();
        block_on(aborted(&guard, Side::Write));
        leave(&guard, CloseOutcome::Aborted);
    }));
    let waiting = tracker.clone();
    let reported_when_empty = Arc::clone(&reported);
    threads.push(thread::spawn(move || {
        block_on(waiting.wait());
        // The late one may be still to come, or there.
        let counted = waiting.stats().total();
        assert!(counted >= closing + staying, "{counted}");
        assert!(reported_when_empty.load(Ordering::SeqCst) >= counted);
    }));

    let drain = tracker.begin_drain();
    assert!(tracker.is_draining());
    let early = drain.report(0);
    let open_or_closed = early.closed.total() + early.still_open as u64;
    let before = drain.report(0).open_before as u64;
    assert!(open_or_closed == before || open_or_closed == before + 1);

    let aborted = tracker.registry().abort_all();
    assert!(aborted as u64 >= staying, "{aborted}");
    for thread in threads {
        thread.join().unwrap();
    }
    let report = drain.report(aborted);
    assert_eq!(report.still_open, 0);
    assert_eq!(report.closed.aborted, staying + 1);
    // Of those that closed by themselves, some may have done so before the drain began.
    let early = closing - report.closed.clean;
    assert_eq!(report.open_before as u64, closing + staying - early);
    let expected = CloseStats {
        clean: closing,
        aborted: staying + 1,
        bytes_discarded: closing + staying + 1,
        ..CloseStats::default()
    };
    assert_eq!(tracker.stats(), expected);
    assert_eq!(reported.load(Ordering::SeqCst), expected.total());
    assert!(tracker.is_empty());
    assert_eq!(tracker.registry().waiting(), 0, "a waker was kept");
}

/// A waker that uses the tracker, as an executor does that runs its tasks in `wake`.
struct LooksAt {
    tracker: CloseTracker,
    /// The connection that the waker waits for, unless another one waits for it too.
    guard: Option<Arc<TrackerGuard>>,
    woken: AtomicBool,
}

impl std::task::Wake for LooksAt {
    fn wake(self: Arc<Self>) {
        // Takes all locks that there are: of the shards, of two connections, of both wait lists.
        let before = self.tracker.stats();
        let mut cx = Context::from_waker(Waker::noop());
        if let Some(guard) = &self.guard {
            let _ = guard.poll_aborted(&cx, Side::Read);
        }
        let another = self.tracker.register();
        let _ = another.poll_aborted(&cx, Side::Read);
        let _ = std::pin::pin!(self.tracker.draining()).poll(&mut cx);
        let _ = std::pin::pin!(self.tracker.wait()).poll(&mut cx);
        leave(&another, CloseOutcome::Dropped);
        assert!(self.tracker.stats().total() > before.total());
        self.woken.store(true, Ordering::SeqCst);
    }
}

/// Each kind of waker, while another thread uses the tracker too.
fn wakers_that_look() {
    let tracker = CloseTracker::new();
    let guard = Arc::new(tracker.register());
    let wakers: [_; 5] = std::array::from_fn(|n| {
        Arc::new(LooksAt {
            tracker: tracker.clone(),
            guard: (n == 0).then(|| Arc::clone(&guard)),
            woken: AtomicBool::new(false),
        })
    });
    let [moved, read, write, empty, draining] =
        [0, 1, 2, 3, 4].map(|n| Waker::from(Arc::clone(&wakers[n])));
    assert!(!guard.poll_aborted(&Context::from_waker(&moved), Side::Write));
    // As when the stream goes to another tracker.
    guard.wake();
    assert!(!guard.poll_aborted(&Context::from_waker(&read), Side::Read));
    assert!(!guard.poll_aborted(&Context::from_waker(&write), Side::Write));
    let mut wait = Box::pin(tracker.wait());
    let mut cx = Context::from_waker(&empty);
    assert!(wait.as_mut().poll(&mut cx).is_pending());
    let mut drain = Box::pin(tracker.draining());
    let mut cx = Context::from_waker(&draining);
    assert!(drain.as_mut().poll(&mut cx).is_pending());

    let other = tracker.clone();
    let other = thread::spawn(move || {
        let guard = other.register();
        leave(&guard, CloseOutcome::Clean);
    });
    let _drain = tracker.begin_drain();
    tracker.registry().abort_all();
    leave(&guard, CloseOutcome::Aborted);
    other.join().unwrap();
    for waker in &wakers {
        assert!(waker.woken.load(Ordering::SeqCst));
    }
}

#[cfg(not(shuttle))]
mod alone {
    use super::*;

    #[test]
    fn a_drain_loses_nothing_when_connections_come_and_go() {
        for _ in 0..300 {
            drain(3, 3);
        }
    }

    #[test]
    fn g17_a_waker_may_use_the_tracker() {
        for _ in 0..300 {
            wakers_that_look();
        }
    }

    #[test]
    fn every_series_is_named_after_its_outcome() {
        for &outcome in CloseOutcome::ALL {
            // The field of that name, and no other, counts it.
            let mut stats = CloseStats::default();
            stats.count(outcome, 0);
            assert_eq!(stats.total(), 1);
            let debug = format!("{stats:?}");
            assert!(
                debug.contains(&format!(" {}: 1", outcome.as_str())),
                "{debug}"
            );
            #[cfg(feature = "metrics")]
            for role in [Role::Client, Role::Server] {
                let keys = super::super::observe::recorder::keys(role, outcome);
                for key in [keys.closes, keys.seconds] {
                    let labels: Vec<_> = key.labels().map(|l| (l.key(), l.value())).collect();
                    assert_eq!(
                        labels,
                        [("role", role.as_str()), ("outcome", outcome.as_str())]
                    );
                }
            }
        }
    }

    #[test]
    fn a_task_that_has_stopped_waiting_is_forgotten() {
        use crate::tracker::wait_list::{Ticket, WaitList};

        let list = WaitList::default();
        let mut ticket = Ticket::default();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(list.poll(&cx, &mut ticket, || false).is_pending());
        assert!(list.poll(&cx, &mut ticket, || false).is_pending());
        assert_eq!(list.len(), 1);
        list.remove(&mut ticket);
        assert_eq!(list.len(), 0);

        let tracker = CloseTracker::new();
        let guard = tracker.register();
        let mut waits: Vec<_> = (0..10).map(|_| Box::pin(tracker.draining())).collect();
        for wait in &mut waits {
            assert!(wait.as_mut().poll(&mut cx).is_pending());
        }
        drop(waits);
        let mut wait = Box::pin(tracker.wait());
        assert!(wait.as_mut().poll(&mut cx).is_pending());
        drop(wait);
        assert_eq!(tracker.registry().waiting(), 0);
        leave(&guard, CloseOutcome::Dropped);
    }
}

#[cfg(shuttle)]
#[test]
fn a_drain_loses_nothing_in_schedules_one_after_the_other() {
    // Not all of them: there are more than anybody waits for.
    shuttle::check_dfs(|| drain(1, 0), Some(100_000));
}

#[cfg(shuttle)]
#[test]
fn a_drain_loses_nothing_in_schedules_at_random() {
    shuttle::check_random(|| drain(2, 1), 50_000);
}

#[cfg(shuttle)]
#[test]
fn g17_a_waker_may_use_the_tracker_in_schedules_at_random() {
    shuttle::check_random(wakers_that_look, 20_000);
}
