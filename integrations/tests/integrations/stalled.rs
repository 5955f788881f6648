//! Clients that begin something and do not finish it while their server stops.

use std::{convert::Infallible, future::ready, sync::Arc, time::Duration};

use hyper::{Request, Response, body::Incoming, service::service_fn};
use hyper_util::{rt::TokioExecutor, server::conn::auto};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::TlsConnector;
use tokio_tls_shutdown::{
    CloseTracker, GracefulAcceptor,
    integrations::hyper::{FirstRequest, io as hyper_io, serve_until},
    tokio_rustls,
};

use crate::{
    servers::VERSIONS,
    support::{Case, Role, pair},
};

const GRACE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(3600);

async fn hello(_: Request<Incoming>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("hello and goodbye".to_owned()))
}

#[tokio::test(start_paused = true)]
async fn a_client_that_stalls_is_ended_by_the_deadline_of_the_drain_with_close_notify() {
    // And whether hyper waits for the rest of it.
    let pieces: [(&[u8], bool); 5] = [
        (b"G", true),
        (b"GET / HTTP/1.1\r\nhost: local", true),
        (b"PRI * HTTP/2.0\r\n", false),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", true),
        // And SETTINGS, but no answer to the PING of a graceful stop.
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            true,
        ),
    ];
    for version in VERSIONS {
        for (piece, is_held) in pieces {
            let tracker = CloseTracker::new();
            let server = Case::new(version, Role::Server).server_config();
            let acceptor = GracefulAcceptor::new(Arc::new(server)).with_tracker(&tracker);
            let client = Case::new(version, Role::Client).client_config();
            let connector = TlsConnector::from(Arc::new(client));
            let (ours, theirs) = duplex(65_536);
            let (client, server) = tokio::join!(
                connector.connect(pair::name(), theirs),
                acceptor.accept(ours)
            );
            let (mut client, server) = (client.unwrap(), server.unwrap());
            client.write_all(piece).await.unwrap();
            client.flush().await.unwrap();

            let drain = tracker.begin_drain();
            let serve = tokio::spawn(async move {
                let service = FirstRequest::new(service_fn(hello));
                let arrived = service.arrived();
                let http = auto::Builder::new(TokioExecutor::new());
                let connection = http.serve_connection_with_upgrades(hyper_io(server), service);
                let _ = serve_until(connection, arrived, ready(()), GRACE).await;
            });
            let report = drain.finish(DEADLINE).await;
            let case = format!("{version:?} {}: {report}", piece.escape_ascii());
            let (aborted, one_way) = (u64::from(is_held), u64::from(!is_held));
            assert_eq!(report.aborted, usize::from(is_held), "{case}");
            assert_eq!(report.closed.aborted, aborted, "{case}");
            assert_eq!(report.closed.one_way, one_way, "{case}");
            serve.await.unwrap();
            let end = client.read_to_end(&mut Vec::new()).await;
            assert!(end.is_ok(), "{case}: {end:?}");
        }
    }
}
