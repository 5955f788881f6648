//! Has a library make its `close_notify`.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use super::{
    super::{AlertState, BackendError, Plaintext, Received},
    Failure, GatedStream, NO_ALERT, poll_receive, unless_stuck,
};
use crate::error::TlsError;

pub(super) fn poll_shutdown<S: GatedStream>(
    tls: &mut S,
    cx: &mut Context<'_>,
    state: &mut AlertState,
) -> Poll<Result<(), BackendError>> {
    let mut has_read_all = false;
    let mut is_finished = false;
    loop {
        let error = match ready!(poll_alert(tls, cx)) {
            Ok(()) => {
                // In a session that has failed it makes none.
                let session = &mut tls.gate_mut().session;
                session.peer_closed |= session.ended;
                return Poll::Ready(Ok(()));
            }
            Err(e) => e,
        };
        if !S::is_tls_error(&error) {
            return Poll::Ready(Err(BackendError::Transport(error)));
        }
        // The library refuses it in a session that has failed, and during a handshake within the
        // session, which reads finish.
        if has_read_all {
            return Poll::Pending;
        }
        if !S::PEEKS && !state.wrapped {
            return Poll::Ready(Err(match tls.knows_end() || tls.gate().session.ended {
                true => failed_before(tls, &error),
                // To read here would take what the application wants.
                false => during_handshake(error),
            }));
        }
        match poll_receive(tls, cx, Plaintext::Keep, state) {
            Poll::Pending => has_read_all = true,
            Poll::Ready(Ok(Received::Data(_) | Received::Other)) => {}
            Poll::Ready(Ok(_)) if !is_finished && !tls.is_handshaking() => is_finished = true,
            // The application, or a close that discards them, has to read what comes before.
            Poll::Ready(Ok(Received::Full)) => {
                tls.gate_mut().set_reading_writer(cx);
                return Poll::Pending;
            }
            // The handshake will not be finished.
            Poll::Ready(Ok(_)) => return Poll::Ready(Err(during_handshake(error))),
            Poll::Ready(Err(_)) if !tls.gate_mut().take_has_read() => {
                return Poll::Ready(Err(failed_before(tls, &error)));
            }
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
        }
    }
}

/// Has the library make the alert, once.
fn poll_alert<S: GatedStream>(tls: &mut S, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
    // OpenSSL reads if the application has called its `shutdown()` before.
    tls.gate_mut().take_held();
    tls.gate_mut().hold_reads(true);
    let poll = Pin::new(&mut *tls).poll_shutdown(cx);
    tls.gate_mut().hold_reads(false);
    match poll.is_pending() && tls.gate_mut().take_held() {
        true => Poll::Ready(Ok(())),
        false => unless_stuck(tls, poll, NO_ALERT),
    }
}

/// No failure of the session.
fn during_handshake(error: io::Error) -> BackendError {
    BackendError::Tls(TlsError::new(error, None))
}

/// The cause was told to someone else, and the library has forgotten it.
fn failed_before<S: GatedStream>(tls: &mut S, error: &io::Error) -> BackendError {
    let failure = Failure {
        text: format!("the session has failed before, in a call of the application: {error}"),
        alert: None,
    };
    tls.gate_mut().session.failure = Some(failure.clone());
    failure.into()
}
