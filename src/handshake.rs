//! A handshake that ends in a `GracefulStream`: bounded in time, with typed errors.

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
    account::{Account, Ledger},
    deadline::Deadline,
    policy::ClosePolicy,
    session::Session,
    stream::GracefulStream,
};

/// What a connector and an acceptor do with each of their connections.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) policy: ClosePolicy,
    pub(crate) handshake_deadline: Option<Duration>,
}

impl Terms {
    pub(crate) const NEW: Self = Self {
        policy: ClosePolicy::Notify,
        handshake_deadline: Some(Duration::from_secs(10)),
    };

    /// Bounds the handshake `inner`, whose sessions `ledger` keeps.
    pub(crate) fn handshake<F>(&self, inner: F, ledger: Option<Arc<dyn Ledger>>) -> Handshake<F> {
        Handshake {
            inner,
            deadline: Deadline::new(self.handshake_deadline),
            policy: self.policy,
            account: ledger.map(|ledger| Account::new(Some(ledger))),
        }
    }
}

pin_project! {
    pub(crate) struct Handshake<F> {
        #[pin]
        inner: F,
        #[pin]
        deadline: Deadline,
        policy: ClosePolicy,
        account: Option<Account>,
    }
}

impl<F, S> Future for Handshake<F>
where
    F: Future<Output = io::Result<S>>,
    S: Session,
{
    type Output = Result<GracefulStream<S>, HandshakeError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = match this.inner.poll(cx) {
            Poll::Ready(result) => result.map_err(HandshakeError::from),
            Poll::Pending => match this.deadline.poll_elapsed(cx) {
                Poll::Ready(()) => Err(HandshakeError::TimedOut),
                Poll::Pending => return Poll::Pending,
            },
        };
        let account = this.account.take();
        Poll::Ready(match result {
            Ok(mut inner) => {
                let resumed = inner.is_resumed();
                let mut stream = GracefulStream::new(inner);
                stream.set_policy(*this.policy);
                if let Some(account) = account {
                    account.established(resumed);
                    stream.set_account(account);
                }
                Ok(stream)
            }
            Err(e) => {
                if let (HandshakeError::Tls(_), Some(mut account)) = (&e, account) {
                    account.failed();
                }
                Err(e)
            }
        })
    }
}

/// Why a handshake failed.
///
/// Converts into an [`io::Error`] that keeps the kind, with this error as its source.
#[derive(Debug)]
#[non_exhaustive]
pub enum HandshakeError {
    /// It was not finished before the deadline.
    TimedOut,
    /// The two sides cannot speak TLS with each other: no common version, a certificate that one
    /// of them refuses, something that is not TLS.
    Tls(rustls::Error),
    /// The transport failed or ended.
    Io(io::Error),
}

impl From<io::Error> for HandshakeError {
    fn from(error: io::Error) -> Self {
        match error.get_ref().and_then(|inner| inner.downcast_ref()) {
            Some(tls) => Self::Tls(rustls::Error::clone(tls)),
            None => Self::Io(error),
        }
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("the TLS handshake was not finished before the deadline"),
            Self::Tls(e) => write!(f, "the TLS handshake failed: {e}"),
            Self::Io(e) => write!(f, "the transport failed during the TLS handshake: {e}"),
        }
    }
}

impl Error for HandshakeError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::TimedOut => None,
            Self::Tls(e) => e.source(),
            Self::Io(e) => e.source(),
        }
    }
}

impl From<HandshakeError> for io::Error {
    fn from(error: HandshakeError) -> Self {
        let kind = match &error {
            HandshakeError::TimedOut => io::ErrorKind::TimedOut,
            HandshakeError::Tls(_) => io::ErrorKind::InvalidData,
            HandshakeError::Io(e) => e.kind(),
        };
        Self::new(kind, error)
    }
}
