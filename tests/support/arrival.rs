//! In how many pieces the same bytes arrive.

use std::task::Poll;

use tokio_test::task::Spawn;

use super::scripted::Wire;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    Whole,
    /// Longer inputs a few bytes at a time.
    ByteByByte,
    /// In two pieces, cut here.
    Cut(usize),
}

/// Of longer inputs only so many cuts are tried.
const CUTS: usize = 64;

impl Arrival {
    /// Every way in which `len` bytes can arrive.
    pub fn ways(len: usize) -> impl Iterator<Item = Self> {
        let cuts = (1..len).step_by(len.div_ceil(CUTS)).map(Self::Cut);
        [Self::Whole, Self::ByteByByte].into_iter().chain(cuts)
    }

    fn pieces(self, bytes: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Whole => vec![bytes],
            Self::ByteByByte => bytes.chunks(1 + bytes.len() / 1024).collect(),
            Self::Cut(at) => {
                let (first, second) = bytes.split_at(at);
                vec![first, second]
            }
        }
    }

    /// Polls `task` before the first of `bytes` and after each piece of them, until it is ready.
    /// Every piece must wake it.
    #[track_caller]
    pub fn poll<F: Future>(
        self,
        task: &mut Spawn<F>,
        wire: &Wire,
        bytes: &[u8],
    ) -> Poll<F::Output> {
        let mut poll = poll_while_woken(task);
        for piece in self.pieces(bytes) {
            if poll.is_ready() {
                break;
            }
            wire.feed(piece);
            assert!(task.is_woken(), "a lost wake-up");
            poll = poll_while_woken(task);
        }
        poll
    }
}

/// Polls for as long as the task wakes itself, as a runtime does.
#[track_caller]
pub fn poll_while_woken<F: Future>(task: &mut Spawn<F>) -> Poll<F::Output> {
    for _ in 0..1000 {
        let poll = task.poll();
        if poll.is_ready() || !task.is_woken() {
            return poll;
        }
    }
    panic!("it spins");
}
