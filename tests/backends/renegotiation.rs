//! A close during another handshake within the session, which servers of TLS 1.2 ask for that want a
//! certificate for one path only. rustls and s2n refuse such handshakes.

use std::{future::poll_fn, io::ErrorKind, pin::pin, task::Poll, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_tls_shutdown::{ShutdownError, ShutdownExt, ShutdownState};

use crate::{
    libraries::{NativeTls, Openssl},
    library::Library,
    programs::openssl,
    scenarios::{done, now, plain, rig, runtime},
    support::{Case, Role, Version, forge, in_time},
};

const CASE: Case = Case::new(Version::Tls12, Role::Client);

/// Reads as far as it comes at once, which is to no data.
async fn poll_read<S: AsyncRead + Unpin>(stream: &mut S) {
    let mut buf = [0; 9];
    let mut read = pin!(stream.read(&mut buf));
    let is_pending = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx).is_pending())).await;
    assert!(is_pending);
}

/// The server finishes the handshake, and then the close is as any other.
async fn closes_behind_it<L: Library>(tcp: impl Fn(&L::Tls<TcpStream>) -> &TcpStream) {
    for is_wrapped in [true, false] {
        if !is_wrapped && !L::LOOKS_AHEAD {
            continue;
        }
        let (mut tls, mut peer) = openssl::<L>(CASE).await;
        // It finds nothing, and from here on the transport is readable when something has come.
        poll_read(&mut tls).await;
        peer.say(b"R\n").await;
        in_time("the request", tcp(tls.get_ref()).readable())
            .await
            .unwrap();
        // It answers the request.
        poll_read(&mut tls).await;
        let closed = if is_wrapped {
            in_time("close", tls.shutdown_bidirectional()).await
        } else {
            let mut tls = tls.into_inner();
            in_time("close", tls.shutdown_bidirectional()).await
        };
        assert!(closed.unwrap().is_clean());
    }
}

#[tokio::test]
async fn closes_behind_it_over_openssl() {
    closes_behind_it::<Openssl>(|tls| tls.get_ref().get_ref()).await;
}

#[tokio::test]
async fn closes_behind_it_over_native_tls() {
    closes_behind_it::<NativeTls>(|tls| tls.get_ref().get_ref().get_ref().get_ref()).await;
}

/// The deadline ends a close whose peer does not finish the handshake. The session has not failed.
fn unfinished<L: Library>() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (mut tls, wire, mut peer) = rig::<L>(CASE).forge();
    wire.feed(&peer.seal(forge::HANDSHAKE, &forge::renegotiation(Role::Client)));
    assert!(now(tls.read(&mut [0; 9])).is_none());
    for _ in 0..2 {
        let close = done(tls.close_notify().deadline(Duration::ZERO));
        assert!(
            matches!(close, Err(ShutdownError::SendTimedOut)),
            "{close:?}"
        );
    }
    assert_eq!(tls.state(), ShutdownState::NONE);
    // It goes on to read what comes.
    assert!(now(tls.read(&mut [0; 9])).is_none());
    let write = done(tls.write(b"no more"));
    assert_eq!(write.unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn unfinished_over_openssl() {
    unfinished::<Openssl>();
}

#[test]
fn unfinished_over_native_tls() {
    unfinished::<NativeTls>();
}

/// The application goes on after a close that was given up: its flush sends what is queued.
fn given_up_on_a_plain_stream<L: Library>() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let (mut tls, wire, mut peer) = plain::<L>(CASE).forge();
    wire.set_room(3);
    wire.feed(&peer.seal(forge::HANDSHAKE, &forge::renegotiation(Role::Client)));
    assert!(now(tls.read(&mut [0; 9])).is_none());
    let close = done(tls.close_notify().deadline(Duration::ZERO));
    assert!(close.is_err(), "{close:?}");
    assert!(now(tls.flush()).is_none(), "a part of a record is queued");
    wire.unblock_writes();
    done(tls.flush()).unwrap();
}

#[test]
fn given_up_on_a_plain_stream_over_openssl() {
    given_up_on_a_plain_stream::<Openssl>();
}

#[test]
fn given_up_on_a_plain_stream_over_native_tls() {
    given_up_on_a_plain_stream::<NativeTls>();
}

/// Before the first handshake there is no session to close.
#[test]
fn before_the_first() {
    let runtime = runtime();
    let _entered = runtime.enter();
    let case = Case::new(Version::Tls13, Role::Client);
    let wire = crate::support::Wire::default();
    let gate = tokio_tls_shutdown::Gate::new(wire.transport());
    let mut tls = tokio_openssl::SslStream::new(Openssl::ssl(case).unwrap(), gate).unwrap();
    for _ in 0..2 {
        let close = done(tls.shutdown_bidirectional());
        assert!(
            matches!(close, Err(ShutdownError::Handshaking)),
            "{close:?}"
        );
        assert!(now(std::pin::Pin::new(&mut tls).connect()).is_none());
    }
}
