//! `RecordAligned`: where records end, and what lies behind the last of them.

use arbitrary::{Arbitrary, Unstructured};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_test::task::spawn;
use tokio_tls_shutdown::{GracefulStream, RecordAligned, ShutdownExt, ShutdownState};

use crate::support::{CASES, Rig, Scripted, Step, Wire, poll_while_woken};

#[derive(Arbitrary, Debug)]
enum Input {
    /// Any bytes at all.
    Bytes(Bytes),
    /// A session, its end, and plaintext right behind it.
    Session(Session),
}

#[derive(Arbitrary, Debug)]
struct Bytes {
    prefix: Vec<u8>,
    /// In these pieces; each piece is a record if it says so.
    pieces: Vec<(bool, Vec<u8>)>,
    /// The sizes of the buffers that are read into.
    reads: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
struct Session {
    case: u8,
    we_close_first: bool,
    close_notify: bool,
    data: Vec<u8>,
    glued: Vec<u8>,
    /// Bytes that come at once, in turn.
    splits: Vec<u8>,
    read_size: Option<u8>,
}

pub fn aligned(data: &[u8]) {
    match Input::arbitrary_take_rest(Unstructured::new(data)) {
        Ok(Input::Bytes(bytes)) => bytes.run(),
        Ok(Input::Session(session)) => session.run(),
        Err(_) => {}
    }
}

/// Reads once: `None` if there is nothing yet or no more.
fn read(io: &mut (impl AsyncRead + Unpin), buf: &mut [u8]) -> Option<usize> {
    match spawn(io.read(buf)).poll() {
        std::task::Poll::Ready(Ok(n @ 1..)) => Some(n),
        _ => None,
    }
}

/// How many bytes are left of the record in which `at` lies, if `bytes` are records so far.
fn left_of_record(bytes: &[u8], at: usize) -> Option<usize> {
    let mut start = 0;
    loop {
        let &[20..=23, 3, _, hi, lo] = bytes.get(start..start + 5)? else {
            return None;
        };
        let end = start + 5 + usize::from(u16::from_be_bytes([hi, lo]));
        if at < end {
            return Some(end - at);
        }
        start = end;
    }
}

impl Bytes {
    fn run(self) {
        let wire = Wire::default();
        let mut all = self.prefix.clone();
        let mut aligned = RecordAligned::with_prefix(wire.transport(), self.prefix);
        let mut sizes = self.reads.iter().map(|&size| usize::from(size) + 1).cycle();
        let mut got = Vec::new();
        let mut take = |aligned: &mut RecordAligned<Scripted>, all: &[u8]| {
            let mut buf = vec![0; sizes.next().unwrap_or(1000)];
            while let Some(n) = read(aligned, &mut buf) {
                let left = left_of_record(all, got.len()).expect("handed out what is no record");
                assert!(n <= left, "beyond the end of a record");
                got.extend(&buf[..n]);
            }
            assert!(all.starts_with(&got));
        };
        take(&mut aligned, &all);
        for (is_record, piece) in self.pieces {
            let mut bytes = Vec::new();
            if is_record {
                bytes.extend([23, 3, 3]);
                bytes.extend(
                    u16::try_from(piece.len().min(16_384))
                        .unwrap()
                        .to_be_bytes(),
                );
            }
            bytes.extend(piece);
            all.extend(&bytes);
            wire.feed(&bytes);
            take(&mut aligned, &all);
        }
        wire.at_end(Step::Zero);
        take(&mut aligned, &all);
        let (_, ahead) = aligned.into_parts();
        let rest = [got, ahead, wire.take_inbound()].concat();
        assert!(rest == all, "bytes were lost");
    }
}

impl Session {
    fn run(self) {
        let case = CASES[usize::from(self.case) % CASES.len()];
        let (client, server) = (case.client_config(), case.server_config());
        let mut rig = Rig::over(case, client, server, RecordAligned::new).map(GracefulStream::new);
        if let Some(size) = self.read_size {
            rig.wire.read_size(usize::from(size).max(1));
        }
        rig.peer.write(&self.data);
        if self.close_notify {
            rig.peer.0.send_close_notify();
        }
        let bytes = [&rig.peer.take_queue()[..], &self.glued].concat();
        if self.we_close_first {
            assert!(spawn(rig.stream.close_notify()).poll().is_ready());
        }
        let mut close = spawn(rig.stream.shutdown_bidirectional().no_deadline());
        let mut poll = poll_while_woken(&mut close);
        let mut rest = &bytes[..];
        let mut splits = self.splits.iter().map(|&n| usize::from(n) + 1).cycle();
        while !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(splits.next().unwrap_or(1000)));
            rig.wire.feed(piece);
            if poll.is_pending() {
                assert!(close.is_woken(), "a lost wake-up");
                poll = poll_while_woken(&mut close);
            }
            rest = later;
        }
        drop(close);
        if !self.close_notify {
            assert!(!matches!(poll, std::task::Poll::Ready(Ok(closed)) if closed.is_clean()));
            assert!(rig.stream.into_transport().is_err(), "it is still TLS's");
            return;
        }
        let std::task::Poll::Ready(Ok(closed)) = poll else {
            panic!("not closed: {poll:?}");
        };
        assert!(closed.is_clean(), "{closed:?}");
        assert_eq!(closed.discarded(), self.data.len() as u64);
        assert_eq!(rig.stream.state(), ShutdownState::COMPLETE);
        let mut transport = rig.stream.into_transport().unwrap();
        let mut got: Vec<u8> = Vec::new();
        let mut buf = [0; 100];
        while let Some(n) = read(&mut transport, &mut buf) {
            got.extend(&buf[..n]);
        }
        assert!(got == self.glued, "what followed close_notify was lost");
    }
}
