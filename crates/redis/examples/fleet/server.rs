//! One server of the fleet.

use std::{io::Read, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};
use tokio_tls_shutdown::{
    ClosePolicy, CloseTracker, GracefulAcceptor,
    resumption::fleet::{FleetKeys, FleetSessions},
    tokio_rustls::rustls::{
        ServerConfig,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    },
};
use tokio_tls_shutdown_redis::{RedisStore, redis};

/// Serves until its standard input ends. Prints its address first, and what it has done last.
///
/// Everything secret comes by standard input, where no other user sees it: the certificate and its
/// key, and the key that sessions are encrypted with.
pub(crate) async fn serve(url: &str) -> Result<()> {
    let secrets: Vec<_> = std::io::stdin().lines().take(3).collect::<Result<_, _>>()?;
    let [certificate, key, session_key] = &secrets[..] else {
        bail!("the parent is gone");
    };
    let (certificate, key, session_key) = (unhex(certificate)?, unhex(key)?, unhex(session_key)?);
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(
            vec![CertificateDer::from(certificate)],
            PrivatePkcs8KeyDer::from(key).into(),
        )?;
    // Clients use one or two.
    config.send_tls13_tickets = 1;

    let session_key = <[u8; 32]>::try_from(&session_key[..]).context("a key of 32 bytes")?;
    let store = RedisStore::lazy(redis::Client::open(url)?);
    let sessions = FleetSessions::new(Arc::new(store), FleetKeys::new(session_key), "example");
    let tracker = CloseTracker::new();
    let acceptor = GracefulAcceptor::new(Arc::new(config))
        .with_fleet_sessions(sessions.clone())
        .with_policy(ClosePolicy::linger())
        .with_tracker(&tracker);

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let stop = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    let accept = async {
        loop {
            let (tcp, _) = listener.accept().await?;
            tcp.set_nodelay(true)?;
            let accept = acceptor.accept(tcp);
            tokio::spawn(async move {
                let mut tls = accept.await?;
                loop {
                    match tls.read_u8().await? {
                        b'?' => tls.write_all(b"!").await?,
                        // Close as one should.
                        b'q' => {
                            tls.write_all(b"bye").await?;
                            tls.shutdown().await?;
                            return std::io::Result::Ok(());
                        }
                        // Leave without a close.
                        _ => return Ok(()),
                    }
                }
            });
        }
    };
    tokio::select! {
        _ = stop => {}
        failed = accept => return failed,
    }
    let report = tracker.drain(Duration::from_secs(5)).await;
    // What the last connections have brought.
    let _ = timeout(Duration::from_secs(1), sessions.flush()).await;
    let stats = sessions.stats();
    println!(
        "{report}; {} round trips to Redis before handshakes, {} sessions found; {} writes after \
         the end, in {} round trips",
        stats.lookups(),
        stats.hits,
        stats.written,
        stats.batches
    );
    Ok(())
}

fn unhex(text: &str) -> Result<Vec<u8>> {
    let digits = |at| text.get(at..at + 2).context("an odd number of digits");
    (0..text.len())
        .step_by(2)
        .map(|at| Ok(u8::from_str_radix(digits(at)?, 16)?))
        .collect()
}
