use std::{
    collections::HashSet,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;

/// Tickets and sessions are numbers here.
type Numbers = InMemoryStore<u32, u32>;

fn memory(capacity: usize) -> (Numbers, Arc<Counters>) {
    let counters = Arc::default();
    (
        InMemoryStore::new(capacity, Arc::clone(&counters)),
        counters,
    )
}

fn name(n: u32) -> ServerName<'static> {
    ServerName::try_from(format!("host-{n}")).unwrap()
}

#[cfg(not(shuttle))]
mod alone {
    use super::*;

    #[test]
    fn e09_a_ticket_is_handed_out_once_and_the_newest_first() {
        let (memory, _) = memory(1);
        let connection = memory.open(Retention::CleanClose);
        for ticket in 0..3 {
            connection.insert_ticket(name(0), ticket);
        }
        let taken: Vec<_> = std::iter::from_fn(|| connection.take_ticket(&name(0))).collect();
        assert_eq!(taken, [2, 1, 0]);
    }

    #[test]
    fn e10_of_too_many_tickets_the_oldest_goes() {
        let (memory, counters) = memory(1);
        let connection = memory.open(Retention::CleanClose);
        for ticket in 0..10 {
            connection.insert_ticket(name(0), ticket);
        }
        let taken: HashSet<_> = std::iter::from_fn(|| connection.take_ticket(&name(0))).collect();
        assert_eq!(taken, (2..10).collect());
        assert_eq!(counters.read().evicted_full, 2);
    }

    #[test]
    fn e10_of_too_many_servers_the_least_recently_used_goes_with_all_it_has() {
        let (memory, counters) = memory(2);
        let connection = memory.open(Retention::CleanClose);
        for server in [1, 2] {
            connection.insert_ticket(name(server), server);
            connection.set_session(name(server), server);
        }
        assert_eq!(connection.session(&name(1)), Some(1));
        connection.insert_ticket(name(3), 3);
        assert_eq!(connection.session(&name(2)), None);
        assert_eq!(connection.session(&name(1)), Some(1));
        assert_eq!(connection.take_ticket(&name(3)), Some(3));
        let stats = counters.read();
        assert_eq!((stats.stored, stats.evicted_full), (2, 2));
    }

    #[test]
    fn e08_a_failure_evicts_what_was_received_and_resumed_and_nothing_else() {
        let (memory, counters) = memory(1);
        let [good, bad] = [0, 1].map(|_| memory.open(Retention::CleanClose));
        good.insert_ticket(name(0), 1);
        bad.insert_ticket(name(0), 2);
        good.insert_ticket(name(0), 3);
        good.set_session(name(0), 4);
        bad.end(SessionOutcome::Failed);
        assert_eq!(bad.session(&name(0)), Some(4));
        bad.resumed();
        bad.end(SessionOutcome::Failed);
        assert_eq!(bad.session(&name(0)), None);
        assert_eq!(good.take_ticket(&name(0)), Some(3));
        assert_eq!(good.take_ticket(&name(0)), Some(1));
        assert_eq!(good.take_ticket(&name(0)), None);
        assert_eq!(counters.read().evicted_failed, 2);
    }

    #[test]
    fn e10_no_thread_sees_more_sessions_than_there_is_room_for() {
        let (memory, _) = memory(1);
        let connection = memory.open(Retention::CleanClose);
        (0..MAX_TICKETS as u32).for_each(|ticket| connection.insert_ticket(name(0), ticket));
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let connection = memory.open(Retention::CleanClose);
                    for ticket in 0..5_000 {
                        connection.insert_ticket(name(0), ticket);
                        let stored = memory.stats().stored;
                        assert!(stored <= MAX_TICKETS as u64, "{stored}");
                        connection.take_ticket(&name(0));
                    }
                });
            }
        });
    }

    #[test]
    fn nothing_secret_is_shown() {
        let (memory, _) = memory(1);
        let connection = memory.open(Retention::CleanClose);
        connection.insert_ticket(name(0), 123_456);
        assert!(!format!("{connection:?}").contains("123456"));
    }
}

/// Connections that receive, offer and evict sessions at the same time.
fn contend(tasks: u32, tickets: u32) {
    let (memory, counters) = memory(1);
    let memory = Arc::new(memory);
    let offered = Arc::new(Mutex::new(HashSet::new()));
    // One bit for each connection that has failed.
    let failed = Arc::new(AtomicU32::new(0));
    let tasks: Vec<_> = (0..tasks)
        .map(|task| {
            let (memory, offered) = (Arc::clone(&memory), Arc::clone(&offered));
            let failed = Arc::clone(&failed);
            thread::spawn(move || {
                let connection = memory.open(Retention::CleanClose);
                let dead = failed.load(Ordering::SeqCst);
                if let Some(ticket) = connection.take_ticket(&name(0)) {
                    assert!(lock(&offered).insert(ticket), "{ticket} was offered twice");
                    assert_eq!(dead & (1 << (ticket / 100)), 0, "{ticket} was evicted");
                }
                let dead = failed.load(Ordering::SeqCst);
                if let Some(session) = connection.session(&name(0)) {
                    assert_eq!(dead & (1 << (session / 100)), 0, "{session} was evicted");
                }
                for n in 0..tickets {
                    connection.insert_ticket(name(0), task * 100 + n);
                }
                connection.set_session(name(0), task * 100);
                if task % 2 == 0 {
                    connection.end(SessionOutcome::Failed);
                    failed.fetch_or(1 << task, Ordering::SeqCst);
                } else {
                    connection.end(SessionOutcome::Closed);
                }
            })
        })
        .collect();
    for task in tasks {
        task.join().unwrap();
    }
    let last = memory.open(Retention::CleanClose);
    while let Some(ticket) = last.take_ticket(&name(0)) {
        assert!(lock(&offered).insert(ticket));
        assert_eq!(ticket / 100 % 2, 1, "{ticket} was evicted");
    }
    let stats = counters.read();
    let session = u64::from(last.session(&name(0)).is_some());
    assert_eq!(stats.stored, session);
}

#[cfg(not(shuttle))]
use std::thread;

#[cfg(shuttle)]
use shuttle::thread;

#[cfg(not(shuttle))]
#[test]
fn e08_and_e09_hold_when_connections_contend() {
    for _ in 0..200 {
        contend(3, 2);
    }
}

#[cfg(shuttle)]
#[test]
fn e08_and_e09_hold_in_schedules_one_after_the_other() {
    // Not all of them: two tasks have too many.
    shuttle::check_dfs(|| contend(2, 1), Some(300_000));
}

#[cfg(shuttle)]
#[test]
fn e08_and_e09_hold_in_schedules_at_random() {
    shuttle::check_random(|| contend(3, 2), 20_000);
}
