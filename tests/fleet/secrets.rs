//! Sessions are encrypted, and what is not as it was written does not resume.

use std::{sync::Arc, time::Duration};

use tokio::time::advance;
use tokio_tls_shutdown::{
    GracefulConnector,
    resumption::fleet::{FleetKeys, FleetSessions, FleetStore},
};

use crate::{
    double::Double,
    fleet::{KEY, KINDS, Server, client, pair, sessions},
};

const NEW: [u8; 32] = [2; 32];

#[tokio::test(start_paused = true)]
async fn e11_a_value_that_was_changed_costs_a_full_handshake() {
    type Spoil = fn(&mut Vec<u8>);
    let spoils: [(&str, Spoil); 6] = [
        ("first bit", |value| value[0] ^= 1),
        ("a bit of the session", |value| value[40] ^= 1),
        ("last bit", |value| *value.last_mut().unwrap() ^= 0x80),
        ("truncated", |value| value.truncate(value.len() - 1)),
        ("empty", Vec::clear),
        ("too long", |value| value.resize(1 << 20, 0)),
    ];
    for kind in KINDS {
        for (what, spoil) in spoils {
            let (store, [a, b]) = pair(kind).await;
            let client = client(kind);
            assert!(!a.resumes(&client).await);
            store.spoil(spoil);
            assert!(!b.resumes(&client).await, "{kind:?} {what}");
            let stats = b.sessions.stats();
            assert_eq!((stats.rejected, stats.hits), (1, 0), "{kind:?} {what}");
            assert!(a.resumes(&client).await, "{kind:?} {what}");
        }
    }
}

/// Whoever writes to the database cannot make one client's session another's.
#[tokio::test(start_paused = true)]
async fn e11_a_value_under_another_name_does_not_resume() {
    for kind in KINDS {
        let (store, [a, b]) = pair(kind).await;
        let clients = [client(kind), client(kind)];
        let mut values = Vec::new();
        for client in &clients {
            store.entries().clear();
            assert!(!a.resumes(client).await);
            values.push(store.entries().clone());
        }
        let (one, other) = (values.remove(0), values.remove(0));
        let swapped = other.into_keys().zip(one.into_values());
        *store.entries() = swapped.collect();
        assert!(!b.resumes(&clients[1]).await, "{kind:?}");
        assert_eq!(b.sessions.stats().rejected, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn e11_keys_rotate_without_a_full_handshake() {
    for kind in KINDS {
        let (_, [a, b]) = pair(kind).await;
        let client = client(kind);
        let servers = [&a, &b];
        assert!(!a.resumes(&client).await);
        let steps = [
            FleetKeys::new(KEY).with_previous(NEW),
            FleetKeys::new(NEW).with_previous(KEY),
        ];
        for keys in steps {
            for n in 0..2 {
                servers[n].sessions.set_keys(keys.clone());
                for server in servers {
                    assert!(server.resumes(&client).await, "{kind:?}");
                }
            }
        }
        if !kind.is_tls13() {
            // Resuming does not encrypt a TLS 1.2 session again.
            let fresh = crate::fleet::client(kind);
            assert!(!a.resumes(&fresh).await);
            for server in servers {
                server.sessions.set_keys(FleetKeys::new(NEW));
            }
            assert!(b.resumes(&fresh).await);
            assert!(!b.resumes(&client).await, "its key is gone");
            continue;
        }
        for server in servers {
            server.sessions.set_keys(FleetKeys::new(NEW));
            assert!(server.resumes(&client).await, "{kind:?}");
        }
    }
}

async fn with_keys(kind: crate::site::Kind, store: &Arc<Double>, keys: FleetKeys) -> Server {
    let store: Arc<dyn FleetStore> = Arc::<Double>::clone(store);
    Server::start(kind, FleetSessions::new(store, keys, "www")).await
}

#[tokio::test(start_paused = true)]
async fn e11_a_wrong_or_old_key_costs_a_full_handshake() {
    for kind in KINDS {
        let (store, [a, _]) = pair(kind).await;
        let client = client(kind);
        assert!(!a.resumes(&client).await);
        let other = with_keys(kind, &store, FleetKeys::new(NEW)).await;
        assert!(!other.resumes(&client).await, "{kind:?}");
        assert!(other.resumes(&client).await, "{kind:?}");
        assert!(!a.resumes(&client).await, "{kind:?}");
    }
}

async fn visits(server: &Server, client: &GracefulConnector) -> bool {
    server.resumes(client).await
}

#[tokio::test(start_paused = true)]
async fn e11_the_store_is_told_how_long_a_session_lives() {
    for kind in KINDS {
        for (lifetime, secs) in [(None, 86_400), (Some(3600), 3600), (Some(1 << 40), 86_400)] {
            let store = Arc::new(Double::new());
            let mut sessions = sessions(&store);
            if let Some(lifetime) = lifetime {
                sessions = sessions.with_lifetime(Duration::from_secs(lifetime));
            }
            let server = Server::start(kind, sessions).await;
            let client = client(kind);
            assert!(!visits(&server, &client).await);
            advance(Duration::from_secs(secs) - Duration::from_millis(1)).await;
            assert!(store.len() > 0, "{kind:?} {secs}");
            advance(Duration::from_millis(2)).await;
            assert_eq!(store.len(), 0, "{kind:?} {secs}");
            assert!(!visits(&server, &client).await);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn e11_a_session_without_a_lifetime_is_not_written() {
    for kind in KINDS {
        let store = Arc::new(Double::new());
        // Whole seconds count: this one expires as it is written.
        let sessions = sessions(&store).with_lifetime(Duration::from_millis(999));
        let server = Server::start(kind, sessions).await;
        let client = client(kind);
        assert!(!server.resumes(&client).await);
        assert_eq!(store.len(), 0);
        assert!(server.sessions.stats().writes_dropped > 0);
    }
}

#[tokio::test(start_paused = true)]
async fn e11_nothing_of_a_session_is_readable_in_the_store() {
    for kind in KINDS {
        let (store, [a, _]) = pair(kind).await;
        assert!(!a.resumes(&client(kind)).await);
        for (name, (value, _)) in store.entries().iter() {
            assert_eq!(name.len(), 32);
            // rustls stores the server's name in the clear.
            let leaks = value.windows(9).any(|window| window == b"localhost");
            assert!(!leaks, "{kind:?}");
        }
    }
}
