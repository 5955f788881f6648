//! The close, and what the transport does after it.

use std::{sync::Arc, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{Instant, timeout},
};
use tokio_tls_shutdown::{PeerClose, ShutdownError, ShutdownExt, ShutdownState};

use crate::{
    connect::Stream,
    milliseconds::milliseconds,
    timeline::{Side, Timeline, What},
};

/// No more than this is read behind the TLS close.
const MOST_TRANSPORT_BYTES: u64 = 1024 * 1024;

/// How the server answered our `close_notify`, and what came after that.
#[derive(Clone, Serialize)]
pub(crate) struct Close {
    pub(crate) answer: Answer,
    /// Whether our `close_notify` was sent.
    pub(crate) sent: bool,
    /// From our `close_notify` to the answer, or until the wait was given up.
    pub(crate) ms: f64,
    /// Why our side could not be closed.
    pub(crate) error: Option<String>,
    /// The code of the fatal alert that the server sent.
    pub(crate) alert: Option<u8>,
    /// Application data that came after our `close_notify`, including what was on its way.
    pub(crate) discarded_bytes: u64,
    /// TLS 1.3 tickets, from the handshake to the end.
    pub(crate) tickets: u32,
    /// Those of them that came after our `close_notify`.
    pub(crate) late_tickets: u32,
    pub(crate) transport: TransportEnd,
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
    /// More data came than is read.
    DiscardLimit,
    /// The close failed: see `error`.
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
pub(crate) enum TransportEnd {
    Fin,
    /// Reset, or lost in another way.
    Reset,
    /// It was still open when the wait was given up.
    Open,
    /// The server was still sending when the limit of what is read was reached.
    Sending,
}

/// Closes both directions, then waits for the end of the transport without closing it: `limit`
/// for each.
pub(crate) async fn close(mut stream: Stream, limit: Duration, timeline: &Arc<Timeline>) -> Close {
    let begun = Instant::now();
    let closed = stream.shutdown_bidirectional().deadline(limit).await;
    let ms = milliseconds(begun.elapsed());
    let state = stream.state();
    name_alerts(state, timeline);
    let tickets = stream.get_ref().get_ref().1.tls13_tickets_received();
    let mut raw = match stream.into_transport() {
        Ok(transport) => transport,
        Err(open) => {
            let (transport, _) = open.into_stream().into_inner().into_inner();
            transport.into_plaintext()
        }
    };
    let begun = Instant::now();
    let mut transport_bytes = 0;
    let transport = match known_end(&closed) {
        Some(end) => end,
        None => timeout(limit, read_to_end(&mut raw, &mut transport_bytes))
            .await
            .unwrap_or(TransportEnd::Open),
    };
    let gave_up = |why: &str| timeline.add(Side::Local, What::GaveUp, 0, Some(why.into()));
    match transport {
        TransportEnd::Open => gave_up("the time limit has passed"),
        TransportEnd::Sending => gave_up("enough was read"),
        // It may have been found by writing alone.
        TransportEnd::Reset => timeline.end(What::Reset, None),
        TransportEnd::Fin => {}
    }
    let mut close = Close {
        answer: Answer::Failed,
        sent: state.contains(ShutdownState::SENT),
        ms,
        error: None,
        alert: None,
        discarded_bytes: 0,
        tickets,
        late_tickets: 0,
        transport,
        transport_ms: milliseconds(begun.elapsed()),
        transport_bytes,
    };
    match closed {
        Ok(closed) => {
            close.answer = closed.peer().into();
            close.discarded_bytes = closed.discarded();
            close.late_tickets = closed.tickets();
        }
        Err(e) => {
            if let ShutdownError::Tls(e) = &e {
                close.alert = e.alert();
            }
            close.error = Some(format!("{:#}", anyhow::Error::new(e)));
        }
    }
    close
}

/// In TLS 1.2 the records do not tell which alert they are.
fn name_alerts(state: ShutdownState, timeline: &Timeline) {
    for (flag, side) in [
        (ShutdownState::SENT, Side::Client),
        (ShutdownState::RECEIVED, Side::Server),
    ] {
        if state.contains(flag) {
            timeline.sent_close_notify(side);
        }
    }
}

/// Returns how the transport ended, if the close has shown that. A reset is told only once, and a
/// flood is not read on.
fn known_end(closed: &Result<tokio_tls_shutdown::Closed, ShutdownError>) -> Option<TransportEnd> {
    match closed {
        Ok(closed) => match closed.peer() {
            PeerClose::Reset => Some(TransportEnd::Reset),
            PeerClose::DiscardLimit => Some(TransportEnd::Sending),
            // As long as it is waited for `close_notify`, it is waited for FIN.
            PeerClose::TimedOut => Some(TransportEnd::Open),
            _ => None,
        },
        Err(e) => matches!(e, ShutdownError::Send(_)).then_some(TransportEnd::Reset),
    }
}

async fn read_to_end(raw: &mut (impl AsyncRead + Unpin), bytes: &mut u64) -> TransportEnd {
    let mut chunk = vec![0; 16 * 1024];
    loop {
        match raw.read(&mut chunk).await {
            Ok(0) => return TransportEnd::Fin,
            Ok(n) => *bytes += n as u64,
            Err(_) => return TransportEnd::Reset,
        }
        if *bytes >= MOST_TRANSPORT_BYTES {
            return TransportEnd::Sending;
        }
    }
}

/// Closes a connection that is of no further interest.
pub(crate) async fn close_politely(mut stream: Stream) {
    let close = stream.shutdown_bidirectional();
    let _ = close.deadline(Duration::from_millis(300)).await;
}
