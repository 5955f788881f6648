//! `GracefulStream`: a TLS stream that knows whether it is closed.

pub(crate) mod close_on_drop;
pub(crate) mod framing;
mod handle;
pub(crate) mod linger;
pub(crate) mod record_aligned;

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, Waker, ready},
};

use tokio::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

use crate::{
    backend::rustls::{Discarded, ReadError, Session, Split, Status},
    close::machine::Goal,
    close::progress::{CloseProgress, Memory, end_of_transport},
    error::ShutdownError,
    event::Role,
    outcome::{Closed, PeerClose, ShutdownState},
    policy::ClosePolicy,
    stream::framing::Framing,
    stream::linger::{Bounds, Linger},
    stream::record_aligned::{NotTls, RecordAligned},
    tracker::observe,
    tracker::record::CloseRecord,
    tracker::{CloseTracker, Side},
};

/// A TLS stream that knows whether it is closed: a drop-in for the tokio-rustls stream inside.
///
/// It adds what a plain stream cannot know or do:
///
/// - which alerts were exchanged ([`state`](Self::state)) and how the last close ended
///   ([`outcome`](Self::outcome));
/// - a write after close_notify is [`BrokenPipe`](io::ErrorKind::BrokenPipe) and puts nothing on
///   the wire, where a plain stream says `Ok` and the peer drops the bytes; a flush after it is
///   `Ok`;
/// - a [`ClosePolicy`] that says what `shutdown()` does, and [quiet
///   shutdown](Self::set_quiet_shutdown);
/// - reading after close_notify, which never writes an alert behind it, and never panics on a bad
///   record;
/// - [`into_transport`](Self::into_transport), for a transport that outlives TLS;
/// - sessions that live and die with it, if a [`GracefulConnector`](crate::GracefulConnector) or
///   [`GracefulAcceptor`](crate::GracefulAcceptor) has made it, and a place in a [`CloseTracker`].
///
/// [`ShutdownExt`](crate::ShutdownExt) works on it as on the stream inside. Reading and writing
/// pass through: no copy, no allocation.
///
/// # Dropping
///
/// Dropped without a close, it sends nothing: a close_notify that nobody asked for would make a
/// message that was cut off look whole. See [`CloseOnDrop`](crate::CloseOnDrop) if that cannot
/// happen in your protocol.
///
/// # When not to use it
///
/// For one `close_notify()` or `shutdown_bidirectional()` at the end of a connection that you
/// own, the extension trait on the plain stream is enough.
///
/// ```
/// use tokio::{io::{AsyncReadExt, AsyncWriteExt}, net::TcpStream};
/// use tokio_tls_shutdown::{ClosePolicy, GracefulStream, tokio_rustls::server::TlsStream};
///
/// async fn refuse(tls: TlsStream<TcpStream>) -> std::io::Result<()> {
///     let mut tls = GracefulStream::new(tls);
///     tls.set_policy(ClosePolicy::linger());
///     // The client may still be sending its request; it gets the answer all the same.
///     tls.write_all(b"HTTP/1.1 413 Content Too Large\r\nconnection: close\r\n\r\n").await?;
///     tls.shutdown().await
/// }
/// ```
#[derive(Debug)]
pub struct GracefulStream<S> {
    stream: S,
    memory: Memory,
    quiet_policy: bool,
    fin: Fin,
    /// Why our side could not be closed.
    failure: Option<io::ErrorKind>,
    extras: Option<Box<Extras>>,
}

/// What few streams carry, in one place so that the others pay a pointer for it.
#[derive(Debug, Default)]
struct Extras {
    linger: Option<Linger>,
    account: Option<CloseRecord>,
}

/// How far `poll_shutdown` has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fin {
    NotBegun,
    Begun,
    Sent,
}

impl<S> GracefulStream<S> {
    /// Wraps a stream whose handshake is finished and that nobody has closed.
    #[must_use]
    pub fn new(mut stream: S) -> Self
    where
        S: Session,
    {
        let account = observe::WANTED.then(|| CloseRecord::new(stream.role()));
        Self::with_account(stream, account)
    }

    pub(crate) fn with_account(stream: S, account: Option<CloseRecord>) -> Self {
        Self {
            stream,
            memory: Memory::NEW,
            quiet_policy: false,
            fin: Fin::NotBegun,
            failure: None,
            extras: account.map(|account| {
                Box::new(Extras {
                    linger: None,
                    account: Some(account),
                })
            }),
        }
    }

    /// Returns the stream inside.
    #[must_use]
    pub const fn get_ref(&self) -> &S {
        &self.stream
    }

    /// Returns the stream inside. What is written to it or closed there goes unnoticed here.
    pub const fn get_mut(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Returns the stream inside, and forgets what is known of its close: unless it was closed, its
    /// sessions and its tracker take it as dropped.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.stream
    }

    /// Returns what `shutdown()` does.
    #[must_use]
    pub fn policy(&self) -> ClosePolicy {
        match self
            .extras
            .as_ref()
            .and_then(|extras| extras.linger.as_ref())
        {
            Some(linger) => linger.bounds.into(),
            None if self.quiet_policy => ClosePolicy::Quiet,
            None => ClosePolicy::Notify,
        }
    }

    /// Sets what `shutdown()` does; [`ClosePolicy::Notify`] unless set. A `shutdown()` that has
    /// already begun goes on from where it is.
    pub fn set_policy(&mut self, policy: ClosePolicy) {
        self.quiet_policy = policy == ClosePolicy::Quiet;
        if let ClosePolicy::Linger {
            idle,
            deadline,
            discard_limit,
        } = policy
        {
            let bounds = Bounds {
                idle,
                deadline,
                discard_limit,
            };
            let linger = &mut self.extras.get_or_insert_default().linger;
            // A drain that has begun keeps its own.
            linger.get_or_insert_with(|| Linger::new(bounds)).bounds = bounds;
        } else if let Some(extras) = &mut self.extras {
            extras.linger = None;
        }
    }

    /// Returns whether quiet shutdown is on.
    #[must_use]
    pub const fn quiet_shutdown(&self) -> bool {
        self.memory.quiet
    }

    /// Turns quiet shutdown on or off, as [SSL_set_quiet_shutdown(3)] does; off unless set.
    ///
    /// With it, closing sends no alert, waits for nobody and always succeeds: the state becomes
    /// [`COMPLETE`](ShutdownState::COMPLETE), and a bidirectional close ends as
    /// [`PeerClose::Assumed`]. `shutdown()` flushes what was written and sends FIN alone, whatever
    /// the policy. An alert that is already on its way is still finished.
    ///
    /// ```
    /// use tokio_tls_shutdown::{GracefulStream, ShutdownExt, tokio_rustls::client::TlsStream};
    ///
    /// /// The server is known to be gone. Its session stays.
    /// async fn leave(mut tls: GracefulStream<TlsStream<tokio::net::TcpStream>>) {
    ///     tls.set_quiet_shutdown(true);
    ///     assert!(tls.close_notify().await.is_ok());
    /// }
    /// ```
    ///
    /// [SSL_set_quiet_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_CTX_set_quiet_shutdown/
    pub const fn set_quiet_shutdown(&mut self, quiet: bool) {
        self.memory.quiet = quiet;
    }

    /// Returns how the last bidirectional or lingering close has ended, if there was one.
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
        self.memory.outcome
    }

    /// Counts `state` as reached without doing anything, as [SSL_set_shutdown(3)] does.
    ///
    /// With [`SENT`](ShutdownState::SENT) no close_notify is ever sent, and writing is over. With
    /// [`RECEIVED`](ShutdownState::RECEIVED) a bidirectional close waits for nobody, and ends as
    /// [`PeerClose::Assumed`] unless the peer's close_notify does come. Flags are only added: what
    /// has happened cannot be taken back, and an alert that is on its way is sent all the same.
    ///
    /// [SSL_set_shutdown(3)]: https://docs.openssl.org/master/man3/SSL_set_shutdown/
    pub fn set_state(&mut self, state: ShutdownState) {
        self.assume(state);
    }

    fn assume(&mut self, state: ShutdownState) {
        self.memory.close.assume(state);
        let account = self.extras.as_mut().and_then(|e| e.account.as_mut());
        if let (true, Some(account)) = (self.memory.close.is_closed(), account) {
            account.on_local_closed();
        }
    }
}

impl<S: Session> GracefulStream<S> {
    /// Returns which alerts were exchanged, as [SSL_get_shutdown(3)] does. Reads nothing, and is
    /// exclusive only because rustls is.
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
        if self.stream.status().is_ok_and(|status| status.peer_closed) {
            self.memory.close.peer_closed(PeerClose::CloseNotify);
        }
        self.memory.close.state()
    }

    /// Tells whether the handshake has resumed a session.
    pub fn is_resumed(&mut self) -> bool {
        self.stream.is_resumed()
    }

    /// Counts the stream as one of `tracker`'s until it is dropped.
    pub fn track(&mut self, tracker: &CloseTracker) {
        let role = self.stream.role();
        let account = &mut self.extras.get_or_insert_default().account;
        let account = account.get_or_insert_with(|| CloseRecord::new(role));
        account.track(tracker);
    }

    /// Fails if the tracker has aborted the stream.
    fn check_aborted(&mut self, cx: &Context<'_>, side: Side) -> io::Result<()> {
        let aborted = |account: &mut CloseRecord| account.poll_aborted(cx, side);
        if !self.account().is_some_and(aborted) {
            return Ok(());
        }
        let first = self.account().is_some_and(CloseRecord::abort);
        if first && !self.quiet_policy {
            let mut once = Context::from_waker(Waker::noop());
            // Nobody waits for it, whatever it comes to.
            let _ = CloseProgress::new().poll(&mut once, self, Goal::Notify, &[]);
        }
        Err(io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "stream aborted: CloseTracker drain deadline passed",
        ))
    }

    /// Reads until there is something to read, without tokio-rustls: it would answer a bad record
    /// with a fatal alert behind our close_notify.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.stream.fill_buf() {
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {}
                Err(e) => {
                    let bad = self.memory.framing.bad();
                    return Poll::Ready(Err(bad.map_or(e, |bad| tls_error(bad.into()))));
                }
                Ok(data) => {
                    let ended = data.is_empty();
                    if let (true, Some(account)) = (ended, self.account()) {
                        account.on_peer_closed(PeerClose::CloseNotify);
                    }
                    return Poll::Ready(Ok(()));
                }
            }
            self.stream.status().map_err(tls_error)?;
            match ready!(self.stream.poll_read(cx, &mut self.memory.framing)) {
                Ok(_) => {}
                Err(ReadError::Transport(e)) => return Poll::Ready(Err(e)),
                // First what came before the bad record.
                Err(ReadError::Tls(_)) if self.stream.fill_buf().is_ok() => {}
                Err(ReadError::Tls(e)) => return Poll::Ready(Err(tls_error(e))),
            }
        }
    }

    fn poll_our_close(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ShutdownError>> {
        CloseProgress::new().poll(cx, self, Goal::Notify, &[])
    }

    fn linger<T>(
        &mut self,
        poll: impl FnOnce(&mut Linger, &mut Self) -> Poll<Result<T, ShutdownError>>,
    ) -> Option<Poll<Result<T, ShutdownError>>> {
        let mut linger = self.extras.as_mut()?.linger.take()?;
        let result = poll(&mut linger, self);
        if let Some(extras) = &mut self.extras {
            extras.linger = Some(linger);
        }
        Some(result)
    }

    /// Takes note of what a read has come to.
    fn reads<T>(&mut self, poll: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if let Some(linger) = self.extras.as_mut().and_then(|e| e.linger.as_mut()) {
            linger.reads(poll.is_pending(), cx);
        }
        self.noted(poll)
    }

    /// Takes note of a failure.
    fn noted<T>(&mut self, poll: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let (Poll::Ready(Err(e)), Some(account)) = (&poll, self.account()) {
            record_io_failure(account, e);
        }
        poll
    }
}

impl<S: Session> Session for GracefulStream<S> {
    fn status(&mut self) -> Result<Status, rustls::Error> {
        self.stream.status()
    }

    fn is_handshaking(&mut self) -> bool {
        self.stream.is_handshaking()
    }

    fn poll_establish(&mut self, cx: &mut Context<'_>, last: &[u8]) -> Poll<io::Result<()>> {
        self.stream.poll_establish(cx, last)
    }

    fn queue_close_notify(&mut self, last: &[u8]) -> Result<usize, rustls::Error> {
        self.stream.queue_close_notify(last)
    }

    fn queued(&mut self) -> Result<usize, rustls::Error> {
        self.stream.queued()
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, limit: usize) -> Poll<io::Result<usize>> {
        self.stream.poll_write(cx, limit)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_flush(cx)
    }

    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        framing: &mut Framing,
    ) -> Poll<Result<Status, ReadError>> {
        self.stream.poll_read(cx, framing)
    }

    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.stream.fill_buf()
    }

    fn consume(&mut self, bytes: usize) {
        self.stream.consume(bytes);
    }

    fn discard_plaintext(&mut self) -> Discarded {
        self.stream.discard_plaintext()
    }

    fn discard_queue(&mut self) {
        self.stream.discard_queue();
    }

    fn tickets(&mut self) -> u32 {
        self.stream.tickets()
    }

    fn poll_close_transport(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_close_transport(cx)
    }

    fn role(&mut self) -> Role {
        self.stream.role()
    }

    fn is_resumed(&mut self) -> bool {
        self.stream.is_resumed()
    }

    fn memory(&mut self) -> Option<&mut Memory> {
        Some(&mut self.memory)
    }

    fn account(&mut self) -> Option<&mut CloseRecord> {
        self.extras.as_mut()?.account.as_mut()
    }
}

impl<S: Session + AsyncRead + Unpin> AsyncRead for GracefulStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_aborted(cx, Side::Read)?;
        if !this.memory.close.is_closing() {
            let poll = Pin::new(&mut this.stream).poll_read(cx, buf);
            if this.account().is_some() && matches!(poll, Poll::Ready(Ok(()))) {
                // tokio-rustls may hold a failure back behind data, and nobody may read again.
                let failure = this.stream.status().map_err(tls_error);
                let _ = this.noted(Poll::Ready(failure));
            }
            return this.reads(poll, cx);
        }
        let poll = this.poll_readable(cx);
        ready!(this.reads(poll, cx))?;
        let data = this.stream.fill_buf()?;
        let n = data.len().min(buf.remaining());
        buf.put_slice(&data[..n]);
        Session::consume(&mut this.stream, n);
        Poll::Ready(Ok(()))
    }
}

impl<S: Session + AsyncBufRead + Unpin> AsyncBufRead for GracefulStream<S> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        this.check_aborted(cx, Side::Read)?;
        if !this.memory.close.is_closing() {
            let poll = Pin::new(&mut this.stream).poll_fill_buf(cx).map_ok(|_| ());
            ready!(this.reads(poll, cx))?;
            return Poll::Ready(this.stream.fill_buf());
        }
        let poll = this.poll_readable(cx);
        ready!(this.reads(poll, cx))?;
        Poll::Ready(this.stream.fill_buf())
    }

    fn consume(self: Pin<&mut Self>, amount: usize) {
        Session::consume(&mut self.get_mut().stream, amount);
    }
}

impl<S: Session + AsyncWrite + Unpin> GracefulStream<S> {
    fn check_open(&self) -> io::Result<()> {
        match self.memory.close.is_closing() {
            true => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "write after close_notify",
            )),
            false => Ok(()),
        }
    }

    /// The first step of a shutdown: our last byte.
    fn poll_last_byte(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.quiet_policy || self.memory.quiet {
            ready!(AsyncWrite::poll_flush(Pin::new(&mut *self), cx))?;
            self.assume(ShutdownState::SENT);
            return Poll::Ready(Ok(()));
        }
        let poll = match self.linger(|linger, stream| linger.poll_notify(cx, stream)) {
            Some(poll) => poll,
            None => self.poll_our_close(cx),
        };
        poll.map_err(io::Error::from)
    }
}

impl<S: Session + AsyncWrite + Unpin> AsyncWrite for GracefulStream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_aborted(cx, Side::Write)?;
        this.check_open()?;
        let poll = Pin::new(&mut this.stream).poll_write(cx, buf);
        this.noted(poll)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check_aborted(cx, Side::Write)?;
        this.check_open()?;
        let poll = Pin::new(&mut this.stream).poll_write_vectored(cx, bufs);
        this.noted(poll)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.check_aborted(cx, Side::Write)?;
        if this.memory.close.is_sending() {
            return this.poll_our_close(cx).map_err(io::Error::from);
        }
        if this.memory.close.has_sent_alert() {
            return Poll::Ready(Ok(()));
        }
        let poll = AsyncWrite::poll_flush(Pin::new(&mut this.stream), cx);
        this.noted(poll)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut failure = this.failure.map(io::Error::from);
        if this.fin == Fin::NotBegun {
            failure = ready!(this.poll_last_byte(cx)).err();
            this.failure = failure.as_ref().map(io::Error::kind);
            this.fin = Fin::Begun;
        }
        // Also where the alert has failed: the peer need not wait for more.
        if this.fin == Fin::Begun {
            let Poll::Ready(result) = this.stream.poll_close_transport(cx) else {
                this.check_aborted(cx, Side::Write)?;
                return Poll::Pending;
            };
            if let Err(e) = result {
                this.failure.get_or_insert(e.kind());
                failure.get_or_insert(e);
            }
            this.fin = Fin::Sent;
        }
        if let Some(failure) = failure {
            return Poll::Ready(Err(failure));
        }
        if this.memory.quiet {
            return Poll::Ready(Ok(()));
        }
        match this.linger(|linger, stream| linger.poll_drain(cx, stream)) {
            Some(poll) => poll.map_err(io::Error::from),
            None => Poll::Ready(Ok(())),
        }
    }
}

impl<S, IO> GracefulStream<S>
where
    S: Session + Split<Io = RecordAligned<IO>>,
{
    /// Returns the transport, readable from the first byte after the peer's close_notify.
    ///
    /// Only in state [`COMPLETE`](ShutdownState::COMPLETE): SSL_shutdown(3) says that "when the
    /// underlying connection shall be used for more communications, the complete shutdown
    /// procedure must be performed". Not one byte is lost, because [`RecordAligned`] has given
    /// rustls no byte that lies behind close_notify. For FTP `CCC` (RFC 4217), LDAP StopTLS (RFC
    /// 4511, section 4.14.3) and everybody who starts TLS again on the same socket.
    ///
    /// # Errors
    ///
    /// [`NotComplete`], which holds the stream, if one of the two alerts is missing.
    ///
    /// ```
    /// use tokio::{io::AsyncWriteExt, net::TcpStream};
    /// use tokio_tls_shutdown::{
    ///     GracefulStream, RecordAligned, ShutdownExt, tokio_rustls::client::TlsStream,
    /// };
    ///
    /// type Tls = GracefulStream<TlsStream<RecordAligned<TcpStream>>>;
    ///
    /// async fn clear_command_channel(mut tls: Tls) -> std::io::Result<RecordAligned<TcpStream>> {
    ///     tls.write_all(b"CCC\r\n").await?;
    ///     tls.shutdown_bidirectional().await?.require_clean()?;
    ///     tls.into_transport().map_err(std::io::Error::other)
    /// }
    /// ```
    pub fn into_transport(mut self) -> Result<RecordAligned<IO>, NotComplete<S>> {
        match self.state() {
            ShutdownState::COMPLETE => Ok(self.stream.into_io().into_plain()),
            state => Err(NotComplete {
                stream: self,
                state,
            }),
        }
    }
}

/// Tells the record of a failed read or write what it means for the connection.
pub(crate) fn record_io_failure(record: &mut CloseRecord, error: &io::Error) {
    if is_tls_failure(error) {
        record.on_tls_failed(error);
    } else if let Some(how) = end_of_transport(error) {
        record.on_peer_closed(how);
    } else {
        record.on_io_failed(error);
    }
}

/// Returns `true` if it was TLS that failed: tokio-rustls wraps rustls's error, this crate its own,
/// and a transport may have seen that it is none.
pub(crate) fn is_tls_failure(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| {
        let ours = inner.downcast_ref();
        inner.is::<rustls::Error>()
            || inner.is::<NotTls>()
            || matches!(ours, Some(ShutdownError::Tls(_)))
    })
}

fn tls_error(error: rustls::Error) -> io::Error {
    ShutdownError::Tls(error).into()
}

/// The transport cannot be had yet: the two close_notify alerts have not been exchanged.
///
/// Holds the stream, which is as it was.
#[derive(Debug)]
pub struct NotComplete<S> {
    stream: GracefulStream<S>,
    state: ShutdownState,
}

impl<S> NotComplete<S> {
    /// Returns which alerts have been exchanged.
    #[must_use]
    pub const fn state(&self) -> ShutdownState {
        self.state
    }

    /// Returns the stream.
    #[must_use]
    pub fn into_stream(self) -> GracefulStream<S> {
        self.stream
    }
}

impl<S> std::fmt::Display for NotComplete<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the transport is still in use by TLS: both sides must send close_notify first")
    }
}

impl<S: std::fmt::Debug> std::error::Error for NotComplete<S> {}
