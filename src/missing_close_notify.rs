//! Telling a missing `close_notify` from other errors of a read.

use std::io;

use crate::{backend, error::ShutdownError, state::PeerClose};

/// Returns `true` if a read failed because the peer closed the transport without `close_notify`.
///
/// Use it in place of matching the text of the error. It knows this crate's
/// [`ShutdownError::Unclean`] and the errors of rustls ("peer closed connection without sending TLS
/// close_notify") and s2n, with their features, also where another `io::Error` wraps them.
///
/// A plain stream of OpenSSL or native-tls reports no error: its read returns 0, as after
/// `close_notify`. There, ask
/// [`received_close_notify`](crate::ShutdownExt::received_close_notify) at the end of the data, or
/// read from a [`GracefulStream`](crate::GracefulStream), which reports it over every library.
///
/// Whether a missing `close_notify` matters depends on the protocol: a body whose length was
/// announced and has arrived is complete, one that ends with the connection may have been truncated.
///
/// ```no_run
/// # use tokio::io::AsyncReadExt;
/// # use tokio_tls_shutdown::{is_missing_close_notify, tokio_rustls::client::TlsStream};
/// # async fn f(mut tls: TlsStream<tokio::net::TcpStream>) -> std::io::Result<()> {
/// let mut body = Vec::new();
/// match tls.read_to_end(&mut body).await {
///     Err(e) if is_missing_close_notify(&e) => eprintln!("the body may be truncated"),
///     other => { other?; }
/// }
/// # Ok(()) }
/// ```
#[must_use]
pub fn is_missing_close_notify(error: &io::Error) -> bool {
    let Some(inner) = error.get_ref() else {
        return false;
    };
    if let Some(wrapped) = inner.downcast_ref::<io::Error>() {
        return is_missing_close_notify(wrapped);
    }
    match inner.downcast_ref::<ShutdownError>() {
        Some(e) => matches!(e, ShutdownError::Unclean(PeerClose::Eof)),
        None => backend::is_missing_close_notify(error),
    }
}
