//! What is said before the close.

use std::{io, time::Duration};

use serde::Serialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    time::{Instant, sleep_until},
};

use tokio_tls_shutdown::is_missing_close_notify;

use crate::connect::Stream;

/// The server has said all for now when it is silent for this long.
const SILENCE: Duration = Duration::from_millis(300);
/// A server that never is silent is listened to for this long.
const AT_MOST: Duration = Duration::from_secs(1);
/// Once all is sent, no more than this is read before the close.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

#[derive(Clone, Serialize)]
pub(crate) struct Conversation {
    pub(crate) sent_bytes: usize,
    /// Application data that came before our close_notify.
    pub(crate) received_bytes: u64,
    /// How the server ended the connection, if it did so before us.
    pub(crate) server_ended_first: Option<End>,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum End {
    CloseNotify,
    Fin,
    Reset,
}

/// Sends `request` and reads what comes: until the server has been silent for 300 ms, for one second at
/// most, and no more than 16 MiB once all is sent. Waits up to `limit` until the request is sent and the first byte has come.
pub(crate) async fn converse(stream: &mut Stream, request: &[u8], limit: Duration) -> Conversation {
    let mut said = Conversation {
        sent_bytes: 0,
        received_bytes: 0,
        server_ended_first: None,
    };
    let (mut reader, mut writer) = split(stream);
    let mut chunk = vec![0; 16 * 1024];
    let begun = Instant::now();
    let mut unsent = request;
    let mut sending = !request.is_empty();
    // When the first and the last data came.
    let mut heard: Option<(Instant, Instant)> = None;
    loop {
        let until = match heard {
            _ if sending => begun + limit,
            None if !request.is_empty() => begun + limit,
            None => begun + SILENCE.min(limit),
            Some((first, last)) => (last + SILENCE).min(first + AT_MOST),
        };
        let send = async {
            match unsent.is_empty() {
                false => writer.write(unsent).await,
                true => writer.flush().await.map(|()| 0),
            }
        };
        tokio::select! {
            sent = send, if sending => match sent {
                Ok(bytes) => {
                    said.sent_bytes += bytes;
                    sending = !unsent.is_empty();
                    unsent = &unsent[bytes..];
                }
                // Reading tells how the connection has ended.
                Err(_) => sending = false,
            },
            read = reader.read(&mut chunk) => match read {
                Ok(bytes @ 1..) => {
                    said.received_bytes += bytes as u64;
                    let now = Instant::now();
                    heard = Some((heard.map_or(now, |(first, _)| first), now));
                    if !sending && said.received_bytes >= MOST_BYTES {
                        break;
                    }
                }
                Ok(0) => {
                    said.server_ended_first = Some(End::CloseNotify);
                    break;
                }
                Err(e) => {
                    said.server_ended_first = end(&e);
                    break;
                }
            },
            () = sleep_until(until) => break,
        }
    }
    said
}

/// An error of TLS is no end: closing tells more.
fn end(error: &io::Error) -> Option<End> {
    match error.kind() {
        io::ErrorKind::InvalidData => None,
        _ if is_missing_close_notify(error) => Some(End::Fin),
        _ => Some(End::Reset),
    }
}
