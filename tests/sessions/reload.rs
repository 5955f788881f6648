//! Certificates are renewed without a restart.

use std::{
    cell::Cell,
    sync::{Arc, RwLock},
};

use futures_util::future::join_all;
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::{ClientHello, ResolvesServerCert, ServerSessionMemoryCache},
    sign::CertifiedKey,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::watch,
    task::yield_now,
};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector,
    resumption::{ClientSessions, ServerSessions},
    tokio_rustls::rustls,
};

use crate::site::{ClientStream, Kind, close, meet, resumes};

const RELOADS: usize = 20;
const HANDSHAKES: usize = 1000;

fn certificates() -> Vec<Arc<CertifiedKey>> {
    let make = || {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
        let key = ring::sign::any_supported_type(&key.into()).unwrap();
        Arc::new(CertifiedKey::new(vec![made.cert.der().clone()], key))
    };
    (0..=RELOADS).map(|_| make()).collect()
}

fn client(kind: Kind, certificates: &[Arc<CertifiedKey>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add(certificate.cert[0].clone()).unwrap();
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&kind.versions())
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap()))
    }
}

fn server(kind: Kind, certificate: &Arc<CertifiedKey>) -> (Arc<ServerConfig>, Arc<Current>) {
    let current = Arc::new(Current(RwLock::new(Arc::clone(certificate))));
    let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&kind.versions())
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(resolver);
    (Arc::new(config), current)
}

/// The certificate that the client has got in a full handshake.
fn certificate(client: &mut ClientStream) -> Option<CertificateDer<'static>> {
    let shown = !client.is_resumed();
    let tls = client.get_ref().get_ref().1;
    shown.then(|| tls.peer_certificates().unwrap()[0].clone().into_owned())
}

/// 1,000 handshakes, of which 49 at a time are under way while each of 20 reloads happens.
/// Returns how many have resumed.
async fn handshakes_during_reloads(
    kind: Kind,
    acceptor: &GracefulAcceptor,
    certificates: &[Arc<CertifiedKey>],
    reload: impl Fn(usize),
) -> usize {
    let connector = GracefulConnector::new(client(kind, certificates))
        .with_sessions(ClientSessions::in_memory(8));
    let current = Cell::new(0);
    let (resumed, count, straddled) = (Cell::new(0), Cell::new(0), Cell::new(0));
    let mut old = Vec::new();
    for number in 1..=RELOADS {
        // A new client, which has nothing to resume, gets the new certificate.
        let stranger = GracefulConnector::new(client(kind, certificates));
        let (mut client, server) = meet(&stranger, acceptor).await;
        let expected = &certificates[current.get()].cert[0];
        assert_eq!(certificate(&mut client).as_ref(), Some(expected));
        old.push((client, server));
        count.set(count.get() + 1);

        let (connector, current) = (&connector, &current);
        let (resumed, count, straddled) = (&resumed, &count, &straddled);
        let handshakes = (1..HANDSHAKES / RELOADS).map(|n| async move {
            for _ in 0..n % 7 {
                yield_now().await;
            }
            let before = current.get();
            let (mut client, mut server) = meet(connector, acceptor).await;
            if let Some(shown) = certificate(&mut client) {
                let between = &certificates[before..=current.get()];
                assert!(
                    between
                        .iter()
                        .any(|certificate| certificate.cert[0] == shown)
                );
            } else {
                resumed.set(resumed.get() + 1);
            }
            straddled.set(straddled.get() + usize::from(before < current.get()));
            close(&mut client, &mut server).await;
            count.set(count.get() + 1);
        });
        let renew = async {
            for _ in 0..4 {
                yield_now().await;
            }
            reload(number);
            current.set(number);
        };
        tokio::join!(join_all(handshakes), renew);
    }
    assert_eq!(count.get(), HANDSHAKES);
    assert!(straddled.get() >= RELOADS, "{}", straddled.get());
    for (mut client, mut server) in old {
        client.write_all(b"?").await.unwrap();
        assert_eq!(server.read_u8().await.unwrap(), b'?');
        close(&mut client, &mut server).await;
    }
    resumed.get()
}

#[tokio::test(start_paused = true)]
async fn a_thousand_handshakes_during_20_reloads_of_the_configuration_succeed_and_resume() {
    for kind in [Kind::Tls12Id, Kind::Tls13Stateful] {
        let certificates = certificates();
        let (first, _) = server(kind, &certificates[0]);
        let (configs, receiver) = watch::channel(first);
        let sessions = ServerSessions::new(ServerSessionMemoryCache::new(4096));
        let acceptor =
            GracefulAcceptor::from(receiver).with_sessions(sessions.with_context("reloaded"));
        let reload = |number: usize| {
            let (config, _) = server(kind, &certificates[number]);
            configs.send(config).unwrap();
        };
        let resumed = handshakes_during_reloads(kind, &acceptor, &certificates, reload).await;
        assert!(resumed > HANDSHAKES / 2, "{kind:?}: {resumed} have resumed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_thousand_handshakes_during_20_renewals_by_a_resolver_succeed_and_resume() {
    for kind in [Kind::Tls12Id, Kind::Tls13Stateful] {
        let certificates = certificates();
        let (config, current) = server(kind, &certificates[0]);
        let sessions = ServerSessions::new(ServerSessionMemoryCache::new(4096));
        let acceptor = GracefulAcceptor::new(config).with_sessions(sessions);
        let reload = |number: usize| {
            *current.0.write().unwrap() = Arc::clone(&certificates[number]);
        };
        let resumed = handshakes_during_reloads(kind, &acceptor, &certificates, reload).await;
        assert!(resumed > HANDSHAKES / 2, "{kind:?}: {resumed} have resumed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_survives_a_reload_only_if_the_context_is_named() {
    for kind in [Kind::Tls12Id, Kind::Tls13Stateful] {
        let certificates = certificates();
        for named in [false, true] {
            let (first, _) = server(kind, &certificates[0]);
            let (configs, receiver) = watch::channel(first);
            let mut sessions = ServerSessions::new(ServerSessionMemoryCache::new(64));
            if named {
                sessions = sessions.with_context("reloaded");
            }
            let acceptor = GracefulAcceptor::from(receiver).with_sessions(sessions);
            let old = GracefulConnector::new(client(kind, &certificates));
            assert!(!resumes(&old, &acceptor).await);
            configs.send(server(kind, &certificates[1]).0).unwrap();
            // The first client of a configuration shows whom it admits.
            let first = GracefulConnector::new(client(kind, &certificates));
            assert!(!resumes(&first, &acceptor).await);
            let resumed = resumes(&old, &acceptor).await;
            assert_eq!(resumed, named, "{kind:?}");
        }
    }
}
