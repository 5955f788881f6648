//! Where the sessions of one server connection are: in a store of rustls, or in a fleet's.

use std::sync::Arc;

use rustls::{ProtocolVersion, server::StoresServerSessions};

use super::catch_store_panic;
#[cfg(feature = "fleet")]
use super::fleet::connection::FleetConnection;

/// Keys have the context appended.
pub(super) enum ConnectionStore {
    Rustls(Arc<dyn StoresServerSessions>),
    #[cfg(feature = "fleet")]
    Fleet(Arc<FleetConnection>),
}

impl ConnectionStore {
    pub(super) fn put(&self, key: Vec<u8>, session: Vec<u8>) -> bool {
        match self {
            Self::Rustls(store) => catch_store_panic(|| store.put(key, session)),
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.put(key, session),
        }
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rustls(store) => catch_store_panic(|| store.get(key)),
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.get(key),
        }
    }

    pub(super) fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Rustls(store) => catch_store_panic(|| store.take(key)),
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.take(key),
        }
    }

    pub(super) fn can_cache(&self) -> bool {
        match self {
            Self::Rustls(store) => catch_store_panic(|| store.can_cache()),
            #[cfg(feature = "fleet")]
            Self::Fleet(_) => true,
        }
    }

    /// Puts back what was taken and not resumed.
    pub(super) fn put_back(&self, key: Vec<u8>, session: Vec<u8>) {
        match self {
            Self::Rustls(store) => {
                catch_store_panic(|| store.put(key, session));
            }
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.put_back(&key),
        }
    }

    /// The handshake is finished with this version.
    #[cfg_attr(not(feature = "fleet"), allow(unused_variables))]
    pub(super) fn handshake_finished(&self, version: Option<ProtocolVersion>) {
        match self {
            Self::Rustls(_) => {}
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.handshake_finished(version),
        }
    }

    pub(super) fn handshake_failed(&self) {
        match self {
            Self::Rustls(_) => {}
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.handshake_ended(),
        }
    }

    /// The connection has ended, and its sessions are kept.
    pub(super) fn keep(&self) {
        match self {
            Self::Rustls(_) => {}
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.end(true, Vec::new()),
        }
    }

    /// The connection has ended, and these sessions are evicted, which it has created or resumed.
    pub(super) fn evict(&self, used: Vec<Vec<u8>>) {
        match self {
            Self::Rustls(store) => {
                for key in used {
                    catch_store_panic(|| store.take(&key));
                }
            }
            #[cfg(feature = "fleet")]
            Self::Fleet(fleet) => fleet.end(false, used),
        }
    }
}
