//! What rustls logs of a connection's secrets, and what opens its records beside them.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rustls::KeyLog;
use tokio_tls_shutdown::tokio_rustls::rustls;

use super::keys::{Keys, Suite};
use crate::timeline::Side;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

/// Which of the secrets of TLS 1.3 is in use.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stage {
    Handshake,
    Traffic,
}

/// Of one connection.
#[derive(Default)]
pub(crate) struct Secrets(Mutex<Known>);

#[derive(Default)]
struct Known {
    version: Option<Version>,
    suite: Option<Suite>,
    client: Pair,
    server: Pair,
    certificate_requested: bool,
}

#[derive(Default)]
struct Pair {
    handshake: Option<Vec<u8>>,
    traffic: Option<Vec<u8>>,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl KeyLog for Secrets {
    fn log(&self, label: &str, _client_random: &[u8], secret: &[u8]) {
        let mut known = self.lock();
        let place = match label {
            "CLIENT_RANDOM" => {
                known.version = Some(Version::Tls12);
                return;
            }
            "CLIENT_HANDSHAKE_TRAFFIC_SECRET" => &mut known.client.handshake,
            "SERVER_HANDSHAKE_TRAFFIC_SECRET" => &mut known.server.handshake,
            "CLIENT_TRAFFIC_SECRET_0" => &mut known.client.traffic,
            "SERVER_TRAFFIC_SECRET_0" => &mut known.server.traffic,
            _ => return,
        };
        *place = Some(secret.to_vec());
        known.version = Some(Version::Tls13);
    }
}

impl Secrets {
    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn version(&self) -> Option<Version> {
        self.lock().version
    }

    pub(super) fn read_server_hello(&self, message: &[u8]) {
        self.lock().suite = Suite::of_server_hello(message);
    }

    pub(super) fn keys(&self, side: Side, stage: Stage) -> Option<Keys> {
        let known = self.lock();
        let pair = match side {
            Side::Client => &known.client,
            Side::Server | Side::Local => &known.server,
        };
        let secret = match stage {
            Stage::Handshake => &pair.handshake,
            Stage::Traffic => &pair.traffic,
        };
        Keys::new(known.suite?, secret.clone()?)
    }

    pub(super) fn certificate_was_requested(&self) {
        self.lock().certificate_requested = true;
    }

    /// Returns `true` if the server asked for a certificate of the client.
    pub(crate) fn certificate_requested(&self) -> bool {
        self.lock().certificate_requested
    }
}
