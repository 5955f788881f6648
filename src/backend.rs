//! What a TLS library must offer so that its streams can be closed: one implementation for each
//! library, which is the only file or folder that names that library.
//!
//! A backend does what it is told. It does not know why a close sends or waits (`close/` decides
//! that), nor the stream that remembers, nor who is told of the end.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
};

use tokio::io::ReadBuf;

use crate::{error::TlsError, event::Role, state::PeerClose};

// The package crates/boring compiles these sources with it.
#[cfg(boring)]
#[path = "../crates/boring/src/mod.rs"]
mod boring;
#[cfg(any(boring, feature = "native-tls", feature = "openssl", feature = "s2n"))]
pub(crate) mod buffered;
#[cfg(feature = "native-tls")]
mod native_tls;
#[cfg(feature = "openssl")]
mod openssl;
#[cfg(feature = "rustls")]
pub(crate) mod rustls;
// The package crates/rustls-next compiles these sources with it.
#[cfg(rustls_next)]
#[path = "../crates/rustls-next/src/mod.rs"]
pub(crate) mod rustls_next;
#[cfg(feature = "s2n")]
mod s2n;

/// Where our `close_notify` is on its way to the transport.
///
/// ```text
/// Unqueued ─> Waiting ─> Queued(n) ─> Unflushed ─> Sent
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Alert {
    /// It was not asked for.
    #[default]
    Unqueued,
    /// Asked for. The library has not been told, because the handshake or what is queued before it
    /// comes first. Application data are refused from here on.
    Waiting,
    /// The library has queued it. It ends with the last of this many queued bytes.
    Queued(usize),
    /// The transport has taken its last byte and has to be flushed.
    Unflushed,
    /// Its last byte was taken by the transport and flushed.
    Sent,
}

/// What is known of the end of the transport.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum TransportEnd {
    /// Someone else has read it: the library has to be asked.
    #[default]
    Unknown,
    /// The library was asked, and the backend has read on from there.
    NotSeen,
    /// It has ended, and is not read again.
    Seen,
}

/// What a backend must remember of a close from one poll to the next.
///
/// A `GracefulStream` keeps it beside the stream; for a plain stream it is in the future or the
/// `CloseProgress`, and is lost with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct AlertState {
    pub(crate) alert: Alert,
    /// The last write or flush of the application has had to wait.
    pub(crate) writer_waits: bool,
    /// Another call has made or sent the alert, of which nothing else is known.
    pub(crate) made_before: bool,
    /// The last application data of the close are queued.
    pub(crate) last_queued: bool,
    /// The peer's `close_notify` was processed.
    pub(crate) peer_closed: bool,
    /// The session has failed behind application data that are still good.
    pub(crate) failed: bool,
    /// Receiving has to finish a handshake, and its last message is not flushed.
    pub(crate) handshaking: bool,
    pub(crate) transport: TransportEnd,
    /// A `GracefulStream` holds this. It knows of every earlier call, and all reads of application
    /// data ask the backend, which may therefore keep some.
    pub(crate) wrapped: bool,
}

impl Alert {
    /// How far an alert has come that is queued, or was, with so many bytes left to write.
    #[inline]
    pub(crate) fn queued(bytes: usize) -> Self {
        match bytes {
            0 => Self::Unflushed,
            bytes => Self::Queued(bytes),
        }
    }
}

impl AlertState {
    /// Returns `true` if the transport has taken all of our alert. The peer may answer it from here
    /// on, though it may not be flushed.
    #[inline]
    pub(crate) fn has_left(&self) -> bool {
        matches!(self.alert, Alert::Unflushed | Alert::Sent)
    }
}

/// Where a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    /// The handshake is finished: an alert would be encrypted.
    pub(crate) established: bool,
    /// The peer's `close_notify` was processed.
    pub(crate) peer_closed: bool,
    /// Application data can be read without reading the transport.
    pub(crate) readable: bool,
}

/// Why a backend could not do what it was told.
#[derive(Debug)]
pub(crate) enum BackendError {
    /// The handshake is not finished.
    Handshaking,
    /// The transport failed.
    Transport(io::Error),
    /// The session failed.
    Tls(TlsError),
}

/// What happens to the application data that a step of receiving finds.
pub(crate) enum Plaintext<'a, 'b> {
    /// A reader takes them.
    Read(&'a mut ReadBuf<'b>),
    /// They stay in the library, for a reader who is about to take them from there.
    Fill,
    /// They stay in the library, and more is received behind them.
    Keep,
    /// They are discarded.
    Discard,
}

/// What one step of receiving has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    /// This many bytes of application data.
    Data(usize),
    /// Something that is not application data, such as a session ticket or a part of a record.
    Other,
    /// The library receives nothing more before the application data were read.
    Full,
    /// The peer's `close_notify`.
    CloseNotify,
    /// The end of the transport.
    Eof,
    /// The transport was reset, or is gone, with this error.
    Reset(io::ErrorKind),
}

/// A TLS stream that this crate can close, and that a [`GracefulStream`](crate::GracefulStream) can
/// wrap.
///
/// Implemented for tokio-rustls's [`client::TlsStream`](tokio_rustls::client::TlsStream),
/// [`server::TlsStream`](tokio_rustls::server::TlsStream) and
/// [`TlsStream`](tokio_rustls::TlsStream), and for the streams of
/// [other libraries](crate#tls-libraries) over a `Gate`. It cannot be implemented outside this crate
/// and has no methods; it is there to be a bound of generic code.
///
/// ```
/// use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
/// use tokio_tls_shutdown::{GracefulStream, PlainStream, ShutdownExt};
///
/// async fn say<S>(tls: &mut GracefulStream<S>, line: &[u8]) -> std::io::Result<()>
/// where
///     S: PlainStream + AsyncRead + AsyncWrite + Unpin,
/// {
///     tls.write_all(b"220 ").await?;
///     tls.close_notify_with(line).await?;
///     tls.shutdown_bidirectional().await?.require_clean()?;
///     Ok(())
/// }
/// ```
///
/// ```compile_fail
/// // Generic code reaches nothing of what the crate does with it.
/// fn meddle<S: tokio_tls_shutdown::PlainStream>(stream: &mut S) {
///     let _ = stream.unread();
/// }
/// ```
#[expect(private_bounds, reason = "what seals it")]
pub trait PlainStream: Backend {}

impl<S: Backend> PlainStream for S {}

/// What this crate does with a [`PlainStream`].
pub(crate) trait Backend {
    /// Returns where the session stands, or the error that has ended it. Reads and processes
    /// nothing.
    fn status(&mut self, state: &AlertState) -> Result<Status, BackendError>;

    /// Queues `last` and our `close_notify` behind it, once, and sends until both are flushed.
    ///
    /// Finishes a handshake that early data has left open first, and reads only for that. Lets
    /// nothing out behind the alert. To be called after [`status`](Self::status) was `Ok`.
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        last: &[u8],
        state: &mut AlertState,
    ) -> Poll<Result<(), BackendError>>;

    /// Receives one step: what is there already, else one read of the transport, processed once.
    fn poll_receive(
        &mut self,
        cx: &mut Context<'_>,
        plaintext: Plaintext<'_, '_>,
        state: &mut AlertState,
    ) -> Poll<Result<Received, BackendError>>;

    /// Takes application data, or fails with `BrokenPipe` if the library has closed by itself,
    /// which it then notes in `state`.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        state: &mut AlertState,
    ) -> Poll<io::Result<usize>>;

    /// Closes the write side of the transport.
    fn poll_close_transport(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Returns application data that are decrypted and unread, or an empty slice.
    fn unread(&mut self) -> &[u8];

    /// Marks `bytes` of what [`unread`](Self::unread) has returned as read.
    fn consume(&mut self, bytes: usize);

    /// Returns how many TLS 1.3 tickets have arrived on this connection.
    fn tickets(&mut self) -> u32;

    /// Returns `true` if the handshake has resumed a session.
    fn is_resumed(&mut self) -> bool;

    /// Returns which side of the connection we are.
    fn role(&mut self) -> Role;

    /// Returns `true` if an error of the stream's own reads and writes is a failure of TLS.
    fn is_tls_error(error: &io::Error) -> bool;
}

/// A TLS stream whose transport can be reached.
pub trait OverTransport {
    /// The transport below TLS.
    type Transport;

    fn transport(&self) -> &Self::Transport;

    /// Consumes the stream. What TLS has not sent is lost.
    fn into_transport(self) -> Self::Transport;
}

/// Returns `true` if a transport has failed because the peer is gone.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
    )
}

/// Returns how the peer has ended a transport that cannot be read, or `None` if the failure is
/// local.
pub(crate) fn end_of_transport(error: &io::Error) -> Option<Received> {
    match error.kind() {
        // A transport that is TLS itself reports its end like this.
        io::ErrorKind::UnexpectedEof => Some(Received::Eof),
        kind => is_gone(error).then_some(Received::Reset(kind)),
    }
}

/// Returns how the peer has closed, as far as such a failure tells, or `None` if it is local.
pub(crate) fn peer_close_of(error: &io::Error) -> Option<PeerClose> {
    end_of_transport(error).map(|end| match end {
        Received::Eof => PeerClose::Eof,
        _ => PeerClose::Reset,
    })
}

/// Returns `true` if a library's own error says that the transport has ended without the peer's
/// `close_notify`. The crates `openssl` and `native-tls` have none: they report the end of the data.
pub(crate) fn is_missing_close_notify(error: &io::Error) -> bool {
    let libraries: &[fn(&io::Error) -> bool] = &[
        #[cfg(feature = "rustls")]
        rustls::is_missing_close_notify,
        #[cfg(feature = "s2n")]
        s2n::is_missing_close_notify,
    ];
    libraries.iter().any(|says_so| says_so(error))
}
