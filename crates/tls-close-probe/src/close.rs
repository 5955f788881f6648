//! The close, and what the transport does after it.

use std::time::Duration;

use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout},
};
use tokio_tls_shutdown::{PeerClose, ShutdownError, ShutdownExt};

use crate::{connect::Stream, report::milliseconds};

/// How the server answered our close_notify, and what came after that.
#[derive(Serialize)]
pub(crate) struct Close {
    pub(crate) close: Answer,
    /// From our close_notify to the answer, or until the wait was given up.
    pub(crate) close_ms: f64,
    /// Why our side could not be closed.
    pub(crate) close_error: Option<String>,
    /// Application data that came after our close_notify, what was on its way included.
    pub(crate) discarded_bytes: u64,
    /// TLS 1.3 tickets, from the handshake to the end.
    pub(crate) tickets: u32,
    /// Those of them that came after our close_notify.
    pub(crate) late_tickets: u32,
    pub(crate) transport: Transport,
    /// From the end of the TLS close to that of the transport, or until the wait was given up.
    pub(crate) transport_ms: f64,
    /// Bytes that followed the TLS close on the transport.
    pub(crate) transport_bytes: u64,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    CloseNotify,
    Fin,
    Reset,
    /// Nothing came in time.
    TimedOut,
    /// Data went on and on.
    DiscardLimit,
    /// The close failed: see `close_error`.
    Failed,
}

impl From<PeerClose> for Answer {
    fn from(peer: PeerClose) -> Self {
        match peer {
            PeerClose::CloseNotify => Self::CloseNotify,
            PeerClose::Eof => Self::Fin,
            PeerClose::Reset => Self::Reset,
            PeerClose::DiscardLimit => Self::DiscardLimit,
            PeerClose::TimedOut => Self::TimedOut,
            _ => Self::Failed,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Transport {
    Fin,
    /// Reset, or lost in another way.
    Reset,
    /// It was still open when the wait was given up.
    Open,
}

/// Closes both directions, then waits for the end of the transport without closing it: `limit`
/// for each.
pub(crate) async fn close(mut stream: Stream, limit: Duration) -> Close {
    let begun = Instant::now();
    let closed = stream.shutdown_bidirectional().deadline(limit).await;
    let close_ms = milliseconds(begun.elapsed());
    let tickets = stream.get_ref().get_ref().1.tls13_tickets_received();
    let mut raw = match stream.into_transport() {
        Ok(transport) => transport,
        Err(open) => {
            let (transport, _) = open.into_stream().into_inner().into_inner();
            transport.into_plaintext()
        }
    };
    // A reset is told only once.
    let is_reset = match &closed {
        Ok(closed) => closed.peer() == PeerClose::Reset,
        Err(e) => matches!(e, ShutdownError::Send(_)),
    };
    let begun = Instant::now();
    let mut transport_bytes = 0;
    let transport = match is_reset {
        true => Transport::Reset,
        false => timeout(limit, read_to_end(&mut raw, &mut transport_bytes))
            .await
            .unwrap_or(Transport::Open),
    };
    let mut close = Close {
        close: Answer::Failed,
        close_ms,
        close_error: None,
        discarded_bytes: 0,
        tickets,
        late_tickets: 0,
        transport,
        transport_ms: milliseconds(begun.elapsed()),
        transport_bytes,
    };
    match closed {
        Ok(closed) => {
            close.close = closed.peer().into();
            close.discarded_bytes = closed.discarded();
            close.late_tickets = closed.tickets();
        }
        Err(e) => close.close_error = Some(format!("{:#}", anyhow::Error::new(e))),
    }
    close
}

async fn read_to_end(raw: &mut (impl AsyncRead + Unpin), bytes: &mut u64) -> Transport {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        match raw.read(&mut chunk).await {
            Ok(0) => return Transport::Fin,
            Ok(n) => *bytes += n as u64,
            Err(_) => return Transport::Reset,
        }
    }
}

/// Closes a connection that is of no further interest.
pub(crate) async fn close_politely(mut stream: Stream) {
    let close = stream.shutdown_bidirectional();
    let _ = close.deadline(Duration::from_millis(300)).await;
}
