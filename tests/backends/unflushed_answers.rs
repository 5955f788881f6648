//! The peer changes its keys and wants ours changed, while the transport is blocked. OpenSSL answers
//! within the next write and flushes that: until then it is in a handshake within the session.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_test::{assert_ready_ok, task::spawn};
use tokio_tls_shutdown::GracefulStream;

use crate::{
    library::Library,
    scenarios::{Tls, now, rig},
    support::{Case, Rig, poll_while_woken},
};

scenarios! {
    write_behind_the_peers_close,
    close_behind_the_peers_close,
    close_before_unread_data,
}

/// The KeyUpdate is read, and nothing more.
fn updated<L: Library>(case: Case) -> Option<Rig<GracefulStream<Tls<L>>>> {
    if !case.is_tls13() {
        return None;
    }
    let mut rig = rig::<L>(case);
    rig.wire.set_room(3);
    rig.peer.0.refresh_traffic_keys().unwrap();
    rig.deliver();
    assert!(now(rig.stream.read(&mut [0; 4])).is_none());
    Some(rig)
}

/// The peer has closed its side, and reads on.
fn write_behind_the_peers_close<L: Library>(case: Case) {
    let Some(mut rig) = updated::<L>(case) else {
        return;
    };
    rig.peer_closes();
    assert_ready_ok!(spawn(rig.stream.read(&mut [0; 4])).poll());
    let mut writer = spawn(rig.stream.write(b"data"));
    let poll = poll_while_woken(&mut writer);
    rig.wire.unblock_writes();
    match poll.is_ready() {
        true => drop(assert_ready_ok!(poll)),
        false => drop(assert_ready_ok!(poll_while_woken(&mut writer))),
    }
}

/// The write is given up. Then the close sends what is queued and the alert, as ever.
fn close_behind_the_peers_close<L: Library>(case: Case) {
    let Some(mut rig) = updated::<L>(case) else {
        return;
    };
    let _ = now(rig.stream.write(b"data"));
    rig.peer_closes();
    rig.wire.unblock_writes();
    assert_ready_ok!(spawn(rig.stream.shutdown()).poll());
    let outbound = rig.wire.take_outbound();
    rig.peer.receive(&outbound);
    assert!(rig.peer.is_closed(), "no close_notify was written");
}

/// `shutdown()` leaves them to be read, and waits for nothing: the transport is free.
fn close_before_unread_data<L: Library>(case: Case) {
    let Some(mut rig) = updated::<L>(case) else {
        return;
    };
    let _ = now(rig.stream.write(b"data"));
    rig.peer_writes(b"more");
    rig.wire.unblock_writes();
    {
        let mut close = spawn(rig.stream.shutdown());
        assert_ready_ok!(poll_while_woken(&mut close));
    }
    let outbound = rig.wire.take_outbound();
    rig.peer.receive(&outbound);
    assert!(rig.peer.is_closed(), "no close_notify was written");
    let mut got = [0; 4];
    assert_ready_ok!(spawn(rig.stream.read_exact(&mut got)).poll());
}
