//! Application data that are unread when a connection is closed: no amount of them is trouble, and
//! none of them are lost unless they are discarded.

use std::{future::poll_fn, io::ErrorKind, sync::LazyLock};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio_rustls::TlsStream;
use tokio_test::{assert_pending, assert_ready, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseProgress, CloseTracker, GracefulStream, PeerStatus, ShutdownError, ShutdownExt,
    ShutdownState, tokio_rustls,
};

use crate::support::{
    CASES, Case, Forge, Rig, Scripted, Step, Wire,
    forge::{APPLICATION_DATA, HANDSHAKE},
    poll_while_woken,
};

/// As much as rustls holds before it reads no more, and the longest record.
const FULL: usize = 16_384;

/// Around that, and around twice that: rustls takes one more record while it is not full.
const AMOUNTS: [usize; 13] = [
    0, 1, 100, 16_383, 16_384, 16_385, 16_386, 17_884, 32_767, 32_768, 32_769, 32_770, 50_000,
];

/// How the peer cuts its data into records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// As long as they can be.
    Long,
    /// The first as long as it can be, the others so short that `close_notify` arrives with them.
    Short,
    /// Long ones behind a handshake record without a message: rustls accepts it, and slices out of
    /// range if it is asked to process once more.
    BehindNothing,
}

const LAYOUTS: [Layout; 3] = [Layout::Long, Layout::Short, Layout::BehindNothing];

/// What the application does before it closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Nothing,
    /// Reads one byte, which is not one of the amount.
    Read,
    /// Asks whether the peer has closed.
    Ask,
}

const BEFORE: [Before; 3] = [Before::Nothing, Before::Read, Before::Ask];

/// The first `len` bytes of what the peer sends.
fn data(len: usize) -> &'static [u8] {
    static DATA: LazyLock<Vec<u8>> =
        LazyLock::new(|| (0..60_000).map(|i| (i % 251) as u8).collect());
    &DATA[..len]
}

trait Tls: ShutdownExt + AsyncRead + AsyncWrite + Unpin {
    /// Whether the peer's `close_notify` is known, in every way in which the stream says it.
    fn knows(&mut self) -> bool;

    /// Whether it is known behind more data than rustls holds.
    const ALWAYS_KNOWS: bool;

    /// Whether it remembers what an earlier call has sent.
    const REMEMBERS: bool;
}

impl Tls for TlsStream<Scripted> {
    fn knows(&mut self) -> bool {
        self.received_close_notify()
    }

    const ALWAYS_KNOWS: bool = false;
    const REMEMBERS: bool = false;
}

impl Tls for GracefulStream<TlsStream<Scripted>> {
    fn knows(&mut self) -> bool {
        let is_received = self.received_close_notify();
        assert_eq!(self.state().contains(ShutdownState::RECEIVED), is_received);
        is_received
    }

    const ALWAYS_KNOWS: bool = true;
    const REMEMBERS: bool = true;
}

fn plain(stream: TlsStream<Scripted>) -> TlsStream<Scripted> {
    stream
}

/// A tracked stream looks at more than others.
fn tracked(stream: TlsStream<Scripted>) -> GracefulStream<TlsStream<Scripted>> {
    let mut stream = GracefulStream::new(stream);
    stream.track(&CloseTracker::new());
    stream
}

/// One combination of what is above.
#[derive(Clone, Copy, Debug)]
struct Unread {
    case: Case,
    layout: Layout,
    amount: usize,
    before: Before,
}

fn combinations() -> impl Iterator<Item = Unread> {
    CASES.into_iter().flat_map(|case| {
        LAYOUTS.into_iter().flat_map(move |layout| {
            AMOUNTS.into_iter().flat_map(move |amount| {
                BEFORE.map(|before| Unread {
                    case,
                    layout,
                    amount,
                    before,
                })
            })
        })
    })
}

impl Unread {
    /// The peer has sent its data and `close_notify`.
    fn rig<S: Tls>(self, wrap: fn(TlsStream<Scripted>) -> S) -> (S, Wire, Forge) {
        let (stream, wire, mut forge) = Rig::new(self.case).map(wrap).forge();
        let mut stream = stream;
        let read = usize::from(self.before == Before::Read);
        let data = data(self.amount + read);
        if self.layout == Layout::BehindNothing {
            wire.feed(&forge.seal(HANDSHAKE, b""));
        }
        let (first, rest) = data.split_at(data.len().min(FULL));
        let len = match self.layout {
            Layout::Long | Layout::BehindNothing => FULL,
            Layout::Short => 1500,
        };
        for record in [first].into_iter().chain(rest.chunks(len)) {
            if !record.is_empty() {
                wire.feed(&forge.seal(APPLICATION_DATA, record));
            }
        }
        wire.feed(&forge.close_notify());
        match self.before {
            Before::Nothing => {}
            Before::Read => {
                assert_ready_ok!(spawn(stream.read_exact(&mut [0; 1])).poll());
            }
            Before::Ask => {
                let status = assert_ready_ok!(spawn(stream.peer_closed()).poll());
                assert_eq!(status == PeerStatus::Readable, self.amount > 0, "{self:?}");
            }
        }
        (stream, wire, forge)
    }

    /// Asserts that what is unread is what the peer has sent, and nothing behind it.
    #[track_caller]
    fn assert_readable<S: Tls>(self, stream: &mut S) {
        let mut rest = Vec::new();
        let read = spawn(stream.read_to_end(&mut rest)).poll();
        assert_ready_ok!(read, "{self:?}");
        let read = usize::from(self.before == Before::Read);
        assert!(
            rest == data(self.amount + read)[read..],
            "{} bytes: {self:?}",
            rest.len()
        );
        assert!(stream.knows(), "{self:?}");
    }

    /// Asserts that the stream knows of the peer's `close_notify` if it was processed, unless it is a
    /// plain one that rustls hides it from.
    #[track_caller]
    fn assert_known<S: Tls>(self, stream: &mut S, wire: &Wire) -> bool {
        let knows = stream.knows();
        // The alert is the last of what has arrived.
        let is_processed = wire.unread() == 0;
        match S::ALWAYS_KNOWS || self.amount <= FULL {
            true => assert_eq!(knows, is_processed, "{self:?}"),
            false => assert!(is_processed || !knows, "{self:?}"),
        }
        knows
    }
}

fn of_close_notify<S: Tls>(wrap: fn(TlsStream<Scripted>) -> S) {
    for unread in combinations() {
        let (mut stream, wire, mut forge) = unread.rig(wrap);
        let expected = match unread.assert_known(&mut stream, &wire) {
            true => ShutdownState::COMPLETE,
            false => ShutdownState::SENT,
        };
        let reads = wire.counts().reads;
        for _ in 0..2 {
            let state = assert_ready_ok!(spawn(stream.close_notify()).poll(), "{unread:?}");
            assert_eq!(state, expected, "{unread:?}");
        }
        assert_eq!(wire.counts().reads, reads, "it only writes");
        unread.assert_readable(&mut stream);
        let state = assert_ready_ok!(spawn(stream.close_notify()).poll());
        assert_eq!(state, ShutdownState::COMPLETE);
        let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
        assert_eq!((closed.is_clean(), closed.discarded()), (true, 0));
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn g01_close_notify_leaves_every_amount_of_unread_data_readable() {
    of_close_notify(plain);
    of_close_notify(tracked);
}

fn of_bidirectional<S: Tls>(wrap: fn(TlsStream<Scripted>) -> S, notify_first: bool) {
    for unread in combinations() {
        let (mut stream, wire, mut forge) = unread.rig(wrap);
        let knows = unread.assert_known(&mut stream, &wire);
        if notify_first {
            assert_ready_ok!(spawn(stream.close_notify()).poll());
        }
        let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
        let closed = assert_ready_ok!(poll_while_woken(&mut close), "{unread:?}");
        drop(close);
        assert!(closed.is_clean(), "{unread:?} {closed:?}");
        assert_eq!(closed.discarded(), unread.amount as u64, "{unread:?}");
        // A plain stream does not know when an earlier call has sent its alert.
        let expected = match notify_first {
            true => knows && S::REMEMBERS,
            false => knows || S::REMEMBERS,
        };
        assert_eq!(closed.peer_closed_first(), expected, "{unread:?}");
        assert!(stream.knows());
        assert_eq!(
            assert_ready_ok!(spawn(stream.read(&mut [0; 1])).poll()),
            0,
            "{unread:?}"
        );
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn g01_a_bidirectional_close_discards_every_amount_of_unread_data_and_is_clean() {
    for notify_first in [false, true] {
        of_bidirectional(plain, notify_first);
        of_bidirectional(tracked, notify_first);
    }
}

fn of_reads<S: Tls>(wrap: fn(TlsStream<Scripted>) -> S, size: usize) {
    for unread in combinations() {
        let (mut stream, wire, mut forge) = unread.rig(wrap);
        let mut left = unread.amount;
        let mut buf = vec![0; size];
        let mut knew = false;
        loop {
            let reads = wire.counts().reads;
            let knows = stream.knows();
            assert!(knows || !knew, "{unread:?}: known before");
            knew = knows;
            assert_eq!(wire.counts().reads, reads, "asking reads nothing");
            match assert_ready_ok!(spawn(stream.read(&mut buf)).poll(), "{unread:?}") {
                0 => break,
                n => left -= n,
            }
        }
        assert_eq!(left, 0, "{unread:?}");
        assert!(stream.knows());
        // Sent last, it was received first.
        let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean() && closed.peer_closed_first());
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn g01_every_amount_of_unread_data_is_read_in_pieces_of_any_size() {
    for size in [1000, 40_000] {
        of_reads(plain, size);
        of_reads(tracked, size);
    }
}

fn of_peer_closed<S: Tls>(wrap: fn(TlsStream<Scripted>) -> S) {
    for unread in combinations() {
        let (mut stream, wire, mut forge) = unread.rig(wrap);
        for _ in 0..3 {
            let status = assert_ready_ok!(spawn(stream.peer_closed()).poll(), "{unread:?}");
            assert_eq!(
                status == PeerStatus::Readable,
                unread.amount > 0,
                "{unread:?}"
            );
        }
        assert_eq!(wire.outbound_len(), 0);
        unread.assert_readable(&mut stream);
        let mut close = spawn(stream.shutdown_bidirectional());
        let closed = assert_ready_ok!(close.poll());
        assert!(closed.is_clean() && closed.peer_closed_first());
        drop(close);
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn g29_peer_closed_leaves_every_amount_of_unread_data_readable() {
    of_peer_closed(plain);
    of_peer_closed(tracked);
}

/// The peer has gone: our alert cannot be delivered, and its own is behind the unread data.
fn of_undeliverable<S: Tls>(wrap: fn(TlsStream<Scripted>) -> S, keep: bool) {
    for unread in combinations() {
        let (mut stream, wire, _) = unread.rig(wrap);
        wire.every_write(Step::Fail(ErrorKind::ConnectionReset));
        wire.at_end(Step::Fail(ErrorKind::ConnectionReset));
        if keep {
            let result = assert_ready!(poll_while_woken(&mut spawn(stream.close_notify())));
            match result {
                Ok(state) => assert_eq!(state, ShutdownState::RECEIVED, "{unread:?}"),
                // It consumes nothing, and looks no further than rustls holds.
                Err(ShutdownError::Send(_)) => {
                    // Unless it was processed before, and rustls hides it from a plain stream.
                    let is_hidden = !S::ALWAYS_KNOWS && unread.before != Before::Nothing;
                    assert!(unread.amount > FULL, "{unread:?}");
                    assert!(wire.unread() > 0 || is_hidden, "{unread:?}");
                }
                Err(e) => panic!("{unread:?}: {e:?}"),
            }
            unread.assert_readable(&mut stream);
            let closed = assert_ready_ok!(spawn(stream.shutdown_bidirectional()).poll());
            assert_eq!((closed.is_clean(), closed.discarded()), (true, 0));
        } else {
            let mut close = spawn(stream.shutdown_bidirectional().no_deadline());
            let closed = assert_ready_ok!(poll_while_woken(&mut close), "{unread:?}");
            assert_eq!(closed.discarded(), unread.amount as u64, "{unread:?}");
            assert!(closed.is_clean() && closed.peer_closed_first());
        }
        assert_eq!(wire.outbound_len(), 0);
    }
}

#[test]
fn g12_a_close_notify_behind_every_amount_of_unread_data_counts_where_our_alert_is_undeliverable() {
    for keep in [false, true] {
        of_undeliverable(plain, keep);
        of_undeliverable(tracked, keep);
    }
}

/// A close that is blocked reads, if it may discard, and is dropped and repeated.
fn of_blocked<S: Tls>(wrap: fn(TlsStream<Scripted>) -> S) {
    for unread in combinations() {
        let (mut stream, wire, mut forge) = unread.rig(wrap);
        wire.every_write(Step::Block);
        let mut progress = CloseProgress::new();
        let mut close = spawn(poll_fn(|cx| {
            stream.poll_shutdown_bidirectional(cx, &mut progress)
        }));
        assert_pending!(poll_while_woken(&mut close), "{unread:?}");
        drop(close);
        assert_eq!(wire.unread(), 0, "it has read everything: {unread:?}");
        assert!(stream.knows());
        wire.unblock_writes();
        let mut close = spawn(poll_fn(|cx| {
            stream.poll_shutdown_bidirectional(cx, &mut progress)
        }));
        let closed = assert_ready_ok!(close.poll(), "{unread:?}");
        drop(close);
        assert_eq!(closed.discarded(), unread.amount as u64, "{unread:?}");
        assert!(closed.is_clean() && closed.peer_closed_first());
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}

#[test]
fn b26_a_blocked_close_discards_every_amount_of_unread_data() {
    of_blocked(plain);
    of_blocked(tracked);
}
