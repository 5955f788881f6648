//! Two tasks of one stream: neither takes the other's wake-up, and neither is woken for ever.

use std::task::Poll;

use tokio::io::{AsyncReadExt, AsyncWriteExt, split};
use tokio_test::{assert_pending, task::spawn};
use tokio_tls_shutdown::GracefulStream;

use crate::{
    libraries::{NativeTls, Openssl, Rustls, S2n},
    library::Library,
    scenarios::{done, now, plain, rig, runtime},
    support::{Case, Peer, Rig, Role, Step, Version, forge, poll_while_woken},
};

scenarios! {
    flush_beside_a_reader_that_fails,
    read_that_waits_for_a_flush,
    write_behind_an_answer_that_is_not_flushed,
    close_of_a_reader_in_a_renegotiation,
    slow_upload,
}

/// A transport that is TLS itself may wait in a flush.
fn flush_beside_a_reader_that_fails<L: Library>(case: Case) {
    let (mut stream, wire, _) = rig::<L>(case).forge();
    done(stream.write_all(b"data")).unwrap();
    wire.set_room(0);
    wire.every_flush(Step::Block);
    let (mut read_half, mut write_half) = split(stream);
    let mut flush = spawn(write_half.flush());
    assert_pending!(flush.poll());
    wire.feed(&forge::plain_record(forge::APPLICATION_DATA, &[1; 40]));
    let mut got = [0; 4];
    let read = spawn(read_half.read(&mut got)).poll();
    assert!(matches!(read, Poll::Ready(Err(_))), "{read:?}");
    wire.unblock_writes();
    wire.unblock_flushes();
    assert!(flush.is_woken(), "the flush was forgotten");
}

/// A message of the peer that a library may answer within the read, and flushes the answer.
fn to_be_answered(case: Case, peer: &mut forge::Forge) -> Vec<u8> {
    /// KeyUpdate that asks for another one (RFC 8446 section 4.6.3).
    const KEY_UPDATE: [u8; 5] = [24, 0, 0, 1, 1];

    match case.version {
        Version::Tls12 => peer.seal(forge::HANDSHAKE, &forge::renegotiation(case.role)),
        Version::Tls13 => peer.seal(forge::HANDSHAKE, &KEY_UPDATE),
    }
}

/// s2n ends the session where a client asks for another handshake.
fn is_refused<L: Library>(case: Case) -> bool {
    L::NAME == S2n::NAME && case == Case::new(Version::Tls12, Role::Server)
}

fn read_that_waits_for_a_flush<L: Library>(case: Case) {
    if is_refused::<L>(case) {
        return;
    }
    let (mut stream, wire, mut peer) = rig::<L>(case).forge();
    wire.every_flush(Step::Block);
    wire.feed(&to_be_answered(case, &mut peer));
    let mut got = [0; 4];
    let mut reader = spawn(stream.read(&mut got));
    // It fails here if the reader is woken for ever.
    assert_pending!(poll_while_woken(&mut reader));
    let is_flushing = wire.counts().flushes > 0;
    wire.unblock_flushes();
    assert_eq!(reader.is_woken(), is_flushing);
}

fn write_behind_an_answer_that_is_not_flushed<L: Library>(case: Case) {
    // A library that renegotiates writes nothing meanwhile.
    if is_refused::<L>(case) || case == Case::new(Version::Tls12, Role::Client) {
        return;
    }
    let (mut stream, wire, mut peer) = rig::<L>(case).forge();
    wire.every_flush(Step::Block);
    wire.feed(&to_be_answered(case, &mut peer));
    let mut got = [0; 4];
    assert_pending!(spawn(stream.read(&mut got)).poll());
    let mut writer = spawn(stream.write(b"data"));
    if let Poll::Ready(written) = poll_while_woken(&mut writer) {
        assert_eq!(written.unwrap(), 4);
        return;
    }
    wire.unblock_flushes();
    assert!(writer.is_woken(), "the writer was forgotten");
    assert!(matches!(poll_while_woken(&mut writer), Poll::Ready(Ok(4))));
}

/// A close waits until the application has read what has come before the end of the handshake, and
/// then for the handshake itself.
fn close_of_a_reader_in_a_renegotiation<L: Library>(case: Case) {
    if case != Case::new(Version::Tls12, Role::Client) {
        return;
    }
    let (stream, wire, mut peer) = rig::<L>(case).forge();
    let (mut read_half, mut write_half) = split(stream);
    wire.feed(&peer.seal(forge::HANDSHAKE, &forge::renegotiation(case.role)));
    assert_pending!(spawn(read_half.read_u8()).poll());
    wire.feed(&peer.seal(forge::APPLICATION_DATA, b"x"));
    let mut close = spawn(write_half.shutdown());
    if poll_while_woken(&mut close).is_ready() {
        // This library refuses the handshake.
        return;
    }
    let mut reader = spawn(read_half.read_u16());
    assert_pending!(poll_while_woken(&mut reader));
    while close.is_woken() {
        assert_pending!(close.poll());
    }
    wire.feed(&[forge::HANDSHAKE]);
    assert!(close.is_woken(), "the close was forgotten");
}

/// The same with TLS of `Inner` as the transport, at whose other end is rustls.
fn reader_beside_a_blocked_writer<Outer: Library, Inner: Library>(case: Case) {
    let Rig {
        stream: inner,
        wire,
        mut peer,
        ..
    } = plain::<Inner>(case);
    let mut outer_peer = Peer::new(case, case.client_config(), case.server_config());
    let mut handshake = spawn(Outer::open(case, GracefulStream::new(inner)));
    let stream = loop {
        let poll = handshake.poll();
        outer_peer.receive(&peer.receive(&wire.take_outbound()));
        if let Poll::Ready(stream) = poll {
            break stream.unwrap();
        }
        peer.write(&outer_peer.take_queue());
        wire.feed(&peer.take_queue());
    };
    wire.set_room(100);
    let (mut read_half, mut write_half) = split(GracefulStream::new(stream));
    let mut reader = spawn(read_half.read_u8());
    assert_pending!(poll_while_woken(&mut reader));
    let data = vec![3; 1_000_000];
    let mut writer = spawn(write_half.write_all(&data));
    assert_pending!(poll_while_woken(&mut writer));
    assert_pending!(poll_while_woken(&mut reader));
    // A part of a record.
    peer.write(&[forge::APPLICATION_DATA]);
    wire.feed(&peer.take_queue());
    assert!(reader.is_woken());
    // It fails here if the reader wakes itself for ever.
    assert_pending!(poll_while_woken(&mut reader));
}

#[test]
fn reader_beside_a_blocked_writer_of_tls_inside_tls() {
    let runtime = runtime();
    let _entered = runtime.enter();
    for version in [Version::Tls12, Version::Tls13] {
        let case = Case::new(version, Role::Client);
        reader_beside_a_blocked_writer::<Rustls, Openssl>(case);
        reader_beside_a_blocked_writer::<Openssl, Rustls>(case);
        reader_beside_a_blocked_writer::<S2n, Openssl>(case);
        reader_beside_a_blocked_writer::<NativeTls, S2n>(case);
        reader_beside_a_blocked_writer::<Openssl, Openssl>(case);
    }
}

/// A transport that always takes less than what is queued.
fn slow_upload<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    let data = vec![7; 16_000];
    let mut sent = 0;
    rig.wire.set_room(0);
    let heap = allocation_counter::measure(|| {
        while sent < 16 << 20 {
            while let Some(written) = now(rig.stream.write(&data)) {
                sent += written.unwrap();
            }
            rig.wire.take_outbound();
            rig.wire.set_room(20_000);
        }
    });
    assert!(heap.bytes_max < 1 << 20, "{} bytes of heap", heap.bytes_max);
}
