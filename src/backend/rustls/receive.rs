//! One read of the transport, processed once.

use std::{
    io::{self, BufRead, Read},
    pin::Pin,
    task::{Context, Poll},
};

use rustls::{ConnectionCommon, IoState};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    super::end_of_transport, Alert, AlertState, BackendError, Plaintext, Received, TransportEnd,
    check, send, tls_error,
};

/// Receives one step: what is there already, else one read of the transport.
#[inline]
pub(super) fn poll_receive<Data, IO: AsyncRead + AsyncWrite + Unpin>(
    tls: &mut ConnectionCommon<Data>,
    io: &mut IO,
    cx: &mut Context<'_>,
    mut plaintext: Plaintext<'_, '_>,
    state: &mut AlertState,
) -> Poll<Result<Received, BackendError>> {
    if tls.wants_read() {
        // Then nothing is unread, and the peer has not closed.
        if state.transport == TransportEnd::Unknown && has_ended(tls) {
            state.transport = TransportEnd::Seen;
        }
    } else {
        if let Some(received) = take(tls, &mut plaintext, state) {
            return Poll::Ready(Ok(received));
        }
        if state.peer_closed {
            // Behind application data that stay.
            return Poll::Ready(Ok(Received::CloseNotify));
        }
    }
    if state.transport == TransportEnd::Seen {
        return Poll::Ready(Ok(Received::Eof));
    }
    state.transport = TransportEnd::NotSeen;
    check(tls)?;
    let mut reader = Reader {
        io,
        cx,
        end: ReadEnd::NotAsked,
    };
    let read = tls.read_tls(&mut reader);
    match (reader.end, read) {
        (ReadEnd::Bytes, Ok(_)) => {}
        (ReadEnd::Blocked, _) => return Poll::Pending,
        (end, read) => return Poll::Ready(end_of_read(tls, state, end, read)),
    }
    // Then the transport remembers a writer, which must not be replaced by a reader.
    let writer_waits = state.writer_waits || tls.wants_write();
    let processed = process(tls);
    if matches!(state.alert, Alert::Unflushed | Alert::Sent) {
        // Whatever rustls answers, even if it has failed.
        send::drop_queue(tls);
    }
    let io_state = match processed {
        Ok(io_state) => io_state,
        Err(e) => {
            let keeps = matches!(plaintext, Plaintext::Keep);
            if !keeps && state.alert == Alert::Unqueued && !writer_waits {
                // The fatal alert, if there is room for it: as tokio-rustls does.
                let _ = send::poll_write_queue(tls, io, cx);
            }
            // What was received before it is good. The next step finds the error again.
            let is_unread = matches!(tls.reader().into_first_chunk(), Ok([_, ..]));
            state.failed = is_unread;
            return Poll::Ready(match is_unread {
                true => Ok(take(tls, &mut plaintext, state).unwrap_or(Received::Other)),
                false => Err(tls_error(e)),
            });
        }
    };
    state.peer_closed |= io_state.peer_has_closed();
    Poll::Ready(Ok(match io_state.plaintext_bytes_to_read() {
        0 if state.peer_closed => Received::CloseNotify,
        0 => Received::Other,
        bytes => match plaintext {
            Plaintext::Keep => Received::Data(bytes),
            _ => take(tls, &mut plaintext, state).unwrap_or(Received::Other),
        },
    }))
}

/// Returns `true` if someone has read the end of the transport.
fn has_ended<Data>(tls: &mut ConnectionCommon<Data>) -> bool {
    (tls.reader().into_first_chunk()).is_err_and(|e| e.kind() == io::ErrorKind::UnexpectedEof)
}

/// Processes what was read. Once for each read, and never to ask a question.
#[inline]
fn process<Data>(tls: &mut ConnectionCommon<Data>) -> Result<IoState, rustls::Error> {
    #[cfg(not(debug_assertions))]
    {
        tls.process_new_packets()
    }
    // rustls asserts that it sends no fatal alert after `close_notify`, and a bad record makes it
    // try. It has marked the session as failed by then, so nothing is left half done. Without its
    // assertions it queues the alert, which is dropped.
    #[cfg(debug_assertions)]
    {
        let process = std::panic::AssertUnwindSafe(|| tls.process_new_packets());
        std::panic::catch_unwind(process).unwrap_or(Err(rustls::Error::HandshakeNotComplete))
    }
}

/// Finds what can be had without reading the transport.
#[inline]
fn take<Data>(
    tls: &mut ConnectionCommon<Data>,
    plaintext: &mut Plaintext<'_, '_>,
    state: &mut AlertState,
) -> Option<Received> {
    let mut reader = tls.reader();
    let mut taken = 0;
    loop {
        let chunk = match reader.fill_buf() {
            Ok([]) if taken == 0 => {
                state.peer_closed = true;
                return Some(Received::CloseNotify);
            }
            Err(e) if taken == 0 && e.kind() == io::ErrorKind::UnexpectedEof => {
                return Some(Received::Eof);
            }
            Ok([]) | Err(_) => return (taken > 0).then_some(Received::Data(taken)),
            Ok(chunk) => chunk,
        };
        let bytes = match plaintext {
            Plaintext::Keep => return None,
            Plaintext::Fill => return Some(Received::Data(chunk.len())),
            Plaintext::Discard => chunk.len(),
            Plaintext::Read(buf) => {
                let bytes = chunk.len().min(buf.remaining());
                buf.put_slice(&chunk[..bytes]);
                bytes
            }
        };
        reader.consume(bytes);
        taken += bytes;
        if matches!(plaintext, Plaintext::Read(buf) if buf.remaining() == 0) {
            return Some(Received::Data(taken));
        }
    }
}

/// What the end of the transport means, or why rustls has not asked it.
#[cold]
fn end_of_read<Data>(
    tls: &mut ConnectionCommon<Data>,
    state: &mut AlertState,
    end: ReadEnd,
    read: io::Result<usize>,
) -> Result<Received, BackendError> {
    match (end, read) {
        (ReadEnd::Eof, _) => {
            state.transport = TransportEnd::Seen;
            Ok(Received::Eof)
        }
        (ReadEnd::Failed, Err(e)) => match end_of_transport(&e) {
            Some(end) => Ok(end),
            None => Err(BackendError::Transport(e)),
        },
        // rustls reads nothing once the peer has closed.
        (_, Ok(_)) => {
            state.peer_closed = true;
            Ok(Received::CloseNotify)
        }
        // Too much is unread, or a message is too long.
        (_, Err(e)) => match tls.reader().into_first_chunk() {
            Ok([_, ..]) => Ok(Received::Full),
            _ => Err(tls_error(rustls::Error::General(e.to_string()))),
        },
    }
}

/// What the transport has given.
#[derive(Clone, Copy)]
enum ReadEnd {
    NotAsked,
    Bytes,
    Blocked,
    Eof,
    Failed,
}

/// The transport as rustls wants it.
struct Reader<'a, 'b, IO> {
    io: &'a mut IO,
    cx: &'a mut Context<'b>,
    end: ReadEnd,
}

impl<IO: AsyncRead + Unpin> Read for Reader<'_, '_, IO> {
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut buf = ReadBuf::new(buf);
        let (end, read) = match Pin::new(&mut *self.io).poll_read(self.cx, &mut buf) {
            Poll::Ready(Ok(())) => match buf.filled().len() {
                0 => (ReadEnd::Eof, Ok(0)),
                bytes => (ReadEnd::Bytes, Ok(bytes)),
            },
            Poll::Ready(Err(e)) => (ReadEnd::Failed, Err(e)),
            Poll::Pending => (ReadEnd::Blocked, Err(io::ErrorKind::WouldBlock.into())),
        };
        self.end = end;
        read
    }
}
