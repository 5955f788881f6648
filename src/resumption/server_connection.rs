//! The sessions of one server connection, from its handshake to its end.

use std::{
    fmt, io, mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustls::{
    Error, HandshakeKind, PeerMisbehaved, ServerConfig, ServerConnection,
    server::StoresServerSessions,
};

#[cfg(feature = "fleet")]
use super::fleet::{FleetSessions, connection::FleetConnection};
use super::{
    Retention, ServerSessions,
    connection_store::ConnectionStore,
    context::{Configuration, Context},
    ticketer::ContextTicketer,
};
use crate::event::{Event, Observer, SessionOutcome};

/// Where the sessions of an acceptor are.
#[derive(Clone, Debug)]
pub(crate) enum Sessions {
    OfConfig,
    Store(ServerSessions),
    #[cfg(feature = "fleet")]
    Fleet(FleetSessions),
}

/// The configuration for one connection, and what its handshake and its end are reported to.
pub(crate) struct Opened {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) handshake: SessionHandshake,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// Looks up what the client offers, before the handshake.
    #[cfg(feature = "fleet")]
    pub(crate) fleet: Option<Arc<FleetConnection>>,
}

/// Opens a connection with `config`.
pub(crate) fn open(sessions: &Sessions, config: &Arc<ServerConfig>) -> Opened {
    let configuration = Configuration::of(config);
    let (retention, suffix) = match sessions {
        // Two configurations share a store only if one is a clone of the other, with the same
        // verifier, or if the user has assigned it: the keys stay those of rustls.
        Sessions::OfConfig => (Retention::Always, Arc::default()),
        Sessions::Store(sessions) => {
            let named = sessions.context.clone();
            let suffix = named.unwrap_or_else(|| configuration.own_context());
            (sessions.retention, suffix)
        }
        #[cfg(feature = "fleet")]
        Sessions::Fleet(fleet) => (fleet.retention, Arc::clone(&fleet.context)),
    };
    let context = Context {
        suffix,
        configuration,
    };
    #[cfg(feature = "fleet")]
    let mut opened_fleet = None;
    let store = match sessions {
        Sessions::OfConfig => ConnectionStore::Rustls(Arc::clone(&config.session_storage)),
        Sessions::Store(sessions) => ConnectionStore::Rustls(Arc::clone(&sessions.store)),
        #[cfg(feature = "fleet")]
        Sessions::Fleet(fleet) => {
            let connection = Arc::new(fleet.open(context.clone(), config));
            opened_fleet = Some(Arc::clone(&connection));
            ConnectionStore::Fleet(connection)
        }
    };
    let connection = Arc::new(Connection {
        store,
        context: context.clone(),
        retention,
        takes_early_data: config.max_early_data_size > 0,
        keys: Mutex::default(),
    });
    let mut own = ServerConfig::clone(config);
    own.session_storage = Arc::<Connection>::clone(&connection);
    own.ticketer = Arc::new(ContextTicketer {
        inner: Arc::clone(&config.ticketer),
        context,
    });
    let observed = !matches!(sessions, Sessions::OfConfig);
    Opened {
        config: Arc::new(own),
        observer: observed.then(|| -> Arc<dyn Observer> { Arc::<Connection>::clone(&connection) }),
        handshake: SessionHandshake(Some(connection)),
        #[cfg(feature = "fleet")]
        fleet: opened_fleet,
    }
}

/// Is told how the handshake of a connection ends. Dropped before, it has failed.
pub(crate) struct SessionHandshake(Option<Arc<Connection>>);

impl SessionHandshake {
    /// The handshake is finished.
    ///
    /// # Errors
    ///
    /// [`Error::NoCertificatesPresented`] if the client has resumed a session without a
    /// certificate, and none such was admitted before.
    pub(crate) fn finish(&mut self, tls: &ServerConnection) -> Result<(), Error> {
        let Some(connection) = self.0.take() else {
            return Ok(());
        };
        let full = matches!(
            tls.handshake_kind(),
            Some(HandshakeKind::Full | HandshakeKind::FullWithHelloRetryRequest)
        );
        connection.handshake_finished(full);
        (connection.store).handshake_finished(tls.protocol_version());
        let configuration = &connection.context.configuration;
        match (tls.peer_certificates(), full) {
            (Some(_), _) => Ok(()),
            (None, true) => {
                configuration.admit_anonymous();
                Ok(())
            }
            // `may_resume` has said so, unless it has misread the session.
            (None, false) if configuration.admits_anonymous() => Ok(()),
            (None, false) => Err(Error::NoCertificatesPresented),
        }
    }

    pub(crate) fn fail(&mut self, error: &io::Error) {
        if let Some(connection) = self.0.take() {
            connection.handshake_failed(error.get_ref().and_then(|e| e.downcast_ref()));
        }
    }
}

impl Drop for SessionHandshake {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            connection.handshake_failed(None);
        }
    }
}

/// The store as one connection sees it.
struct Connection {
    store: ConnectionStore,
    context: Context,
    retention: Retention,
    takes_early_data: bool,
    keys: Mutex<Keys>,
}

/// In the order in which rustls has asked for them, and bound to the context.
#[derive(Default)]
struct Keys {
    /// Of the sessions that the connection has created or resumed.
    used: Vec<Vec<u8>>,
    /// Of sessions that the client has asked for. It may have seen their ids in the connections of
    /// others: only a finished handshake proves that it knows their secret.
    offered: Vec<Vec<u8>>,
    /// The same for sessions that are taken when they are offered, which are kept here.
    taken: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Connection {
    fn keys(&self) -> MutexGuard<'_, Keys> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn handshake_finished(&self, full: bool) {
        let mut unproven = mem::take(&mut self.keys().taken);
        if !full {
            // rustls stops at the one that it resumes.
            unproven.pop();
        }
        self.put_back(unproven);
    }

    /// The peer has not proven that it knows a secret, so each session goes back to where it was.
    fn handshake_failed(&self, error: Option<&Error>) {
        let mut unproven = mem::take(&mut self.keys().taken);
        let refused = error == Some(&PeerMisbehaved::IncorrectBinder.into());
        if self.takes_early_data && !refused {
            // Its early data may have been accepted. Put back, it would be accepted once more from
            // anyone who has recorded it.
            unproven.pop();
        }
        self.put_back(unproven);
        self.store.handshake_failed();
    }

    fn put_back(&self, sessions: Vec<(Vec<u8>, Vec<u8>)>) {
        for (key, session) in sessions {
            self.store.put_back(key, session);
        }
    }

    fn resumed(&self) {
        let Keys { used, offered, .. } = &mut *self.keys();
        used.append(offered);
    }

    fn end(&self, end: SessionOutcome) {
        if self.retention.keeps(end) {
            self.store.keep();
            return;
        }
        let used = mem::take(&mut self.keys().used);
        self.store.evict(used);
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The keys and the sessions are secret.
        f.debug_struct("Connection").finish_non_exhaustive()
    }
}

impl Observer for Connection {
    fn on_event(&self, event: Event) {
        match event {
            Event::Resumed => self.resumed(),
            Event::Ended(end) => self.end(end),
        }
    }
}

impl StoresServerSessions for Connection {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let key = self.context.bind(&key);
        let stored = self.store.put(key.clone(), value);
        if stored {
            self.keys().used.push(key);
        }
        stored
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let key = self.context.bind(key);
        let session = self.store.get(&key)?;
        let resumable = self.context.may_resume(&session);
        resumable.then(|| {
            self.keys().offered.push(key);
            session
        })
    }

    /// Takes the session out of the store until the handshake has ended, so that no other
    /// connection can use it at the same time.
    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let key = self.context.bind(key);
        let session = self.store.take(&key)?;
        self.keys().taken.push((key, session.clone()));
        self.context.may_resume(&session).then_some(session)
    }

    fn can_cache(&self) -> bool {
        self.store.can_cache()
    }
}
