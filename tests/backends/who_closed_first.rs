//! `Closed::peer_closed_first`: the peer answers an alert that the transport has taken, but of which no
//! call of ours knows yet that it was sent.

use std::{
    io::ErrorKind,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::io::AsyncReadExt;
use tokio_test::{assert_pending, task::spawn};
use tokio_tls_shutdown::{CloseOutcome, CloseTracker, PeerClose, ShutdownError, ShutdownExt};

use crate::{
    library::Library,
    scenarios::{done, now, rig},
    support::{Case, Rig, Step, poll_while_woken},
};

scenarios! {
    answer_that_a_read_has_met,
    answer_to_an_alert_that_is_not_flushed,
    answer_that_the_state_shows,
    reset_before_our_alert,
}

/// The peer reads what was written, and answers our alert. Returns `false` if none has come.
fn peer_answers<S>(rig: &mut Rig<S>) -> bool {
    let outbound = rig.wire.take_outbound();
    rig.peer.receive(&outbound);
    let is_closed = rig.peer.is_closed();
    if is_closed {
        rig.peer_closes();
    }
    is_closed
}

/// A close that was blocked is given up, and the application reads on: over a `Gate` that sends our
/// alert.
fn answer_that_a_read_has_met<L: Library>(case: Case) {
    let reported = Arc::new(Mutex::new(None));
    let reports = reported.clone();
    let tracker = CloseTracker::with_on_close(move |report| {
        *reports.lock().unwrap() = Some(report.peer_closed_first());
    });
    let mut rig = rig::<L>(case);
    rig.stream.track(&tracker);
    rig.wire.set_room(3);
    let close = done(rig.stream.close_notify().deadline(Duration::ZERO));
    assert!(
        matches!(close, Err(ShutdownError::SendTimedOut)),
        "{close:?}"
    );
    rig.wire.unblock_writes();
    let _ = now(rig.stream.read(&mut [0; 4]));
    if !peer_answers(&mut rig) {
        return;
    }
    let _ = now(rig.stream.read(&mut [0; 4]));
    let close = rig.stream.shutdown_bidirectional();
    let closed = done(close.deadline(Duration::ZERO)).unwrap();
    assert!(!closed.peer_closed_first(), "it has answered: {closed}");
    drop(rig);
    assert_eq!(*reported.lock().unwrap(), Some(false));
}

fn answer_to_an_alert_that_is_not_flushed<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.wire.every_flush(Step::Block);
    {
        let mut close = spawn(rig.stream.shutdown_bidirectional());
        assert_pending!(poll_while_woken(&mut close));
    }
    assert!(peer_answers(&mut rig));
    rig.wire.unblock_flushes();
    let close = rig.stream.shutdown_bidirectional();
    let closed = done(close.deadline(Duration::ZERO)).unwrap();
    assert!(!closed.peer_closed_first(), "it has answered: {closed}");
}

/// A read has taken the data in front of it, and a close was dropped before that told what has left.
fn answer_that_the_state_shows<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.wire.every_flush(Step::Block);
    assert_pending!(spawn(rig.stream.close_notify()).poll());
    rig.peer.write(b"pong");
    assert!(peer_answers(&mut rig));
    let _ = now(rig.stream.read(&mut [0; 9]));
    rig.stream.state();
    rig.wire.unblock_flushes();
    let close = rig.stream.shutdown_bidirectional();
    let closed = done(close.deadline(Duration::ZERO)).unwrap();
    assert!(!closed.peer_closed_first(), "it has answered: {closed}");
}

/// A close receives first: it meets the reset, and then the transport takes the alert all the same.
fn reset_before_our_alert<L: Library>(case: Case) {
    let reported = Arc::new(Mutex::new(None));
    let reports = reported.clone();
    let tracker = CloseTracker::with_on_close(move |report| {
        *reports.lock().unwrap() = Some(report.outcome());
    });
    let mut rig = rig::<L>(case);
    rig.stream.track(&tracker);
    rig.wire.at_end(Step::Fail(ErrorKind::ConnectionReset));
    let closed = done(rig.stream.shutdown_bidirectional()).unwrap();
    assert_eq!(closed.peer(), PeerClose::Reset);
    drop(rig);
    assert_eq!(*reported.lock().unwrap(), Some(CloseOutcome::Reset));
}
