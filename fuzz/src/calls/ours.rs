//! The calls, of this crate.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    time::Duration,
};

use arbitrary::Unstructured;
use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt,
};
use tokio_rustls::TlsStream;
use tokio_tls_shutdown::{
    CloseOnDrop, ClosePolicy, CloseProgress, CloseTracker, GracefulStream, ShutdownExt,
    ShutdownState,
};

use super::{Call, TIMER, Target, pick, poll};

/// Which of the stream types takes the calls first.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Plain,
    Graceful,
    Lingering,
    Tracked,
}

impl Kind {
    pub(super) fn any(u: &mut Unstructured<'_>) -> Self {
        pick(
            u,
            &[Self::Plain, Self::Graceful, Self::Lingering, Self::Tracked],
        )
    }
}

enum Stream<IO: AsyncRead + AsyncWrite + Unpin> {
    Plain(TlsStream<IO>),
    Graceful(GracefulStream<TlsStream<IO>>),
    OnDrop(CloseOnDrop<GracefulStream<TlsStream<IO>>>),
    /// Between two of the others, and after a `CloseOnDrop`.
    Gone,
}

pub(super) struct Ours<IO: AsyncRead + AsyncWrite + Unpin> {
    stream: Stream<IO>,
    progress: CloseProgress,
    tracker: CloseTracker,
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Ours<IO> {
    pub(super) fn new(stream: TlsStream<IO>, u: &mut Unstructured<'_>) -> Self {
        let tracker = CloseTracker::new();
        let graceful = |stream| Stream::Graceful(GracefulStream::new(stream));
        let stream = match Kind::any(u) {
            Kind::Plain => Stream::Plain(stream),
            Kind::Graceful => graceful(stream),
            Kind::Lingering => {
                let mut stream = GracefulStream::new(stream);
                stream.set_policy(ClosePolicy::linger());
                Stream::Graceful(stream)
            }
            Kind::Tracked => {
                let mut stream = GracefulStream::new(stream);
                stream.track(&tracker);
                Stream::Graceful(stream)
            }
        };
        Self {
            stream,
            progress: CloseProgress::new(),
            tracker,
        }
    }

    pub(super) fn into_graceful(self) -> Option<GracefulStream<TlsStream<IO>>> {
        match self.stream {
            Stream::Graceful(stream) => Some(stream),
            _ => None,
        }
    }

    fn graceful(&mut self) -> Option<&mut GracefulStream<TlsStream<IO>>> {
        match &mut self.stream {
            Stream::Graceful(stream) => Some(stream),
            Stream::OnDrop(stream) => Some(stream.get_mut()),
            Stream::Plain(_) | Stream::Gone => None,
        }
    }

    fn replace(&mut self, by: impl FnOnce(Stream<IO>) -> Stream<IO>) {
        self.stream = by(std::mem::replace(&mut self.stream, Stream::Gone));
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Target for Ours<IO> {
    fn call(&mut self, call: Call) {
        match call {
            Call::Abort => {
                // It waits for a second more, on a clock that need not wait.
                TIMER.block_on(self.tracker.drain(Duration::ZERO));
                return;
            }
            Call::Rewrap => {
                return self.replace(|stream| match stream {
                    Stream::Plain(stream) => Stream::Graceful(GracefulStream::new(stream)),
                    Stream::Graceful(stream) => Stream::Plain(stream.into_inner()),
                    other => other,
                });
            }
            Call::CloseOnDrop => {
                return self.replace(|stream| match stream {
                    Stream::Graceful(stream) => Stream::OnDrop(CloseOnDrop::new(stream)),
                    Stream::OnDrop(_) => Stream::Gone,
                    other => other,
                });
            }
            Call::Track => {
                let tracker = self.tracker.clone();
                if let Some(stream) = self.graceful() {
                    stream.track(&tracker);
                }
                return;
            }
            _ => {}
        }
        if let Some(stream) = self.graceful() {
            of_graceful(stream, call);
        }
        let progress = &mut self.progress;
        match &mut self.stream {
            Stream::Plain(stream) => {
                of_any(stream, progress, call);
                by_tokio_rustls(|| of_io(stream, call));
            }
            Stream::Graceful(stream) => {
                of_any(stream, progress, call);
                of_io(stream, call);
            }
            Stream::OnDrop(stream) => {
                of_any(stream.get_mut(), progress, call);
                of_io(stream, call);
            }
            Stream::Gone => {}
        }
    }
}

/// What only a `GracefulStream` has.
fn of_graceful<IO: AsyncRead + AsyncWrite + Unpin>(
    stream: &mut GracefulStream<TlsStream<IO>>,
    call: Call,
) {
    match call {
        Call::CloseNotifyWith(data) => {
            poll(stream.close_notify_with(&vec![b'l'; data]).no_deadline());
        }
        Call::State => {
            let _ = (stream.state(), stream.outcome(), stream.is_resumed());
        }
        Call::SetState(state) => stream.set_state(match state {
            0 => ShutdownState::SENT,
            1 => ShutdownState::RECEIVED,
            _ => ShutdownState::COMPLETE,
        }),
        Call::SetPolicy(policy) => stream.set_policy(match policy {
            0 => ClosePolicy::Notify,
            1 => ClosePolicy::linger(),
            2 => ClosePolicy::Quiet,
            _ => ClosePolicy::Linger {
                idle: Duration::ZERO,
                deadline: Duration::ZERO,
                discard_limit: 20_000,
            },
        }),
        Call::SetQuiet(quiet) => stream.set_quiet_shutdown(quiet),
        _ => {}
    }
}

/// What `ShutdownExt` has for every stream.
fn of_any<S: ShutdownExt>(stream: &mut S, progress: &mut CloseProgress, call: Call) {
    match call {
        Call::CloseNotify => poll(stream.close_notify()),
        Call::CloseNotifyAtOnce => poll(stream.close_notify().deadline(Duration::ZERO)),
        Call::Bidirectional { discard_limit } => {
            poll(stream.shutdown_bidirectional().discard_limit(discard_limit));
        }
        Call::PeerClosed => poll(stream.peer_closed()),
        Call::ReceivedCloseNotify => {
            let _ = stream.received_close_notify();
        }
        Call::PollCloseNotify => {
            poll(std::future::poll_fn(|cx| {
                stream.poll_close_notify(cx, progress)
            }));
        }
        Call::PollBidirectional => poll(std::future::poll_fn(|cx| {
            stream.poll_shutdown_bidirectional(cx, progress)
        })),
        Call::PollPeerClosed => {
            poll(std::future::poll_fn(|cx| {
                stream.poll_peer_closed(cx, progress)
            }));
        }
        _ => {}
    }
}

/// What tokio has for every stream.
fn of_io<S: AsyncBufRead + AsyncRead + AsyncWrite + Unpin>(stream: &mut S, call: Call) {
    match call {
        Call::Read(bytes) => poll(stream.read(&mut vec![0; bytes])),
        Call::ReadExact(bytes) => poll(stream.read_exact(&mut vec![0; bytes])),
        Call::ReadToEnd => poll(stream.read_to_end(&mut Vec::new())),
        Call::FillBuf(part) => poll(async {
            let there = stream.fill_buf().await?.len();
            Pin::new(stream).consume(there * usize::from(part) / 255);
            std::io::Result::Ok(())
        }),
        Call::Write(data) => poll(stream.write_all(&vec![b'w'; data])),
        Call::Flush => poll(stream.flush()),
        Call::Shutdown => poll(stream.shutdown()),
        _ => {}
    }
}

/// Reads and writes of a plain stream are not this crate's: in a debug build, after our alert, a bad
/// record makes them fail an assertion of rustls, as it does after tokio-rustls's own `shutdown()`.
fn by_tokio_rustls(call: impl FnOnce()) {
    if cfg!(debug_assertions) {
        let _ = catch_unwind(AssertUnwindSafe(call));
    } else {
        call();
    }
}
