//! `GracefulStream::into_transport`: the transport after TLS.

use std::{error::Error, fmt};

use super::{GracefulStream, ShutdownStep, record_aligned::RecordAligned};
use crate::{
    backend::{OverTransport, PlainStream},
    state::ShutdownState,
};

impl<S, IO> GracefulStream<S>
where
    S: PlainStream + OverTransport<Transport = RecordAligned<IO>>,
{
    /// Consumes the stream and returns the transport, readable from the first byte after the peer's
    /// `close_notify`.
    ///
    /// Only if both alerts were really exchanged: SSL_shutdown(3) says that "when the underlying
    /// connection shall be used for more communications, the complete shutdown procedure must be
    /// performed". Not one byte is lost, because [`RecordAligned`] has given rustls no byte that
    /// follows `close_notify`. For FTP `CCC` (RFC 4217), LDAP StopTLS (RFC 4511, section 4.14.3) and
    /// TLS that is started again on the same socket.
    ///
    /// # Errors
    ///
    /// [`IntoTransportError`], which holds the stream, if
    ///
    /// - one of the two alerts is missing, or only counts as exchanged because of
    ///   [quiet shutdown](Self::set_quiet_shutdown) or [`set_state`](Self::set_state);
    /// - `shutdown()` has closed the write side of the transport;
    /// - application data are unread, which would be lost.
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
    pub fn into_transport(mut self) -> Result<RecordAligned<IO>, IntoTransportError<S>> {
        let state = self.state();
        let exchange = &self.state.exchange;
        let is_complete = exchange.has_sent() && exchange.has_received();
        let is_open = self.step == ShutdownStep::Notify;
        if is_complete && is_open && self.stream.unread().is_empty() {
            Ok(self.stream.take().into_transport().into_plaintext())
        } else {
            Err(IntoTransportError {
                stream: self,
                state,
            })
        }
    }
}

/// Error returned by [`GracefulStream::into_transport`] when the TLS shutdown is not complete.
///
/// Holds the stream, unchanged.
#[derive(Debug)]
pub struct IntoTransportError<S> {
    stream: GracefulStream<S>,
    state: ShutdownState,
}

impl<S> IntoTransportError<S> {
    /// Returns which alerts were exchanged, or count as exchanged.
    #[must_use]
    pub const fn state(&self) -> ShutdownState {
        self.state
    }

    /// Consumes the error and returns the stream.
    #[must_use]
    pub fn into_stream(self) -> GracefulStream<S> {
        self.stream
    }
}

impl<S> fmt::Display for IntoTransportError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the transport is still in use by TLS: both sides must send close_notify first")
    }
}

impl<S: fmt::Debug> Error for IntoTransportError<S> {}
