//! `GracefulStream`: wraps a TLS stream and remembers its close. Also the transports and wrappers
//! that belong to a stream: `RecordAligned`, `CloseOnDrop`.
//!
//! This folder knows how an application uses a stream (readers, writers, policies) and writes the
//! record of the connection. How a close proceeds is decided in `close/`; what creates streams
//! (`handshake/`, `integrations/`) is above and unknown here.

pub(crate) mod close_notify_with;
pub(crate) mod close_on_drop;
mod close_unused;
mod closing;
mod framing;
mod handle;
mod handshake_tasks;
pub(crate) mod into_transport;
mod io;
pub(crate) mod linger;
mod parts;
pub(crate) mod record_aligned;
mod wrapped;

use self::{
    close_unused::CloseUnused,
    handshake_tasks::HandshakeTasks,
    linger::{Bounds, Linger},
    wrapped::Wrapped,
};
use crate::{
    backend::{Alert, PlainStream},
    close::close_state::CloseState,
    closed::Closed,
    policy::ClosePolicy,
    shutdown_ext::ShutdownExt,
    state::{PeerClose, ShutdownState},
    tracker::{CloseTracker, observe, record::CloseRecord},
};

/// Wraps a TLS stream and tracks its close. A drop-in replacement for the wrapped stream.
///
/// It adds what a plain stream cannot know or do:
///
/// - which alerts were exchanged ([`state`](Self::state)) and how the last close ended
///   ([`outcome`](Self::outcome));
/// - a write after `close_notify` fails with [`BrokenPipe`](std::io::ErrorKind::BrokenPipe) and
///   sends nothing, where a plain stream returns `Ok` and the peer drops the bytes; a flush after it
///   returns `Ok`;
/// - [`close_notify_with`](Self::close_notify_with), which sends the last data and the alert
///   together;
/// - a [`ClosePolicy`] for `shutdown()`, and [quiet shutdown](Self::set_quiet_shutdown);
/// - reading after `close_notify` that never sends an alert behind it, and never panics on a bad
///   record;
/// - [`into_transport`](Self::into_transport), for a transport that outlives TLS;
/// - sessions that are evicted if the connection fails, if a
///   [`GracefulConnector`](crate::GracefulConnector) or
///   [`GracefulAcceptor`](crate::GracefulAcceptor) has created it, and a [`CloseTracker`].
///
/// [`ShutdownExt`] works on it as on the wrapped stream. Reading and writing do not copy or allocate
/// more than there.
///
/// # Dropping
///
/// Nothing is sent on drop: a `close_notify` that was not asked for would make a truncated message
/// look complete. See [`CloseOnDrop`](crate::CloseOnDrop) if that cannot happen in your protocol.
/// The streams of the HTTP [`integrations`](crate::integrations) send it if they are dropped before
/// any application data was written.
///
/// # When not to use it
///
/// For one `close_notify()` or `shutdown_bidirectional()` at the end of a connection that you own,
/// the extension trait on the plain stream is enough.
///
/// ```
/// use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpStream};
/// use tokio_tls_shutdown::{ClosePolicy, GracefulStream, tokio_rustls::server::TlsStream};
///
/// async fn refuse(tls: TlsStream<TcpStream>) -> std::io::Result<()> {
///     let mut tls = GracefulStream::new(tls);
///     tls.set_policy(ClosePolicy::linger());
///     // The client may still be sending its request; it receives the answer all the same.
///     tls.write_all(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\n\r\n").await?;
///     tls.shutdown().await
/// }
/// ```
///
/// It wraps a TLS stream, not itself:
///
/// ```compile_fail
/// # use tokio_tls_shutdown::{GracefulStream, tokio_rustls::server::TlsStream};
/// # use tokio::net::TcpStream;
/// fn twice(tls: GracefulStream<TlsStream<TcpStream>>) {
///     let _ = GracefulStream::new(tls);
/// }
/// ```
#[derive(Debug)]
pub struct GracefulStream<S> {
    stream: Wrapped<S>,
    state: CloseState,
    /// Application data were accepted.
    has_written: bool,
    /// A read has failed because the peer has reset the transport.
    has_read_reset: bool,
    /// The handshake is known to be finished, which early data may leave open.
    is_established: bool,
    /// SSL_set_quiet_shutdown(3).
    quiet: bool,
    quiet_policy: bool,
    step: ShutdownStep,
    outcome: Option<Closed>,
    extras: Option<Box<Extras<S>>>,
}

/// What few streams have, in one place so that the others pay a pointer for it.
#[derive(Debug)]
struct Extras<S> {
    linger: Option<Linger>,
    record: Option<CloseRecord>,
    /// Closes the stream if it is dropped unused.
    close_unused: Option<CloseUnused<S>>,
    /// Who waits for the handshake behind early data.
    handshake: Option<Box<HandshakeTasks>>,
    /// Why `shutdown()` could not close our side.
    failure: Option<std::io::Error>,
}

impl<S> Default for Extras<S> {
    fn default() -> Self {
        Self {
            linger: None,
            record: None,
            close_unused: None,
            handshake: None,
            failure: None,
        }
    }
}

/// How far `poll_shutdown` has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ShutdownStep {
    /// Our `close_notify` is not sent.
    Notify,
    /// The write side of the transport is not closed.
    CloseTransport,
    Done,
}

impl<S> GracefulStream<S> {
    /// Creates a new `GracefulStream` from a stream whose handshake is finished and that is not
    /// closed.
    #[must_use]
    pub fn new(mut stream: S) -> Self
    where
        S: PlainStream,
    {
        let record = observe::WANTED.then(|| CloseRecord::new(stream.role()));
        Self::with_record(stream, record)
    }

    pub(crate) fn with_record(stream: S, record: Option<CloseRecord>) -> Self {
        let mut state = CloseState::NEW;
        state.alert.wrapped = true;
        Self {
            stream: Wrapped::new(stream),
            state,
            has_written: false,
            has_read_reset: false,
            is_established: false,
            quiet: false,
            quiet_policy: false,
            step: ShutdownStep::Notify,
            outcome: None,
            extras: record.map(|record| {
                Box::new(Extras {
                    record: Some(record),
                    ..Extras::default()
                })
            }),
        }
    }

    /// Returns a reference to the wrapped stream.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns a mutable reference to the wrapped stream.
    ///
    /// What is written or closed through it is not tracked here.
    pub fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Consumes the wrapper and returns the wrapped stream.
    ///
    /// What is known of its close is lost: unless the stream was closed, its tracker counts it as
    /// dropped and its sessions are evicted.
    #[must_use]
    pub fn into_inner(mut self) -> S {
        self.stream.take()
    }

    /// Returns what `shutdown()` does.
    #[must_use]
    pub fn policy(&self) -> ClosePolicy {
        let linger = self
            .extras
            .as_ref()
            .and_then(|extras| extras.linger.as_ref());
        match linger {
            Some(linger) => linger.bounds.into(),
            None if self.quiet_policy => ClosePolicy::Quiet,
            None => ClosePolicy::Notify,
        }
    }

    /// Sets what `shutdown()` does. Defaults to [`ClosePolicy::Notify`].
    ///
    /// A `shutdown()` that has begun to drain keeps its bounds as long as the policy is
    /// [`Linger`](ClosePolicy::Linger).
    pub fn set_policy(&mut self, policy: ClosePolicy) {
        self.quiet_policy = policy == ClosePolicy::Quiet;
        if let Some(bounds) = Bounds::of(policy) {
            let linger = &mut self.extras.get_or_insert_default().linger;
            linger.get_or_insert_with(|| Linger::new(bounds)).bounds = bounds;
        } else if let Some(extras) = &mut self.extras {
            extras.linger = None;
        }
    }

    /// Returns `true` if quiet shutdown is on.
    #[must_use]
    pub const fn quiet_shutdown(&self) -> bool {
        self.quiet
    }

    /// Turns quiet shutdown on or off, as [SSL_set_quiet_shutdown(3)]. Defaults to off.
    ///
    /// With it, closing sends no alert, waits for nothing and always succeeds: the state becomes
    /// [`COMPLETE`](ShutdownState::COMPLETE), and a bidirectional close ends as
    /// [`PeerClose::Assumed`]. `shutdown()` flushes what was written and sends FIN alone, whatever
    /// the policy. An alert that is already on its way is still finished.
    ///
    /// ```
    /// use tokio_tls_shutdown::{GracefulStream, ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// /// The server is known to be gone. Its session stays in the cache.
    /// async fn leave(mut tls: GracefulStream<TlsStream<tokio::net::TcpStream>>) {
    ///     tls.set_quiet_shutdown(true);
    ///     assert!(tls.close_notify().await.is_ok());
    /// }
    /// ```
    ///
    /// [SSL_set_quiet_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_CTX_set_quiet_shutdown/
    pub const fn set_quiet_shutdown(&mut self, quiet: bool) {
        self.quiet = quiet;
    }

    /// Returns how the last bidirectional or lingering close ended, if there was one.
    ///
    /// `None` after `close_notify()` or a `shutdown()` with [`ClosePolicy::Notify`]: see
    /// [`state`](Self::state).
    ///
    /// ```
    /// use tokio::io::AsyncWriteExt;
    /// use tokio_tls_shutdown::{ClosePolicy, GracefulStream, tokio_rustls::server::TlsStream};
    ///
    /// async fn end(mut tls: GracefulStream<TlsStream<tokio::net::TcpStream>>) -> std::io::Result<()> {
    ///     tls.set_policy(ClosePolicy::linger());
    ///     tls.shutdown().await?;
    ///     if let Some(closed) = tls.outcome() {
    ///         println!("{}, {} bytes discarded", closed.peer(), closed.discarded());
    ///     }
    ///     Ok(())
    /// }
    /// ```
    #[must_use]
    pub const fn outcome(&self) -> Option<Closed> {
        self.outcome
    }

    /// Counts `state` as reached without doing anything, as [SSL_set_shutdown(3)].
    ///
    /// With [`SENT`](ShutdownState::SENT) no `close_notify` is ever sent, and writes fail. With
    /// [`RECEIVED`](ShutdownState::RECEIVED) a bidirectional close waits for nothing, and ends as
    /// [`PeerClose::Assumed`] unless the peer's `close_notify` has arrived. Flags are only added:
    /// what has happened cannot be taken back, and an alert that is on its way is sent all the same.
    ///
    /// [SSL_set_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_set_shutdown/
    pub fn set_state(&mut self, state: ShutdownState) {
        let received = state.contains(ShutdownState::RECEIVED);
        if state.contains(ShutdownState::SENT) && self.state.alert.alert == Alert::Unqueued {
            self.assume(ShutdownState::SENT);
        }
        if received {
            self.assume(ShutdownState::RECEIVED);
        }
    }

    fn assume(&mut self, state: ShutdownState) {
        self.state.exchange.assume(state);
        if self.state.exchange.is_local_closed() {
            if let Some(record) = self.record() {
                record.on_local_closed();
            }
        }
    }

    /// Returns `true` if the application may no longer write.
    #[inline]
    fn is_closing(&self) -> bool {
        self.state.alert.alert != Alert::Unqueued || !self.state.exchange.is_open()
    }

    #[inline]
    fn is_quiet(&self) -> bool {
        self.quiet || self.quiet_policy
    }

    #[inline]
    fn record(&mut self) -> Option<&mut CloseRecord> {
        self.extras.as_mut()?.record.as_mut()
    }

    #[inline]
    fn linger(&mut self) -> Option<&mut Linger> {
        self.extras.as_mut()?.linger.as_mut()
    }
}

impl<S: PlainStream> GracefulStream<S> {
    /// Returns which alerts were exchanged, as [SSL_get_shutdown(3)].
    ///
    /// Performs no I/O. Takes `&mut self` only because rustls requires it.
    ///
    /// ```
    /// use tokio_tls_shutdown::{
    ///     GracefulStream, ShutdownExt, ShutdownState, tokio_rustls::client::TlsStream,
    /// };
    ///
    /// async fn end(tls: &mut GracefulStream<TlsStream<tokio::net::TcpStream>>) -> std::io::Result<()> {
    ///     if !tls.state().contains(ShutdownState::SENT) {
    ///         tls.close_notify().await?;
    ///     }
    ///     Ok(())
    /// }
    /// ```
    ///
    /// [SSL_get_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_set_shutdown/
    pub fn state(&mut self) -> ShutdownState {
        if self.received_close_notify() {
            self.state.on_peer_closed(PeerClose::CloseNotify);
        }
        self.state.exchange.state()
    }

    /// Returns `true` if the handshake has resumed a session.
    pub fn is_resumed(&mut self) -> bool {
        self.stream.is_resumed()
    }

    /// Counts the stream as one of `tracker`'s until it is dropped.
    pub fn track(&mut self, tracker: &CloseTracker) {
        let role = self.stream.role();
        let record = &mut self.extras.get_or_insert_default().record;
        record
            .get_or_insert_with(|| CloseRecord::new(role))
            .track(tracker);
    }
}
