//! The error of rustls inside an error of this crate.

use std::error::Error;

use tokio_rustls::rustls;
use tokio_tls_shutdown::{ShutdownError, TlsError};

/// Returns the error of rustls, if that is what ended the session.
pub fn rustls_error(error: &TlsError) -> Option<&rustls::Error> {
    error.source()?.downcast_ref()
}

/// Returns the error of rustls, if a close has failed with one.
pub fn tls_error(error: &ShutdownError) -> Option<&rustls::Error> {
    match error {
        ShutdownError::Tls(e) => rustls_error(e),
        _ => None,
    }
}

/// Returns `true` if a close has failed because of a record that a debug build cannot name: rustls's
/// own assertion unwinds where it wants to send a fatal alert behind `close_notify`.
pub fn is_unnamed(error: &ShutdownError) -> bool {
    cfg!(debug_assertions)
        && matches!(error, ShutdownError::Tls(e)
            if rustls_error(e).is_none() && e.to_string() == "the peer sent an invalid record")
}
