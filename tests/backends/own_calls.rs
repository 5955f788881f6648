//! The application has called the library's own `read` or `shutdown` before it closes.

use std::{io::ErrorKind, time::Duration};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tls_shutdown::{GracefulStream, PeerClose, ShutdownExt};

use crate::{
    library::Library,
    scenarios::{Tls, done, now, plain},
    support::{Case, Rig, Step, forge},
};

scenarios! {
    own_failed_read,
    own_failed_read_behind_our_alert,
    own_read_that_failed_and_has_passed,
    own_shutdown,
    own_shutdown_of_a_silent_peer,
    own_shutdown_and_last_data,
}

/// What a peer sends in place of `close_notify`.
fn failures<L: Library>(case: Case) -> [(Tls<L>, crate::support::Wire, Vec<u8>); 2] {
    let Rig { stream, wire, .. } = plain::<L>(case);
    let bad = forge::plain_record(forge::APPLICATION_DATA, &[1; 40]);
    let (other, other_wire, mut peer) = plain::<L>(case).forge();
    let alert = peer.alert(forge::FATAL, forge::HANDSHAKE_FAILURE);
    [(stream, wire, bad), (other, other_wire, alert)]
}

#[track_caller]
fn assert_not_clean<S: ShutdownExt>(stream: &mut S) {
    let close = done(stream.shutdown_bidirectional().deadline(Duration::ZERO));
    assert!(
        !matches!(&close, Ok(closed) if closed.is_clean()),
        "{close:?}"
    );
}

/// None of it is a `close_notify`, however often it was read, whoever is asked.
fn own_failed_read<L: Library>(case: Case) {
    for reads in 1..3 {
        for (mut stream, wire, failure) in failures::<L>(case) {
            wire.feed(&failure);
            done(stream.read(&mut [0; 9])).unwrap_err();
            for _ in 1..reads {
                let _ = now(stream.read(&mut [0; 9]));
            }
            assert!(!stream.received_close_notify());
            assert_not_clean(&mut stream);
            assert!(!stream.received_close_notify());
        }
        for (mut stream, wire, failure) in failures::<L>(case) {
            wire.feed(&failure);
            done(stream.read(&mut [0; 9])).unwrap_err();
            let mut stream = GracefulStream::new(stream);
            // s2n delays what it says.
            let read = now(stream.read(&mut [0; 9]));
            assert!(!matches!(read, Some(Ok(_))), "{read:?}");
            assert!(!stream.received_close_notify());
            assert_not_clean(&mut stream);
        }
    }
}

fn own_failed_read_behind_our_alert<L: Library>(case: Case) {
    let (mut stream, wire, mut peer) = plain::<L>(case).forge();
    done(stream.close_notify()).unwrap();
    wire.feed(&peer.alert(forge::FATAL, forge::HANDSHAKE_FAILURE));
    let _ = now(stream.read(&mut [0; 9]));
    assert!(!stream.received_close_notify());
    assert_not_clean(&mut stream);
    assert!(!stream.received_close_notify());
}

/// A failure of the transport that the application was told is not told again by a close.
fn own_read_that_failed_and_has_passed<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    rig.wire.at_end(Step::Fail(ErrorKind::TimedOut));
    done(rig.stream.read(&mut [0; 9])).unwrap_err();
    rig.wire.at_end(Step::Block);
    rig.peer_closes();
    let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
    assert_eq!(closed.peer(), PeerClose::CloseNotify);
}

fn own_shutdown<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    done(rig.stream.shutdown()).unwrap();
    rig.peer_writes(b"pong");
    rig.peer_closes();
    let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
    assert_eq!(
        (closed.peer(), closed.discarded()),
        (PeerClose::CloseNotify, 4)
    );
    rig.assert_wrote_and_closed(b"");

    // A half-close leaves what the peer still sends.
    let mut rig = plain::<L>(case);
    done(rig.stream.shutdown()).unwrap();
    let mut rig = rig.map(GracefulStream::new);
    rig.peer_writes(b"pong");
    done(rig.stream.close_notify()).unwrap();
    let mut got = [0; 4];
    done(rig.stream.read_exact(&mut got)).unwrap();
    assert_eq!(&got, b"pong");
    rig.assert_wrote_and_closed(b"");
}

/// Nor is what the transport has not taken lost.
fn own_shutdown_of_a_silent_peer<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    rig.wire.set_room(3);
    done(rig.stream.write_all(b"ping")).unwrap();
    // It may wait for the transport.
    let _ = now(rig.stream.shutdown());
    rig.wire.unblock_writes();
    let close = rig.stream.shutdown_bidirectional();
    let closed = done(close.deadline(Duration::ZERO)).unwrap();
    assert_eq!(closed.peer(), PeerClose::TimedOut);
    rig.assert_wrote_and_closed(b"ping");
}

fn own_shutdown_and_last_data<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    done(rig.stream.shutdown()).unwrap();
    let mut rig = rig.map(GracefulStream::new);
    // However often it is called.
    for _ in 0..2 {
        let close = done(rig.stream.close_notify_with(b"too late"));
        assert!(close.is_err(), "{close:?}");
    }
    // Nobody reads what rustls sends behind the alert.
    if L::REFUSES_WRITES {
        rig.assert_wrote_and_closed(b"");
    }
}
