//! Early data is accepted once in the whole fleet.
#![cfg(feature = "early-data")]

use std::{io::Read, sync::Arc};

use rustls::ClientConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional, duplex};
use tokio_tls_shutdown::{
    GracefulAcceptor,
    tokio_rustls::{TlsConnector, rustls},
};

use crate::{
    double::Double, fleet::sessions, single_use::accepts_ticket, site::Kind, support::pair::name,
};

#[tokio::test(start_paused = true)]
async fn e11_early_data_is_accepted_once_and_a_replay_at_another_server_is_not() {
    let kind = Kind::Tls13Stateful;
    let store = Arc::new(Double::new());
    let fleet = [(); 2].map(|()| sessions(&store));
    let servers = fleet.each_ref().map(|sessions| {
        let mut config = kind.server_config();
        config.max_early_data_size = 1000;
        GracefulAcceptor::new(Arc::new(config)).with_fleet_sessions(sessions.clone())
    });
    let mut config = ClientConfig::clone(&kind.client());
    config.enable_early_data = true;
    let connector = TlsConnector::from(Arc::new(config)).early_data(true);
    // The first flight of each visit, as somebody on the way has seen it.
    let visit = async |server: usize| {
        let (theirs, mut relay) = duplex(1 << 16);
        let (mut to_server, ours) = duplex(1 << 16);
        let mut flight = vec![0; 1 << 16];
        let relayed = async {
            let mut len = relay.read(&mut flight).await.unwrap();
            tokio::task::yield_now().await;
            // What comes at once: early data, if there is a ticket.
            let more = relay.read(&mut flight[len..]);
            if let Ok(n) = tokio::time::timeout(std::time::Duration::from_millis(1), more).await {
                len += n.unwrap();
            }
            flight.truncate(len);
            to_server.write_all(&flight).await.unwrap();
            let _ = copy_bidirectional(&mut relay, &mut to_server).await;
        };
        let client = async {
            let mut tls = connector.connect(name(), theirs).await.unwrap();
            tls.write_all(b"early").await.unwrap();
            tls.flush().await.unwrap();
            tls.read_u8().await.unwrap();
            tls.shutdown().await.unwrap();
        };
        let accept = async {
            let mut tls = servers[server].accept(ours).await.unwrap();
            let mut early = Vec::new();
            if let Some(mut data) = tls.get_mut().get_mut().1.early_data() {
                data.read_to_end(&mut early).unwrap();
            }
            if early.is_empty() {
                assert_eq!(tls.read(&mut [0; 8]).await.unwrap(), 5);
            }
            tls.write_all(b"!").await.unwrap();
            tls.shutdown().await.unwrap();
            early
        };
        let (_, (), early) = tokio::join!(relayed, client, accept);
        fleet[server].flush().await;
        (early, flight)
    };
    // The first handshake of each server is a full one.
    assert_eq!(visit(0).await.0, b"");
    assert_eq!(visit(1).await.0, b"");
    let (early, flight) = visit(0).await;
    assert_eq!(early, b"early");
    for server in [&servers[1], &servers[0]] {
        let (mut replay, ours) = duplex(1 << 16);
        replay.write_all(&flight).await.unwrap();
        let accept = tokio::spawn(server.accept(ours));
        assert!(!accepts_ticket(&mut replay).await);
        drop(replay);
        accept.await.unwrap().unwrap_err();
    }
}
