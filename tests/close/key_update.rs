//! A17, B5, G4, G5: the peer asks for new keys (TLS 1.3) or for another handshake (TLS 1.2) while we
//! close. What rustls answers is sent in front of our close_notify or not at all.

use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsStream;
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    CloseProgress, GracefulStream, ShutdownError, ShutdownExt, ShutdownState, tokio_rustls,
};

use crate::support::{
    CASES, Case, Forge, Peer, Rig, Scripted, Step, Wire,
    forge::{self, ALERT, APPLICATION_DATA, CLOSE_NOTIFY, HANDSHAKE, NO_RENEGOTIATION, WARNING},
    poll_while_woken,
    rig::records,
};

type Plain = TlsStream<Scripted>;
type Graceful = GracefulStream<Plain>;

/// When the peer's request is received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// Before the close begins.
    Before,
    /// While all of our alert is queued.
    Queued,
    /// While so many bytes of it are sent.
    HalfSent(usize),
    /// When it is sent.
    Sent,
}

const WHENS: [When; 5] = [
    When::Before,
    When::Queued,
    When::HalfSent(1),
    When::HalfSent(23),
    When::Sent,
];

/// Who receives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reader {
    Application,
    /// A bidirectional close.
    Close,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Notify,
    Bidirectional,
    /// With last data. Only a `GracefulStream` has it.
    With,
}

const LAST: &[u8] = b"the last data";

impl Call {
    fn last(self) -> &'static [u8] {
        if self == Self::With { LAST } else { b"" }
    }
}

/// Both kinds of stream.
trait Tls: ShutdownExt + AsyncRead + Unpin {
    fn poll_call(&mut self, call: Call, progress: &mut CloseProgress) -> Poll<ShutdownState>;

    /// Lets out what is queued behind our close_notify, if there is anything.
    fn write_behind(&mut self) {}
}

fn poll_call<S: ShutdownExt>(
    stream: &mut S,
    call: Call,
    progress: &mut CloseProgress,
) -> Poll<Result<ShutdownState, ShutdownError>> {
    let mut close = spawn(std::future::poll_fn(|cx| match call {
        Call::Bidirectional => stream
            .poll_shutdown_bidirectional(cx, progress)
            .map_ok(|closed| {
                assert!(closed.is_clean());
                ShutdownState::COMPLETE
            }),
        _ => stream.poll_close_notify(cx, progress),
    }));
    poll_while_woken(&mut close)
}

impl Tls for Plain {
    fn poll_call(&mut self, call: Call, progress: &mut CloseProgress) -> Poll<ShutdownState> {
        poll_call(self, call, progress).map(Result::unwrap)
    }
}

impl Tls for Graceful {
    fn poll_call(&mut self, call: Call, progress: &mut CloseProgress) -> Poll<ShutdownState> {
        if call != Call::With {
            return poll_call(self, call, progress).map(Result::unwrap);
        }
        let mut close = spawn(std::future::poll_fn(|cx| {
            self.poll_close_notify_with(cx, LAST, progress)
        }));
        close.poll().map(Result::unwrap)
    }

    fn write_behind(&mut self) {
        assert_ready_ok!(spawn(self.flush()).poll());
        assert_ready_ok!(spawn(self.shutdown()).poll());
        assert_ready_ok!(spawn(self.get_mut().flush()).poll());
    }
}

/// The other side of the connection.
trait Partner {
    /// Asks for something that rustls answers.
    fn request(&mut self) -> Vec<u8>;

    fn close_notify(&mut self) -> Vec<u8>;

    /// Returns the data and how many answers were written, and asserts that one close_notify follows
    /// them, and not a byte more.
    fn open_all(&mut self, outbound: &[u8]) -> (Vec<u8>, usize);
}

/// Of TLS 1.3.
impl Partner for Peer {
    fn request(&mut self) -> Vec<u8> {
        self.0.refresh_traffic_keys().unwrap();
        self.take_queue()
    }

    fn close_notify(&mut self) -> Vec<u8> {
        self.0.send_close_notify();
        self.take_queue()
    }

    fn open_all(&mut self, outbound: &[u8]) -> (Vec<u8>, usize) {
        let mut data = Vec::new();
        let mut without_data = 0;
        for record in records(outbound) {
            assert!(!self.is_closed(), "something follows close_notify");
            let received = self.receive(record);
            without_data += usize::from(received.is_empty());
            data.extend(received);
        }
        assert!(self.is_closed(), "no close_notify was written");
        (data, without_data - 1)
    }
}

/// Of TLS 1.2.
impl Partner for Forge {
    fn request(&mut self) -> Vec<u8> {
        self.seal(HANDSHAKE, &forge::renegotiation(self.case().role))
    }

    fn close_notify(&mut self) -> Vec<u8> {
        self.close_notify()
    }

    fn open_all(&mut self, outbound: &[u8]) -> (Vec<u8>, usize) {
        let opened: Vec<_> = records(outbound).iter().map(|r| self.open(r)).collect();
        let (opened, end) = opened.split_at(opened.len().saturating_sub(1));
        assert_eq!(end, [(ALERT, vec![WARNING, CLOSE_NOTIFY])]);
        let mut data = Vec::new();
        let mut answers = 0;
        for (content_type, payload) in opened {
            match (*content_type, &payload[..]) {
                (APPLICATION_DATA, payload) => data.extend_from_slice(payload),
                (ALERT, [WARNING, NO_RENEGOTIATION]) => answers += 1,
                other => panic!("{other:?}"),
            }
        }
        (data, answers)
    }
}

/// How much is queued when the close begins: as many records of this.
const DATA: &[u8] = b"some data";

#[derive(Clone, Copy, Debug)]
struct Scene {
    case: Case,
    queued: usize,
    when: When,
    reader: Reader,
    /// The call before the request, and the one behind it.
    calls: [Call; 2],
    /// The second call has the progress of the first.
    same_progress: bool,
}

/// Few records, and around as many as rustls shows at once, and around twice as many.
fn queues() -> impl Iterator<Item = usize> {
    [0, 1].into_iter().chain(60..=66).chain(125..=129)
}

fn scenes(calls: &'static [[Call; 2]]) -> impl Iterator<Item = Scene> {
    queues().flat_map(move |queued| {
        WHENS.into_iter().flat_map(move |when| {
            calls.iter().flat_map(move |&calls| {
                CASES.into_iter().flat_map(move |case| {
                    [false, true].into_iter().flat_map(move |same_progress| {
                        [Reader::Application, Reader::Close].map(move |reader| Scene {
                            case,
                            queued,
                            when,
                            reader,
                            calls,
                            same_progress,
                        })
                    })
                })
            })
        })
    })
}

const PLAIN_CALLS: [[Call; 2]; 3] = [
    [Call::Notify, Call::Notify],
    [Call::Notify, Call::Bidirectional],
    [Call::Bidirectional, Call::Bidirectional],
];

const GRACEFUL_CALLS: [[Call; 2]; 5] = [
    [Call::Notify, Call::Notify],
    [Call::Bidirectional, Call::Bidirectional],
    [Call::With, Call::With],
    [Call::With, Call::Bidirectional],
    [Call::Bidirectional, Call::Notify],
];

impl Scene {
    /// Whether anything receives the request at that point.
    fn is_possible(self) -> bool {
        let first = self.calls[0];
        match (self.reader, self.when) {
            (Reader::Application, _) => true,
            // A close sends before it receives, and only a bidirectional one receives.
            (Reader::Close, When::Before) => false,
            (Reader::Close, _) => first == Call::Bidirectional,
        }
    }

    fn run<S: Tls>(self, wrap: fn(Plain) -> S) {
        let mut rig = Rig::new(self.case);
        rig.wire.every_write(Step::Block);
        for _ in 0..self.queued {
            assert_ready_ok!(spawn(rig.stream.write_all(DATA)).poll());
        }
        let Rig {
            stream, wire, peer, ..
        } = rig;
        let stream = wrap(stream);
        match self.case.is_tls13() {
            true => self.run_with(stream, &wire, peer),
            false => self.run_with(stream, &wire, Forge::new(self.case, peer.0)),
        }
    }

    fn run_with<S: Tls>(self, mut stream: S, wire: &Wire, mut peer: impl Partner) {
        let [first, second] = self.calls;
        let mut progress = CloseProgress::new();
        if self.when == When::Before {
            self.receive(&mut stream, wire, &mut peer);
        }
        match self.when {
            When::Before | When::Queued => {}
            When::HalfSent(bytes) => {
                // First what is in front of the alert, however many bytes that is.
                wire.unblock_writes();
                wire.set_room(self.len_before_alert(first) + bytes);
            }
            When::Sent => wire.unblock_writes(),
        }
        let poll = stream.poll_call(first, &mut progress);
        match (self.when, first) {
            (When::Sent, Call::Notify | Call::With) => assert!(poll.is_ready(), "{self:?}"),
            _ => assert_pending!(poll, "{self:?}"),
        }
        if self.when != When::Before {
            self.receive(&mut stream, wire, &mut peer);
        }
        if !self.same_progress {
            progress = CloseProgress::new();
        }
        if self.reader == Reader::Close {
            assert_pending!(stream.poll_call(first, &mut progress), "{self:?}");
            assert_eq!(wire.unread(), 0, "{self:?}");
        }
        wire.unblock_writes();
        let poll = stream.poll_call(second, &mut progress);
        match second {
            Call::Notify | Call::With => assert!(poll.is_ready(), "{self:?}"),
            Call::Bidirectional => {
                assert_pending!(poll, "{self:?}");
                wire.feed(&peer.close_notify());
                let poll = stream.poll_call(second, &mut progress);
                assert!(poll.is_ready(), "{self:?}");
            }
        }
        assert!(stream.poll_call(second, &mut progress).is_ready());
        stream.write_behind();
        let (data, answers) = peer.open_all(&wire.take_outbound());
        // Behind a longer queue the first call has queued nothing of its own.
        let is_long = self.queued >= 61 && matches!(self.when, When::Before | When::Queued);
        match self.when {
            When::Before => assert_eq!(answers, 1, "{self:?}"),
            _ if is_long => assert!(answers <= 1, "{self:?}"),
            _ => assert_eq!(answers, 0, "{self:?}"),
        }
        let queued = DATA.repeat(self.queued);
        let last = (data.strip_prefix(&queued[..])).unwrap_or_else(|| panic!("{self:?}"));
        let is_unsent = last.is_empty() && is_long && second != Call::With;
        assert!(last == first.last() || is_unsent, "{self:?}: {last:?}");
    }

    fn receive(self, stream: &mut impl Tls, wire: &Wire, peer: &mut impl Partner) {
        wire.feed(&peer.request());
        if self.reader == Reader::Application {
            assert_pending!(spawn(stream.read_u8()).poll(), "{self:?}");
        }
    }

    /// How many bytes are sent before the alert, if nothing is answered.
    fn len_before_alert(self, call: Call) -> usize {
        let overhead = self.case.alert_len() - 2;
        let last = match call.last().len() {
            0 => 0,
            len => len + overhead,
        };
        self.queued * (DATA.len() + overhead) + last
    }
}

#[test]
fn g04_g05_on_a_graceful_stream_no_answer_follows_close_notify() {
    for scene in scenes(&GRACEFUL_CALLS).filter(|scene| scene.is_possible()) {
        scene.run(GracefulStream::new);
    }
}

/// Without the calls of TLS 1.2 that start anew: there a plain stream cannot tell.
#[test]
fn g05_on_a_plain_stream_no_answer_follows_close_notify_of_the_same_progress_or_in_tls_1_3() {
    for scene in scenes(&PLAIN_CALLS).filter(|scene| scene.is_possible()) {
        if scene.same_progress || scene.case.is_tls13() {
            scene.run(|stream| stream);
        }
    }
}
