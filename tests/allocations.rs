//! What a close allocates: what rustls itself does for it, and nothing else, with all features on
//! too as long as nobody listens.

mod support;

use std::{
    io::{BufRead, Write},
    pin::pin,
    task::{Context, Poll, Waker},
};

use support::{CASES, Case, Rig};
use tokio::io::AsyncWriteExt;
use tokio_rustls::{TlsStream, rustls::Connection};
use tokio_tls_shutdown::{Closed, GracefulStream, ShutdownExt, ShutdownState, tokio_rustls};

/// Room for all that a test writes.
const ROOM: usize = 4096;

/// How often, and how many bytes.
type Cost = (u64, u64);

fn cost(work: impl FnOnce()) -> Cost {
    let info = allocation_counter::measure(work);
    (info.count_total, info.bytes_total)
}

fn rig(case: Case) -> Rig {
    let rig = Rig::new(case);
    rig.wire.reserve(ROOM);
    rig
}

/// The first poll, which must be the last.
#[track_caller]
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

/// rustls alone, in the same state as the stream of a rig, and what arrives from the peer.
struct Bare {
    tls: Connection,
    inbound: Vec<u8>,
    outbound: Vec<u8>,
}

impl Bare {
    fn new(case: Case, prepare: impl FnOnce(&mut Rig)) -> Self {
        let mut rig = rig(case);
        prepare(&mut rig);
        let inbound = rig.wire.take_inbound();
        let tls = match rig.stream {
            TlsStream::Client(stream) => stream.into_inner().1.into(),
            TlsStream::Server(stream) => stream.into_inner().1.into(),
        };
        Self {
            tls,
            inbound,
            outbound: Vec::with_capacity(ROOM),
        }
    }

    fn send_close_notify(&mut self) {
        self.tls.send_close_notify();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.outbound).unwrap();
        }
    }

    fn read_to_close_notify(&mut self) {
        let mut inbound = &self.inbound[..];
        loop {
            self.tls.read_tls(&mut inbound).unwrap();
            let state = self.tls.process_new_packets().unwrap();
            let mut left = state.plaintext_bytes_to_read();
            while left > 0 {
                let mut reader = self.tls.reader();
                let n = reader.fill_buf().unwrap().len();
                reader.consume(n);
                left -= n;
            }
            if state.peer_has_closed() {
                break;
            }
        }
    }
}

#[track_caller]
fn assert_sent(state: ShutdownState) {
    assert_eq!(state, ShutdownState::SENT);
}

#[track_caller]
fn assert_complete(closed: Closed, discarded: u64) {
    assert!(closed.is_clean());
    assert_eq!(closed.discarded(), discarded);
}

#[test]
fn close_notify_allocates_what_rustls_does() {
    for case in CASES {
        let mut bare = Bare::new(case, |_| {});
        let floor = cost(|| bare.send_close_notify());
        assert!(floor.0 > 0, "nothing was counted");

        let mut plain = rig(case);
        let ours = cost(|| assert_sent(now(plain.stream.close_notify()).unwrap()));
        assert_eq!(ours, floor, "{case:?}");
        plain.assert_wrote_and_closed(&[]);

        let mut graceful = rig(case).map(GracefulStream::new);
        let ours = cost(|| assert_sent(now(graceful.stream.close_notify()).unwrap()));
        assert_eq!(ours, floor, "{case:?}");
        graceful.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn shutdown_of_a_graceful_stream_allocates_what_rustls_does() {
    for case in CASES {
        let mut bare = Bare::new(case, |_| {});
        let floor = cost(|| bare.send_close_notify());

        let mut rig = rig(case).map(GracefulStream::new);
        let ours = cost(|| now(rig.stream.shutdown()).unwrap());
        assert_eq!(ours, floor, "{case:?}");
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn last_data_costs_what_rustls_takes_for_it() {
    let last = [7; 1000];
    for case in CASES {
        let mut bare = Bare::new(case, |_| {});
        let floor = cost(|| {
            bare.tls.writer().write_all(&last).unwrap();
            bare.send_close_notify();
        });

        let mut rig = rig(case).map(GracefulStream::new);
        let ours = cost(|| assert_sent(now(rig.stream.close_notify_with(&last)).unwrap()));
        assert_eq!(ours, floor, "{case:?}");
        rig.assert_wrote_and_closed(&last);
    }
}

#[test]
fn a_bidirectional_close_allocates_what_rustls_does() {
    for case in CASES {
        let mut bare = Bare::new(case, Rig::peer_closes);
        let floor = cost(|| {
            bare.send_close_notify();
            bare.read_to_close_notify();
        });

        let mut plain = rig(case);
        plain.peer_closes();
        let ours = cost(|| assert_complete(now(plain.stream.shutdown_bidirectional()).unwrap(), 0));
        assert_eq!(ours, floor, "{case:?}");
        plain.assert_wrote_and_closed(&[]);

        let mut graceful = rig(case).map(GracefulStream::new);
        graceful.peer_closes();
        let ours =
            cost(|| assert_complete(now(graceful.stream.shutdown_bidirectional()).unwrap(), 0));
        assert_eq!(ours, floor, "{case:?}");
        graceful.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn waiting_without_a_deadline_allocates_nothing() {
    for case in CASES {
        let mut bare = Bare::new(case, Rig::peer_closes);
        let floor = cost(|| {
            bare.send_close_notify();
            bare.read_to_close_notify();
        });

        let mut rig = rig(case);
        let Rig {
            stream, peer, wire, ..
        } = &mut rig;
        peer.0.send_close_notify();
        let close_notify = peer.take_queue();
        let mut close = pin!(stream.shutdown_bidirectional().no_deadline());
        let mut cx = Context::from_waker(Waker::noop());
        let before = cost(|| assert!(close.as_mut().poll(&mut cx).is_pending()));
        wire.feed(&close_notify);
        let after = cost(|| assert!(close.as_mut().poll(&mut cx).is_ready()));
        let ours = (before.0 + after.0, before.1 + after.1);
        assert_eq!(ours, floor, "{case:?}");
    }
}

fn drain<S: ShutdownExt>(stream: &mut S) {
    let mut close = pin!(stream.shutdown_bidirectional().no_deadline());
    let mut cx = Context::from_waker(Waker::noop());
    // It yields now and then.
    loop {
        if let Poll::Ready(closed) = close.as_mut().poll(&mut cx) {
            return assert_complete(closed.unwrap(), 1 << 20);
        }
    }
}

#[test]
fn draining_a_mebibyte_costs_no_more_than_rustls_alone() {
    let mebibyte = vec![7; 1 << 20];
    let prepare = |peer: &mut support::Peer| {
        peer.write(&mebibyte);
        peer.0.send_close_notify();
    };
    for case in CASES {
        let mut bare = Bare::new(case, |rig| {
            prepare(&mut rig.peer);
            rig.deliver();
        });
        let floor = cost(|| {
            bare.send_close_notify();
            bare.read_to_close_notify();
        });

        let mut plain = rig(case);
        prepare(&mut plain.peer);
        plain.deliver();
        let ours = cost(|| drain(&mut plain.stream));
        assert!(ours.0 <= floor.0 && ours.1 <= floor.1, "{ours:?} {floor:?}");

        let mut graceful = rig(case).map(GracefulStream::new);
        prepare(&mut graceful.peer);
        graceful.deliver();
        let ours = cost(|| drain(&mut graceful.stream));
        assert!(ours.0 <= floor.0 && ours.1 <= floor.1, "{ours:?} {floor:?}");
    }
}
