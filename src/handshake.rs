//! A handshake that ends in a `GracefulStream`: bounded in time, with typed errors.

pub(crate) mod acceptor;
#[cfg(feature = "fleet")]
pub(crate) mod client_hello_recorder;
pub(crate) mod connector;
#[cfg(feature = "fleet")]
mod fleet_accept;

use std::{
    error::Error,
    fmt,
    future::Future,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::{
    backend::{Backend, peer_close_of, rustls::unwrap_tls_error},
    close::deadline::Deadline,
    error::{TlsError, is_not_tls},
    event::{Observer, Role},
    policy::ClosePolicy,
    state::PeerClose,
    stream::GracefulStream,
    tracker::{CloseTracker, Side, observe, record::CloseRecord},
};

/// What a connector and an acceptor do with each of their connections.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) policy: Option<ClosePolicy>,
    pub(crate) handshake_deadline: Option<Duration>,
    pub(crate) tracker: Option<CloseTracker>,
    pub(crate) close_unused: bool,
}

impl Options {
    pub(crate) const NEW: Self = Self {
        policy: None,
        handshake_deadline: Some(Duration::from_secs(10)),
        tracker: None,
        close_unused: false,
    };

    /// For owners that drop a stream right after `shutdown()`.
    #[cfg(any(feature = "axum-server", feature = "hyper", feature = "tls-listener"))]
    pub(crate) fn linger_unless_set(&mut self) {
        self.policy.get_or_insert(ClosePolicy::linger());
        self.close_unused = true;
    }

    /// Bounds the handshake `inner`, whose sessions `observer` keeps.
    pub(crate) fn handshake<F>(
        &self,
        role: Role,
        inner: F,
        observer: Option<Arc<dyn Observer>>,
    ) -> Handshake<F> {
        let wanted = observer.is_some() || self.tracker.is_some() || observe::WANTED;
        let mut record = wanted.then(|| CloseRecord::new(role));
        if let (Some(record), Some(observer)) = (&mut record, observer) {
            record.set_session_guard(observer);
        }
        if let (Some(record), Some(tracker)) = (&mut record, &self.tracker) {
            record.track(tracker);
        }
        Handshake {
            inner,
            deadline: Box::pin(Deadline::new(self.handshake_deadline)),
            policy: self.policy.unwrap_or_default(),
            close_unused: self.close_unused,
            record,
        }
    }
}

/// The setters that connector and acceptor have in common.
macro_rules! option_setters {
    () => {
        /// Sets what `shutdown()` does on the streams, in the [integrations](crate::integrations) too.
        ///
        /// Defaults to [`ClosePolicy::Notify`](crate::ClosePolicy::Notify), in the integrations to
        /// [`ClosePolicy::linger`](crate::ClosePolicy::linger).
        #[must_use]
        pub fn with_policy(mut self, policy: $crate::ClosePolicy) -> Self {
            self.options.policy = Some(policy);
            self
        }

        /// Sets how long a handshake may take. Defaults to 10 seconds.
        ///
        /// `None` waits for as long as it takes; the runtime then needs no timer.
        #[must_use]
        pub fn with_handshake_deadline(mut self, after: Option<std::time::Duration>) -> Self {
            self.options.handshake_deadline = after;
            self
        }

        /// Tracks the connections from their handshake until they are dropped.
        #[must_use]
        pub fn with_tracker(mut self, tracker: &$crate::CloseTracker) -> Self {
            self.options.tracker = Some(tracker.clone());
            self
        }
    };
}

pub(crate) use option_setters;

/// A future of one kind of handshake.
macro_rules! handshake_future {
    ($(#[$doc:meta])* $Name:ident: $Inner:ty => $Stream:ty) => {
        pin_project_lite::pin_project! {
            $(#[$doc])*
            #[must_use = "futures do nothing unless polled"]
            pub struct $Name<IO> {
                #[pin]
                handshake: $crate::handshake::Handshake<$Inner>,
            }
        }

        impl<IO: AsyncRead + AsyncWrite + Unpin> Future for $Name<IO> {
            type Output = Result<$crate::GracefulStream<$Stream>, $crate::HandshakeError>;

            fn poll(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Self::Output> {
                self.project().handshake.poll(cx)
            }
        }

        impl<IO> fmt::Debug for $Name<IO> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($Name)).finish_non_exhaustive()
            }
        }
    };
}

pub(crate) use handshake_future;

pin_project! {
    pub(crate) struct Handshake<F> {
        #[pin]
        inner: F,
        // Boxed, so that the futures are `Unpin`, as those of tokio-rustls.
        deadline: Pin<Box<Deadline>>,
        policy: ClosePolicy,
        close_unused: bool,
        record: Option<CloseRecord>,
    }
}

impl<F, S> Future for Handshake<F>
where
    F: Future<Output = io::Result<S>>,
    S: Backend,
{
    type Output = Result<GracefulStream<S>, HandshakeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = match this.inner.poll(cx) {
            Poll::Ready(result) => result.map_err(HandshakeError::from),
            Poll::Pending => {
                let record = this.record.as_mut();
                if record.is_some_and(|record| record.poll_aborted(cx, Side::Write)) {
                    Err(HandshakeError::Aborted)
                } else if this.deadline.as_mut().poll_elapsed(cx).is_ready() {
                    Err(HandshakeError::TimedOut)
                } else {
                    return Poll::Pending;
                }
            }
        };
        let mut record = this.record.take();
        Poll::Ready(match result {
            Ok(mut inner) => {
                if let Some(record) = &mut record {
                    record.on_established(inner.is_resumed());
                }
                let mut stream = GracefulStream::with_record(inner, record);
                stream.set_policy(*this.policy);
                if *this.close_unused {
                    stream.set_close_unused();
                }
                Ok(stream)
            }
            Err(e) => {
                if let Some(record) = &mut record {
                    on_failed(record, &e);
                }
                Err(e)
            }
        })
    }
}

/// Writes down that the handshake has failed.
fn on_failed(record: &mut CloseRecord, error: &HandshakeError) {
    record.on_io_failed(error);
    match error {
        HandshakeError::TimedOut => record.on_peer_closed(PeerClose::TimedOut),
        HandshakeError::Aborted => {
            record.abort();
        }
        HandshakeError::Tls(_) => record.on_tls_failed(error),
        HandshakeError::Io(e) if is_not_tls(e) => record.on_tls_failed(error),
        HandshakeError::Io(e) => {
            if let Some(how) = peer_close_of(e) {
                record.on_peer_closed(how);
            }
        }
    }
}

/// Error returned when a handshake fails.
///
/// Converts into an [`io::Error`] that keeps the kind, with this error as its source.
///
/// ```
/// use tokio_tls_shutdown::HandshakeError;
///
/// /// Whether another attempt may succeed.
/// fn is_worth_another_try(error: &HandshakeError) -> bool {
///     matches!(error, HandshakeError::TimedOut | HandshakeError::Io(_))
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The handshake was not finished before the deadline.
    TimedOut,
    /// The deadline of a [drain](crate::CloseTracker::drain) of its tracker passed.
    Aborted,
    /// The two sides cannot speak TLS with each other: no common version, a certificate that one
    /// of them refuses, something that is not TLS.
    Tls(TlsError),
    /// The transport failed or ended.
    Io(io::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match unwrap_tls_error(error) {
            Ok(e) => Self::Tls(e),
            Err(e) => Self::Io(e),
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the TLS handshake was not finished before the deadline"),
            Self::Aborted => f.write_str("handshake aborted: CloseTracker drain deadline passed"),
            Self::Tls(e) => write!(f, "the TLS handshake failed: {e}"),
            Self::Io(e) => write!(f, "the transport failed during the TLS handshake: {e}"),
        }
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TimedOut | Self::Aborted => None,
            Self::Tls(e) => e.source(),
            Self::Io(e) => e.source(),
        }
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        let kind = match &error {
            HandshakeError::TimedOut => io::ErrorKind::TimedOut,
            HandshakeError::Aborted => io::ErrorKind::ConnectionAborted,
            HandshakeError::Tls(_) => io::ErrorKind::InvalidData,
            HandshakeError::Io(e) => e.kind(),
        };
        Self::new(kind, error)
    }
}
