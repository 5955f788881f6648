//! `CloseTracker`: what is open, how it ended, who is told, and an end for all.

#[path = "../support/mod.rs"]
mod support;

mod announcing;
mod counting;
mod draining;
mod reports;

use std::sync::Arc;

use support::Case;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio_tls_shutdown::{CloseTracker, GracefulAcceptor, GracefulStream, tokio_rustls::TlsStream};

type Tls = TlsStream<DuplexStream>;

/// A tracked stream and its peer.
async fn tracked(tracker: &CloseTracker, case: Case) -> (GracefulStream<Tls>, Tls) {
    let (ours, theirs) = case.duplex(4096).await;
    let mut ours = GracefulStream::new(ours);
    ours.track(tracker);
    (ours, theirs)
}

fn acceptor(case: Case, tracker: &CloseTracker) -> GracefulAcceptor {
    GracefulAcceptor::new(Arc::new(case.server_config())).with_tracker(tracker)
}

async fn write_bad_record(io: &mut DuplexStream) {
    let mut record = vec![23, 3, 3, 0, 40];
    record.extend([0; 40]);
    io.write_all(&record).await.unwrap();
}
