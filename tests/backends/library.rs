//! What the scenarios need of a TLS library, and what they must know of it.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tls_shutdown::{GracefulStream, PlainStream, RecordAligned, ShutdownState};

use crate::support::{Case, Scripted, Version};

/// A transport.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// What does not hold over a library: the scenario, the version, and why.
pub(crate) type Exception = (&'static str, Version, &'static str);

pub(crate) trait Library {
    type Tls<IO: Io>: PlainStream + AsyncRead + AsyncWrite + Send + Unpin;

    const NAME: &str;

    /// A plain stream can be asked whether the peer has closed.
    const LOOKS_AHEAD: bool = true;

    /// A write that was blocked has to be repeated before an alert can be sent.
    const REPEATS_WRITES: bool = false;

    /// The library refuses writes to a plain stream after `close_notify`.
    const REFUSES_WRITES: bool = true;

    /// A transport that blocks is tried at every byte of our alert, not only at some.
    const TRIES_EVERY_BYTE: bool = false;

    /// A read of a plain stream fails where the transport ends without `close_notify`.
    const REPORTS_EOF: bool = true;

    /// Tells whether a read of a plain stream has ended with `close_notify` or in a failure.
    const TELLS_HOW_READS_ENDED: bool = true;

    /// Tells the code of a fatal alert.
    const TELLS_ALERTS: bool = true;

    const EXCEPTIONS: &[Exception] = &[];

    /// Returns `true` if there is such a stream.
    fn speaks(_: Case) -> bool {
        true
    }

    /// Performs the handshake in the role of the case.
    fn open<IO: Io>(case: Case, io: IO) -> impl Future<Output = io::Result<Self::Tls<IO>>>;

    fn into_transport(
        stream: GracefulStream<Self::Tls<RecordAligned<Scripted>>>,
    ) -> Result<RecordAligned<Scripted>, ShutdownState>;
}
