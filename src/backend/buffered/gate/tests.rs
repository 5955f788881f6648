//! What a library finds at a `Gate`, whatever it writes.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, duplex};
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};

use super::*;

fn write<IO: AsyncRead + AsyncWrite + Unpin>(
    gate: &mut Gate<IO>,
    buf: &[u8],
) -> Poll<io::Result<usize>> {
    Pin::new(gate).poll_write(&mut Context::from_waker(Waker::noop()), buf)
}

#[test]
fn nothing_follows_our_alert_and_no_fin() {
    let (ours, mut theirs) = duplex(100);
    let mut gate = Gate::new(ours);
    let mut cx = Context::from_waker(Waker::noop());
    gate.queue_writes();
    assert_eq!(assert_ready_ok!(write(&mut gate, b"alert")), 5);
    gate.discard_writes();
    assert_eq!(
        assert_ready_ok!(write(&mut gate, b"an answer to the peer")),
        21
    );
    assert_ready_ok!(gate.poll_send(&mut cx));
    assert_ready_ok!(Pin::new(&mut gate).poll_shutdown(&mut cx));
    let mut got = [0; 100];
    assert_eq!(assert_ready_ok!(spawn(theirs.read(&mut got)).poll()), 5);
    assert_eq!(&got[..5], b"alert");
    assert_pending!(spawn(theirs.read(&mut got)).poll());
}

#[test]
fn it_takes_a_record_whole_or_not_at_all() {
    let (ours, mut theirs) = duplex(10);
    let mut gate = Gate::new(ours);
    let record = vec![7; 16 * 1024];
    let mut taken = 0;
    while let Poll::Ready(written) = write(&mut gate, &record) {
        assert_eq!(written.unwrap(), record.len());
        taken += record.len();
        assert!(taken <= LIBRARY_LIMIT + 2 * record.len(), "{taken}");
    }
    assert!(gate.has_refused());
    // Room for less than a record is enough for the next.
    let mut got = vec![0; 10];
    for _ in 0..record.len() {
        assert_ready_ok!(spawn(theirs.read_exact(&mut got)).poll());
        if write(&mut gate, &record).is_ready() {
            assert!(!gate.has_refused());
            return;
        }
    }
    panic!("it takes nothing more");
}

/// A transport remembers one task that waits to write: the reader must become that, or the rest of a
/// write that has returned is never sent.
#[test]
fn a_reader_sends_what_a_writer_has_left() {
    let (ours, mut theirs) = duplex(10);
    let mut gate = Gate::new(ours);
    let mut buf = [0; 4];
    let mut reader = spawn(());
    let poll_read = |gate: &mut Gate<_>, cx: &mut Context<'_>, buf: &mut [u8]| {
        Pin::new(gate).poll_read(cx, &mut ReadBuf::new(buf))
    };
    reader.enter(|cx, _| assert_pending!(poll_read(&mut gate, cx, &mut buf)));
    assert_eq!(assert_ready_ok!(write(&mut gate, &[7; 15])), 15);
    assert!(!reader.is_woken());
    let mut got = [0; 15];
    assert_eq!(assert_ready_ok!(spawn(theirs.read(&mut got)).poll()), 10);
    assert!(reader.is_woken());
    reader.enter(|cx, _| assert_pending!(poll_read(&mut gate, cx, &mut buf)));
    assert_eq!(assert_ready_ok!(spawn(theirs.read(&mut got)).poll()), 5);
}
