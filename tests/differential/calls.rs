//! The calls of a script, on each kind of stream, and what came of them.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, ErrorKind},
    pin::Pin,
    task::ready,
    time::Duration,
};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsStream;
use tokio_tls_shutdown::{
    CloseProgress, Closed, GracefulStream, PeerClose, PeerStatus, ShutdownError, ShutdownExt,
    ShutdownState, tokio_rustls,
};

use super::{
    facts::Facts,
    script::{Call, Deadline},
    transport::Endpoint,
};

pub type Plain = TlsStream<Endpoint>;
pub type Graceful = GracefulStream<Plain>;

/// Which stream a script runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Plain,
    Graceful,
    /// A `GracefulStream` whose bidirectional closes are `shutdown()` with policy `Linger`.
    Linger,
}

/// An error of a close without what belongs to one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    Handshaking,
    Send(ErrorKind),
    SendTimedOut,
    Receive(ErrorKind),
    Tls,
    Unclean,
    /// Not an error of a close, from `shutdown()`.
    Io(ErrorKind),
}

impl From<&ShutdownError> for Failed {
    fn from(e: &ShutdownError) -> Self {
        match e {
            ShutdownError::Handshaking => Self::Handshaking,
            ShutdownError::Send(e) => Self::Send(e.kind()),
            ShutdownError::SendTimedOut => Self::SendTimedOut,
            ShutdownError::Receive(e) => Self::Receive(e.kind()),
            ShutdownError::Tls(_) => Self::Tls,
            _ => Self::Unclean,
        }
    }
}

impl From<&io::Error> for Failed {
    fn from(e: &io::Error) -> Self {
        let ours = e
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<ShutdownError>());
        ours.map_or(Self::Io(e.kind()), Self::from)
    }
}

/// What has come of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Came {
    /// Pending, and nothing more happened.
    Stuck,
    /// The script has dropped it.
    Dropped,
    /// It was not made: see `Oracle::unwinds`.
    Skipped,
    Wrote,
    WriteFailed(ErrorKind),
    Flushed,
    FlushFailed(ErrorKind),
    /// So much as was asked for.
    Read,
    /// A read has said that the peer has closed.
    End,
    ReadFailed(ErrorKind),
    Closing(ShutdownState),
    Closed(PeerClose, Counted),
    Peer(PeerStatus),
    Shut,
    Failed(Failed),
}

/// What a bidirectional close has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    pub discarded: usize,
    pub tickets: u32,
    pub peer_first: bool,
}

fn closed(result: Result<Closed, ShutdownError>) -> Came {
    match result {
        Ok(closed) => of_closed(&closed),
        Err(e) => Came::Failed((&e).into()),
    }
}

fn of_closed(closed: &Closed) -> Came {
    assert_eq!(closed.is_clean(), closed.peer() == PeerClose::CloseNotify);
    Came::Closed(
        closed.peer(),
        Counted {
            discarded: usize::try_from(closed.discarded()).unwrap(),
            tickets: closed.tickets(),
            peer_first: closed.peer_closed_first(),
        },
    )
}

fn closing(result: Result<ShutdownState, ShutdownError>) -> Came {
    match result {
        Ok(state) => Came::Closing(state),
        Err(e) => Came::Failed((&e).into()),
    }
}

fn status(result: Result<PeerStatus, ShutdownError>) -> Came {
    match result {
        Ok(status) => Came::Peer(status),
        Err(e) => Came::Failed((&e).into()),
    }
}

/// What not every stream has.
pub trait Subject: ShutdownExt + AsyncRead + AsyncBufRead + AsyncWrite + Unpin {
    fn with<'a>(&'a mut self, data: &'a [u8]) -> impl Future<Output = Came> + 'a;
    /// What the stream itself says of its close.
    fn known_state(&mut self) -> Option<ShutdownState>;
    fn last_outcome(&self) -> Option<Closed>;
}

impl Subject for Plain {
    async fn with<'a>(&'a mut self, _: &'a [u8]) -> Came {
        unreachable!("a plain stream has no last data")
    }

    fn known_state(&mut self) -> Option<ShutdownState> {
        None
    }

    fn last_outcome(&self) -> Option<Closed> {
        None
    }
}

impl Subject for Graceful {
    async fn with<'a>(&'a mut self, data: &'a [u8]) -> Came {
        closing(self.close_notify_with(data).await)
    }

    fn known_state(&mut self) -> Option<ShutdownState> {
        Some(self.state())
    }

    fn last_outcome(&self) -> Option<Closed> {
        self.outcome()
    }
}

macro_rules! until {
    ($future:expr, $deadline:expr) => {
        match $deadline {
            Deadline::None => $future.no_deadline(),
            Deadline::Default => $future,
            Deadline::Zero => $future.deadline(Duration::ZERO),
        }
        .await
    };
}

/// Makes a call.
pub async fn perform<S: Subject>(
    stream: &mut S,
    progress: &mut CloseProgress,
    facts: &RefCell<Facts>,
    kind: Kind,
    call: Call,
) -> Came {
    match call {
        Call::Write { records, size } => write(stream, facts, records, size).await,
        Call::Flush => match poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await {
            Ok(()) => Came::Flushed,
            Err(e) => Came::FlushFailed(e.kind()),
        },
        Call::Read(bytes) => read(stream, facts, bytes).await,
        Call::FillBuf(most) => {
            let read = poll_fn(|cx| {
                let buf = ready!(Pin::new(&mut *stream).poll_fill_buf(cx))?;
                let len = buf.len();
                let bytes = buf[..len.min(most)].to_vec();
                Pin::new(&mut *stream).consume(bytes.len());
                facts.borrow_mut().on_read(&bytes);
                std::task::Poll::Ready(Ok(len))
            });
            match read.await {
                Ok(0) => Came::End,
                Ok(_) => Came::Read,
                Err(e) => read_failed(&e),
            }
        }
        Call::CloseNotify(deadline) => closing(until!(stream.close_notify(), deadline)),
        Call::CloseNotifyWith(len) => {
            let data = facts.borrow_mut().last_data(len);
            stream.with(&data).await
        }
        Call::Bidirectional { .. } | Call::PollBidirectional if kind == Kind::Linger => {
            match poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await {
                Ok(()) => stream.last_outcome().as_ref().map_or(Came::Shut, of_closed),
                Err(e) => Came::Failed((&e).into()),
            }
        }
        Call::Bidirectional {
            deadline,
            discard_limit,
        } => {
            let mut close = stream.shutdown_bidirectional();
            if let Some(limit) = discard_limit {
                close = close.discard_limit(limit);
            }
            closed(until!(close, deadline))
        }
        Call::PeerClosed => status(stream.peer_closed().await),
        Call::Shutdown => match poll_fn(|cx| Pin::new(&mut *stream).poll_shutdown(cx)).await {
            Ok(()) => Came::Shut,
            Err(e) => Came::Failed((&e).into()),
        },
        Call::PollCloseNotify => {
            closing(poll_fn(|cx| stream.poll_close_notify(cx, progress)).await)
        }
        Call::PollBidirectional => {
            closed(poll_fn(|cx| stream.poll_shutdown_bidirectional(cx, progress)).await)
        }
        Call::PollPeerClosed => status(poll_fn(|cx| stream.poll_peer_closed(cx, progress)).await),
    }
}

async fn write<S: Subject>(
    stream: &mut S,
    facts: &RefCell<Facts>,
    records: usize,
    size: usize,
) -> Came {
    facts.borrow_mut().begin_write();
    for _ in 0..records {
        let mut left = size;
        while left > 0 {
            let data = facts.borrow().next_data(left);
            let wrote = poll_fn(|cx| Pin::new(&mut *stream).poll_write(cx, &data)).await;
            match wrote {
                Ok(0) => return Came::WriteFailed(ErrorKind::WriteZero),
                Ok(bytes) => {
                    facts.borrow_mut().on_accepted(bytes);
                    left -= bytes;
                }
                Err(e) => {
                    facts.borrow_mut().on_write_failed(left);
                    return Came::WriteFailed(e.kind());
                }
            }
        }
    }
    Came::Wrote
}

async fn read<S: Subject>(stream: &mut S, facts: &RefCell<Facts>, bytes: usize) -> Came {
    let mut chunk = vec![0; bytes.min(20_000)];
    let mut left = bytes;
    while left > 0 {
        let size = chunk.len().min(left);
        let mut buf = ReadBuf::new(&mut chunk[..size]);
        let read = poll_fn(|cx| Pin::new(&mut *stream).poll_read(cx, &mut buf)).await;
        facts.borrow_mut().on_read(buf.filled());
        match read {
            Ok(()) if buf.filled().is_empty() => return Came::End,
            Ok(()) => left -= buf.filled().len(),
            Err(e) => return read_failed(&e),
        }
    }
    Came::Read
}

fn read_failed(e: &io::Error) -> Came {
    Came::ReadFailed(e.kind())
}
