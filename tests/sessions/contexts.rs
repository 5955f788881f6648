//! G15: a session resumes only under the context that it was made in.

use std::sync::Arc;

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    server::{Acceptor, ProducesTickets, ServerSessionMemoryCache, WebPkiClientVerifier},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    sync::watch,
};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector,
    resumption::ServerSessions,
    tokio_rustls::{LazyConfigAcceptor, rustls},
};

use crate::{
    site::{KINDS, Kind, close, resumes},
    support::pair::{identity, name},
};

/// Whether a server asks its clients for a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Auth {
    Open,
    Optional,
    Required,
}

const AUTHS: [Auth; 3] = [Auth::Open, Auth::Optional, Auth::Required];

/// What two servers have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shared {
    /// One `ServerSessions`, cloned, and one ticketer.
    Sessions,
    /// The same, and both name one context.
    Context,
    /// The store and the ticketer in their configurations.
    Configuration,
}

/// How a client comes from one configuration to the other.
#[derive(Clone, Copy, Debug)]
enum Way {
    TwoAcceptors,
    ChosenByClientHello,
    Reload,
}

fn roots() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add(identity().0.clone()).unwrap();
    roots
}

fn client(kind: Kind, certificate: bool) -> GracefulConnector {
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&kind.versions())
        .unwrap()
        .with_root_certificates(roots());
    let (der, key) = identity();
    GracefulConnector::new(Arc::new(match certificate {
        true => builder
            .with_client_auth_cert(vec![der.clone()], key.clone_key())
            .unwrap(),
        false => builder.with_no_client_auth(),
    }))
}

fn server(kind: Kind, auth: Auth) -> ServerConfig {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&kind.versions())
        .unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots()), provider);
    let builder = match auth {
        Auth::Open => builder.with_no_client_auth(),
        Auth::Optional => {
            let verifier = verifier.allow_unauthenticated().build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
        Auth::Required => builder.with_client_cert_verifier(verifier.build().unwrap()),
    };
    let (der, key) = identity();
    builder
        .with_single_cert(vec![der.clone()], key.clone_key())
        .unwrap()
}

/// Two servers that differ in whom they admit.
struct Servers {
    acceptors: [GracefulAcceptor; 2],
    configs: [Arc<ServerConfig>; 2],
    reload: Option<watch::Sender<Arc<ServerConfig>>>,
    lazily: bool,
}

impl Servers {
    fn new(kind: Kind, auths: [Auth; 2], shared: Shared, way: Way) -> Self {
        let store = ServerSessionMemoryCache::new(64);
        let ticketer: Arc<dyn ProducesTickets> = match kind.is_stateless() {
            true => ring::Ticketer::new().unwrap(),
            false => server(kind, Auth::Open).ticketer,
        };
        let configs = auths.map(|auth| {
            let mut config = server(kind, auth);
            config.ticketer = Arc::clone(&ticketer);
            if shared == Shared::Configuration {
                config.session_storage = Arc::<ServerSessionMemoryCache>::clone(&store);
            }
            Arc::new(config)
        });
        let sessions = ServerSessions::new(store);
        let with_sessions = |acceptor: GracefulAcceptor| match shared {
            Shared::Sessions => acceptor.with_sessions(sessions.clone()),
            Shared::Context => acceptor.with_sessions(sessions.clone().with_context("both")),
            Shared::Configuration => acceptor,
        };
        let (reload, acceptors) = match way {
            Way::Reload => {
                let (sender, receiver) = watch::channel(Arc::clone(&configs[0]));
                let acceptor = with_sessions(GracefulAcceptor::from(receiver));
                (Some(sender), [acceptor.clone(), acceptor])
            }
            _ => {
                let acceptor = |config| with_sessions(GracefulAcceptor::new(config));
                (None, configs.clone().map(acceptor))
            }
        };
        Self {
            acceptors,
            configs,
            reload,
            lazily: matches!(way, Way::ChosenByClientHello),
        }
    }

    /// Returns whether the client has resumed and whether the server has a certificate of it, or
    /// `None` if the server refuses the client.
    async fn visit(&self, connector: &GracefulConnector, which: usize) -> Option<(bool, bool)> {
        if let Some(reload) = &self.reload {
            reload.send(Arc::clone(&self.configs[which])).unwrap();
        }
        let acceptor = &self.acceptors[which];
        let (ours, theirs) = duplex(1 << 20);
        let accept = async {
            if self.lazily {
                let start = LazyConfigAcceptor::new(Acceptor::default(), ours).await;
                acceptor.finish_accept(start.unwrap()).await
            } else {
                acceptor.accept(ours).await
            }
        };
        let (client, server) = tokio::join!(connector.connect(name(), theirs), accept);
        let mut server = server.ok()?;
        let mut client = client.unwrap();
        server.write_all(b"!").await.unwrap();
        client.read_u8().await.unwrap();
        close(&mut client, &mut server).await;
        let certificate = server.get_ref().get_ref().1.peer_certificates().is_some();
        Some((server.is_resumed(), certificate))
    }
}

#[tokio::test(start_paused = true)]
async fn g15_no_session_without_a_certificate_resumes_where_one_is_required() {
    for kind in KINDS {
        for shared in [Shared::Sessions, Shared::Context, Shared::Configuration] {
            for way in [Way::TwoAcceptors, Way::ChosenByClientHello, Way::Reload] {
                for (from, to) in AUTHS
                    .into_iter()
                    .flat_map(|from| AUTHS.map(|to| (from, to)))
                {
                    for certificate in [false, true] {
                        let servers = Servers::new(kind, [from, to], shared, way);
                        let context = format!("{kind:?} {shared:?} {way:?} {from:?} {to:?}");
                        // Whether the second configuration has admitted a client without one.
                        let mut proven = false;
                        for _ in 0..2 {
                            let connector = client(kind, certificate);
                            let asked = certificate && from != Auth::Open;
                            let first = servers.visit(&connector, 0).await;
                            let expected = match from == Auth::Required && !certificate {
                                true => None,
                                false => Some((false, asked)),
                            };
                            assert_eq!(first, expected, "{context}");
                            let resumes =
                                first.is_some() && shared != Shared::Sessions && (asked || proven);
                            let shown = match resumes {
                                true => asked,
                                false => certificate && to != Auth::Open,
                            };
                            let expected = match to == Auth::Required && !shown {
                                true => None,
                                false => Some((resumes, shown)),
                            };
                            let second = servers.visit(&connector, 1).await;
                            assert_eq!(second, expected, "{context} {certificate}");
                            proven |= second == Some((false, false));
                        }
                    }
                }
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g15_all_acceptors_with_one_configuration_and_one_store_share_their_sessions() {
    for kind in KINDS {
        let config = Arc::new(server(kind, Auth::Open));
        let mut stateless = ServerConfig::clone(&config);
        stateless.ticketer = ring::Ticketer::new().unwrap();
        let config = match kind.is_stateless() {
            true => Arc::new(stateless),
            false => config,
        };
        let store = ServerSessionMemoryCache::new(64);
        for sessions in [None, Some(ServerSessions::new(store))] {
            let connector = client(kind, false);
            for connection in 0..3 {
                let mut acceptor = GracefulAcceptor::new(Arc::clone(&config));
                if let Some(sessions) = sessions.clone() {
                    acceptor = acceptor.with_sessions(sessions);
                }
                let resumed = resumes(&connector, &acceptor).await;
                assert_eq!(resumed, connection > 0, "{kind:?} {sessions:?}");
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn g15_sessions_resume_under_another_name_only_after_they_were_made_there() {
    for kind in KINDS {
        let config = kind.server();
        let sessions = ServerSessions::new(ServerSessionMemoryCache::new(64));
        let acceptor = |name: &str| {
            let sessions = sessions.clone().with_context(name);
            GracefulAcceptor::new(Arc::clone(&config)).with_sessions(sessions)
        };
        let connector = client(kind, false);
        assert!(!resumes(&connector, &acceptor("one")).await);
        assert!(resumes(&connector, &acceptor("one")).await);
        assert!(!resumes(&connector, &acceptor("two")).await, "{kind:?}");
        let unnamed = GracefulAcceptor::new(config.clone()).with_sessions(sessions.clone());
        assert!(!resumes(&connector, &unnamed).await, "{kind:?}");
    }
}
