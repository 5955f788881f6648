//! A session does not resume after its lifetime, whatever the database and the clocks do.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncWriteExt, duplex},
    time::Instant,
};
use tokio_tls_shutdown::{
    GracefulAcceptor,
    tokio_rustls::rustls::{pki_types::UnixTime, time_provider::TimeProvider},
};

use crate::{
    double::Double,
    fleet::{KINDS, Server, client, sessions},
    single_use::see,
    site::Kind,
};

const NOW: u64 = 1_800_000_000;
const LIFETIME: u64 = 3600;

/// The clock of a configuration, in seconds since 1970.
#[derive(Debug)]
struct Clock(AtomicU64);

impl TimeProvider for Clock {
    fn current_time(&self) -> Option<UnixTime> {
        let now = Duration::from_secs(self.0.load(Ordering::Relaxed));
        Some(UnixTime::since_unix_epoch(now))
    }
}

/// A server whose clock shows this.
async fn server_at(kind: Kind, store: &Arc<Double>, now: u64) -> (Server, Arc<Clock>) {
    let sessions = sessions(store).with_lifetime(Duration::from_secs(LIFETIME));
    let clock = Arc::new(Clock(AtomicU64::new(now)));
    let mut config = kind.server_config();
    config.time_provider = Arc::<Clock>::clone(&clock);
    let acceptor = GracefulAcceptor::new(Arc::new(config));
    let server = Server {
        acceptor: acceptor.with_fleet_sessions(sessions.clone()),
        sessions,
    };
    server.resumes(&client(kind)).await;
    (server, clock)
}

/// A database that expires nothing, or late.
#[tokio::test(start_paused = true)]
async fn e11_a_session_that_is_still_in_the_store_does_not_resume_after_its_lifetime() {
    for kind in KINDS {
        for (age, resumes) in [(LIFETIME - 1, true), (LIFETIME, false)] {
            let store = Arc::new(Double::new());
            let (server, clock) = server_at(kind, &store, NOW).await;
            let client = client(kind);
            assert!(!server.resumes(&client).await);
            clock.0.fetch_add(age, Ordering::Relaxed);
            assert_eq!(server.resumes(&client).await, resumes, "{kind:?} {age}");
            let rejected = server.sessions.stats().rejected;
            assert_eq!(rejected, u64::from(!resumes), "{kind:?} {age}");
        }
    }
}

/// By its clock, a session that it writes expires long after a lifetime.
#[tokio::test(start_paused = true)]
async fn e11_a_session_of_a_server_whose_clock_is_ahead_does_not_resume() {
    for kind in KINDS {
        for (ahead, resumes) in [(0, true), (60, true), (61, false), (365 * 86_400, false)] {
            let store = Arc::new(Double::new());
            let (early, _) = server_at(kind, &store, NOW + ahead).await;
            let (right, _) = server_at(kind, &store, NOW).await;
            let client = client(kind);
            assert!(!early.resumes(&client).await);
            assert_eq!(right.resumes(&client).await, resumes, "{kind:?} {ahead}");
            let rejected = right.sessions.stats().rejected;
            assert_eq!(rejected, u64::from(!resumes), "{kind:?} {ahead}");
        }
    }
}

/// Nor does a ticket of it that was not used stay in the database for longer.
#[tokio::test(start_paused = true)]
async fn e11_a_ticket_of_a_server_whose_clock_is_ahead_is_put_back_for_a_lifetime_at_most() {
    let kind = Kind::Tls13Stateful;
    for (ahead, left) in [(60, 2), (365 * 86_400, 1)] {
        let store = Arc::new(Double::new());
        let (early, _) = server_at(kind, &store, NOW + ahead).await;
        let (right, _) = server_at(kind, &store, NOW).await;
        store.entries().clear();
        let connector = client(kind);
        assert!(!early.resumes(&connector).await);
        let seen = see(&connector).await;
        let (mut theirs, ours) = duplex(1 << 16);
        theirs.write_all(&seen.hello).await.unwrap();
        drop(theirs);
        right.acceptor.accept(ours).await.unwrap_err();
        right.sessions.flush().await;
        let entries = store.entries();
        assert_eq!(entries.len(), left, "{ahead}");
        let latest = Instant::now() + Duration::from_secs(LIFETIME);
        let until = entries.values().map(|(_, until)| *until).max();
        assert!(until <= Some(latest), "{ahead}");
    }
}
