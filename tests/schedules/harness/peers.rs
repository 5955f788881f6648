//! What a peer does: it writes, it closes in one of the ways, and it reads to the end.

use std::{
    cell::RefCell,
    fmt::Debug,
    future::poll_fn,
    io::{self, ErrorKind},
    pin::pin,
    rc::Rc,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsStream;
use tokio_tls_shutdown::{
    CloseProgress, Closed, GracefulStream, PeerClose, RecordAligned, ShutdownError, ShutdownExt,
    ShutdownState, tokio_rustls,
};

use super::transport::{Endpoint, Hub};

/// What a peer calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// The poll variants on a plain stream.
    Polls,
    /// The futures on a plain stream.
    Futures,
    /// The futures on a `GracefulStream`.
    Graceful,
    /// tokio-rustls alone.
    Plain,
}

/// How it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// `close_notify`, then it reads to the end.
    Notify,
    /// `close_notify_with` all that it has to say, then it reads to the end. Only a `GracefulStream`
    /// has it.
    NotifyWith,
    /// `close_notify`, then `shutdown_bidirectional`.
    Both,
    /// `shutdown_bidirectional`.
    Bidirectional,
    /// `AsyncWrite::poll_shutdown`, then it reads to the end.
    Shutdown,
    /// `shutdown_bidirectional`, then it continues in plaintext on the same transport.
    Reuse,
}

#[derive(Clone, Copy, Debug)]
pub struct Script {
    pub api: Api,
    pub close: Close,
    /// So many bytes are written before the close.
    pub data: usize,
}

/// How it has ended for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    Clean,
    Unclean(PeerClose),
    Failed(&'static str),
    Io(ErrorKind),
}

/// What a peer has seen so far.
#[derive(Debug, Default)]
pub struct Log {
    /// Bytes that a write has taken.
    pub accepted: usize,
    pub read: Vec<u8>,
    /// By the last call.
    pub discarded: u64,
    /// Calls before the last one.
    pub calls_before: usize,
    /// What else tells this point of the peer's run from others.
    pub note: String,
}

/// What a peer holds in its hand beside its stream.
#[derive(Clone)]
pub struct Hand {
    pub hub: Hub,
    pub me: usize,
    pub log: Rc<RefCell<Log>>,
}

/// What peer `me` says.
pub fn data(me: usize, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 7 + me * 100) as u8).collect()
}

/// A stream that is closed with the last data, if it can be.
pub trait Tls: ShutdownExt + AsyncRead + AsyncWrite + Unpin + Debug {
    fn poll_notify(
        &mut self,
        cx: &mut Context<'_>,
        last: &[u8],
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>>;

    fn notify<'a>(
        &'a mut self,
        last: &'a [u8],
    ) -> impl Future<Output = Result<ShutdownState, ShutdownError>> + Debug;
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Debug> Tls for TlsStream<IO> {
    fn poll_notify(
        &mut self,
        cx: &mut Context<'_>,
        last: &[u8],
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>> {
        assert!(last.is_empty(), "a plain stream sends no last data");
        self.poll_close_notify(cx, progress)
    }

    fn notify<'a>(
        &'a mut self,
        last: &'a [u8],
    ) -> impl Future<Output = Result<ShutdownState, ShutdownError>> + Debug {
        assert!(last.is_empty(), "a plain stream sends no last data");
        self.close_notify().no_deadline()
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin + Debug> Tls for GracefulStream<TlsStream<IO>> {
    fn poll_notify(
        &mut self,
        cx: &mut Context<'_>,
        last: &[u8],
        progress: &mut CloseProgress,
    ) -> Poll<Result<ShutdownState, ShutdownError>> {
        self.poll_close_notify_with(cx, last, progress)
    }

    fn notify<'a>(
        &'a mut self,
        last: &'a [u8],
    ) -> impl Future<Output = Result<ShutdownState, ShutdownError>> + Debug {
        self.close_notify_with(last).no_deadline()
    }
}

/// What goes over the transport in the clear when TLS is over. It begins as a record does.
pub const PLAIN: &[u8] = b"\x17\x03\x03plain";

impl From<io::Error> for End {
    fn from(e: io::Error) -> Self {
        Self::Io(e.kind())
    }
}

impl From<ShutdownError> for End {
    fn from(e: ShutdownError) -> Self {
        Self::Failed(match e {
            ShutdownError::Send(_) => "send",
            ShutdownError::Receive(_) => "receive",
            // Here only by a session that was cut off; see `World`.
            ShutdownError::Tls(_) => "tls",
            ShutdownError::Unclean(how) => return Self::Unclean(how),
            _ => "never",
        })
    }
}

impl Hand {
    /// Awaits `call`, or drops it where it is pending.
    async fn maybe_dropped<T>(&self, call: impl Future<Output = T>) -> Option<T> {
        let mut call = pin!(call);
        poll_fn(|cx| match call.as_mut().poll(cx) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending if self.hub.get().choices.seldom() => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// Takes note of where the stream is.
    fn note(&self, what: impl Debug) {
        if self.hub.get().choices.can_be_explored() {
            self.log.borrow_mut().note = format!("{what:?}");
        }
    }

    fn assert_state(&self, state: ShutdownState) {
        let hub = self.hub.get();
        let (ours, theirs) = (hub.wire(self.me), hub.wire(1 - self.me));
        if state.contains(ShutdownState::SENT) {
            assert!(ours.alert_is_flushed, "sent, but not flushed");
        }
        if state.contains(ShutdownState::RECEIVED) {
            assert_eq!(theirs.alerts, 1, "received, but never sent");
        }
    }

    /// Calls until a call has ended; what fails to be sent is tried again, or given up.
    async fn close<S: Tls>(
        &self,
        tls: &mut S,
        mut api: Api,
        goal: Close,
        last: &[u8],
    ) -> Result<Option<Closed>, End> {
        if !last.is_empty() && self.hub.get().choices.can_be_explored() {
            // The future does not show its state.
            api = Api::Polls;
        }
        loop {
            let mut progress = CloseProgress::new();
            let ended = match (api, goal) {
                (Api::Polls, Close::Bidirectional) => {
                    self.maybe_dropped(poll_fn(|cx| {
                        let poll = tls.poll_shutdown_bidirectional(cx, &mut progress);
                        self.assert_state(progress.state());
                        self.note((&progress, &tls));
                        poll.map_ok(Some)
                    }))
                    .await
                }
                (Api::Polls, _) => {
                    self.maybe_dropped(poll_fn(|cx| {
                        let poll = tls.poll_notify(cx, last, &mut progress);
                        self.assert_state(progress.state());
                        self.note((&progress, &tls));
                        poll.map_ok(|_| None)
                    }))
                    .await
                }
                (_, Close::Bidirectional) => {
                    let mut call = pin!(tls.shutdown_bidirectional().no_deadline());
                    self.maybe_dropped(poll_fn(|cx| {
                        let poll = call.as_mut().poll(cx);
                        self.note(&call);
                        poll.map_ok(Some)
                    }))
                    .await
                }
                _ => {
                    let mut call = pin!(tls.notify(last));
                    self.maybe_dropped(poll_fn(|cx| {
                        let poll = call.as_mut().poll(cx);
                        self.note(&call);
                        poll.map_ok(|state| {
                            assert!(state.contains(ShutdownState::SENT));
                            self.assert_state(state);
                            None
                        })
                    }))
                    .await
                }
            };
            // What was queued with the first poll counts as said.
            if !last.is_empty() {
                self.log.borrow_mut().accepted = last.len();
            }
            match ended {
                // It was dropped.
                None => {}
                Some(Err(ShutdownError::Send(_))) if self.hub.get().choices.seldom() => {}
                Some(result) => return Ok(result?),
            }
            self.log.borrow_mut().calls_before += 1;
        }
    }

    async fn write<S: AsyncWrite + Unpin>(&self, tls: &mut S, data: &[u8]) -> io::Result<()> {
        let mut rest = data;
        while !rest.is_empty() {
            let n = tls.write(rest).await?;
            rest = &rest[n..];
            self.log.borrow_mut().accepted += n;
        }
        Ok(())
    }

    async fn read_to_end<S: AsyncRead + Unpin + Debug>(&self, tls: &mut S) -> io::Result<()> {
        let mut chunk = [0; 1000];
        loop {
            let read = poll_fn(|cx| {
                let poll = pin!(tls.read(&mut chunk)).poll(cx);
                self.note(&tls);
                poll
            });
            let n = read.await?;
            if n == 0 {
                return Ok(());
            }
            self.log.borrow_mut().read.extend(&chunk[..n]);
        }
    }

    fn closed(&self, closed: Option<Closed>) -> End {
        match closed {
            Some(closed) => {
                self.log.borrow_mut().discarded = closed.discarded();
                match closed.peer() {
                    PeerClose::CloseNotify => End::Clean,
                    how => End::Unclean(how),
                }
            }
            None => End::Clean,
        }
    }

    async fn talk<S: Tls>(&self, tls: &mut S, script: Script) -> Result<End, End> {
        let data = data(self.me, script.data);
        let mut last: &[u8] = &[];
        match script.close {
            Close::NotifyWith => last = &data,
            _ => self.write(tls, &data).await?,
        }
        let api = script.api;
        match script.close {
            Close::Bidirectional | Close::Reuse => {
                let closed = self.close(tls, api, Close::Bidirectional, &[]).await?;
                return Ok(self.closed(closed));
            }
            Close::Both => {
                self.close(tls, api, Close::Notify, &[]).await?;
                let closed = self.close(tls, api, Close::Bidirectional, &[]).await?;
                return Ok(self.closed(closed));
            }
            Close::Notify | Close::NotifyWith => {
                self.close(tls, api, Close::Notify, last).await?;
            }
            Close::Shutdown => {
                tls.shutdown().await?;
                if api == Api::Graceful {
                    self.assert_state(ShutdownState::SENT);
                }
            }
        }
        self.read_to_end(tls).await?;
        assert!(tls.received_close_notify(), "the end without close_notify");
        Ok(End::Clean)
    }

    pub async fn run(self, tls: TlsStream<Endpoint>, script: Script) -> End {
        let ended = match script.api {
            Api::Graceful => {
                let mut tls = GracefulStream::new(tls);
                let ended = self.talk(&mut tls, script).await;
                self.assert_state(tls.state());
                ended
            }
            _ => self.talk(&mut { tls }, script).await,
        };
        ended.unwrap_or_else(|end| end)
    }

    pub async fn run_and_reuse(
        self,
        tls: TlsStream<RecordAligned<Endpoint>>,
        script: Script,
    ) -> End {
        self.reuse(tls, script).await.unwrap_or_else(|end| end)
    }

    async fn reuse(
        &self,
        tls: TlsStream<RecordAligned<Endpoint>>,
        script: Script,
    ) -> Result<End, End> {
        let mut tls = GracefulStream::new(tls);
        let end = self.talk(&mut tls, script).await?;
        if end != End::Clean {
            return Ok(end);
        }
        let mut transport = match tls.into_transport() {
            Ok(transport) => transport,
            // The peer had closed, and our alert went nowhere.
            Err(_) => return Ok(End::Failed("incomplete")),
        };
        self.hub.goes_plain(self.me);
        transport.write_all(PLAIN).await?;
        transport.flush().await?;
        let mut got = [0; PLAIN.len()];
        transport.read_exact(&mut got).await?;
        assert_eq!(got, PLAIN, "what followed close_notify was lost");
        Ok(End::Clean)
    }
}
