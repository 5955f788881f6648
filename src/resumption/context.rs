//! The context of a server's sessions: a session resumes only in the context that it was made in.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{
        Arc, LazyLock, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use rustls::ServerConfig;

use super::session_value;

/// What the crate knows of one `Arc<ServerConfig>`.
///
/// rustls does not say whom a configuration lets in: its client certificate verifier cannot be
/// read. Two configurations are therefore never taken for the same one, and what a configuration
/// admits is learned from the handshakes that it has finished.
#[derive(Debug)]
pub(super) struct Configuration {
    own: Arc<[u8]>,
    /// A client without a certificate has finished a full handshake.
    admits_anonymous: AtomicBool,
    /// A client that offered TLS 1.3 was answered with TLS 1.2.
    #[cfg(feature = "fleet")]
    refuses_tls13: AtomicBool,
}

impl Configuration {
    /// Returns what is known of `config`, the same value for each clone of this `Arc`.
    pub(super) fn of(config: &Arc<ServerConfig>) -> Arc<Self> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        known.get_or_insert(config)
    }

    fn new() -> Self {
        static PROCESS: LazyLock<[u64; 2]> = LazyLock::new(|| {
            // Keyed at random by the operating system. It need not be secret: no client can
            // choose the context that its session is looked for in.
            [(); 2].map(|()| RandomState::new().build_hasher().finish())
        });
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = [PROCESS[0], PROCESS[1], next].map(u64::to_be_bytes);
        Self {
            own: suffix(&id.concat(), Kind::Own),
            admits_anonymous: AtomicBool::new(false),
            #[cfg(feature = "fleet")]
            refuses_tls13: AtomicBool::new(false),
        }
    }

    /// The context that is used unless the user has named one.
    pub(super) fn own_context(&self) -> Arc<[u8]> {
        Arc::clone(&self.own)
    }

    /// A client without a certificate has finished a full handshake.
    pub(super) fn admit_anonymous(&self) {
        self.admits_anonymous.store(true, Ordering::Relaxed);
    }

    pub(super) fn admits_anonymous(&self) -> bool {
        self.admits_anonymous.load(Ordering::Relaxed)
    }
}

#[cfg(feature = "fleet")]
impl Configuration {
    pub(super) fn refuse_tls13(&self) {
        self.refuses_tls13.store(true, Ordering::Relaxed);
    }

    /// Returns `true` unless the configuration is known not to speak TLS 1.3.
    pub(super) fn speaks_tls13(&self) -> bool {
        !self.refuses_tls13.load(Ordering::Relaxed)
    }
}

/// All configurations that are alive, by their address.
static KNOWN: LazyLock<Mutex<Known>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Known {
    configurations: HashMap<usize, (Weak<ServerConfig>, Arc<Configuration>)>,
    /// When there are so many, those that are gone are removed.
    full_at: usize,
}

impl Known {
    fn get_or_insert(&mut self, config: &Arc<ServerConfig>) -> Arc<Configuration> {
        // While the `Weak` exists, nothing else can have this address.
        let address = Arc::as_ptr(config).addr();
        if let Some((_, known)) = self.configurations.get(&address) {
            return Arc::clone(known);
        }
        if self.configurations.len() >= self.full_at {
            self.configurations
                .retain(|_, (config, _)| config.strong_count() > 0);
            self.full_at = (2 * self.configurations.len()).max(16);
        }
        let new = Arc::new(Configuration::new());
        let entry = (Arc::downgrade(config), Arc::clone(&new));
        self.configurations.insert(address, entry);
        new
    }
}

/// How a context came to its identity. Contexts of different kinds are different.
#[derive(Clone, Copy)]
enum Kind {
    Own = 0,
    Named = 1,
}

/// Encodes a context so that it can be appended to anything: the length is last, so no two
/// contexts end alike, whatever they are appended to.
fn suffix(identity: &[u8], kind: Kind) -> Arc<[u8]> {
    let len = (identity.len() as u64).to_be_bytes();
    [identity, &[kind as u8], &len].concat().into()
}

/// The context with this name, in all processes.
pub(super) fn named(name: &[u8]) -> Arc<[u8]> {
    suffix(name, Kind::Named)
}

/// The sessions that one configuration may resume.
#[derive(Clone, Debug)]
pub(super) struct Context {
    /// Nothing if what rustls stores is not bound to a context.
    pub(super) suffix: Arc<[u8]>,
    pub(super) configuration: Arc<Configuration>,
}

impl Context {
    /// Appends the context.
    pub(super) fn bind(&self, bytes: &[u8]) -> Vec<u8> {
        [bytes, &self.suffix].concat()
    }

    /// Removes the context, or returns `None` if it is another one.
    pub(super) fn unbind(&self, mut bytes: Vec<u8>) -> Option<Vec<u8>> {
        let len = bytes.strip_suffix(&*self.suffix)?.len();
        bytes.truncate(len);
        Some(bytes)
    }

    /// Returns `true` if the configuration may resume this session.
    ///
    /// A session without a client certificate resumes only where such a client has been admitted
    /// before, so never where a certificate is required.
    pub(super) fn may_resume(&self, session: &[u8]) -> bool {
        self.configuration.admits_anonymous() || session_value::has_client_certificate(session)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn g15_no_two_contexts_give_the_same_key() {
        let own = Configuration::new().own_context();
        let id = &own[..24];
        let names: [&[u8]; 7] = [
            b"",
            b"a",
            b"aa",
            id,
            &own,
            &named(b"a"),
            b"\0\0\0\0\0\0\0\x01",
        ];
        let mut contexts: Vec<_> = names.into_iter().map(named).collect();
        contexts.push(Arc::clone(&own));
        contexts.push(Configuration::new().own_context());
        let different: HashSet<_> = contexts.iter().collect();
        assert_eq!(different.len(), contexts.len());
        // Clients choose keys, too: any may contain, or be, the end of a context.
        let keys =
            || (names.into_iter().chain([&*own])).flat_map(|s| (0..=s.len()).map(|n| &s[n..]));
        let context = |suffix: &Arc<[u8]>| Context {
            suffix: Arc::clone(suffix),
            configuration: Arc::new(Configuration::new()),
        };
        for one in &contexts {
            let bound: HashSet<_> = keys().map(|key| context(one).bind(key)).collect();
            for other in contexts.iter().filter(|other| *other != one) {
                for key in keys() {
                    assert!(!bound.contains(&context(other).bind(key)));
                    assert_eq!(context(other).unbind(context(one).bind(key)), None);
                }
            }
            for key in keys() {
                assert_eq!(
                    context(one).unbind(context(one).bind(key)).as_deref(),
                    Some(key)
                );
            }
        }
    }

    #[derive(Debug)]
    struct NoCertificate;

    impl rustls::server::ResolvesServerCert for NoCertificate {
        fn resolve(
            &self,
            _: rustls::server::ClientHello<'_>,
        ) -> Option<Arc<rustls::sign::CertifiedKey>> {
            None
        }
    }

    #[test]
    fn a_configuration_is_known_as_long_as_it_is_alive() {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = || {
            let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            let builder = builder.with_no_client_auth();
            Arc::new(builder.with_cert_resolver(Arc::new(NoCertificate)))
        };
        let mut known = Known::default();
        let alive: Vec<_> = (0..20).map(|_| config()).collect();
        let first: Vec<_> = alive.iter().map(|c| known.get_or_insert(c)).collect();
        for _ in 0..1000 {
            known.get_or_insert(&config());
        }
        assert!(known.configurations.len() <= 60);
        for (config, first) in alive.iter().zip(&first) {
            assert!(Arc::ptr_eq(&known.get_or_insert(config), first));
        }
        let other = known.get_or_insert(&Arc::new(ServerConfig::clone(&alive[0])));
        assert!(first.iter().all(|first| first.own != other.own));
    }
}
