//! Two tasks that wait for the same handshake.
//!
//! Early data leave the handshake open. A close has to finish it first; so has a reader, as the close
//! may have been given up. The transport remembers one of them.

use std::task::{Context, Poll, Waker};

use super::GracefulStream;
use crate::{
    backend::{Alert, PlainStream},
    wakers::both,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Reader,
    Closer,
}

/// The wakers of the last polls that had to wait.
#[derive(Debug, Default)]
pub(super) struct HandshakeTasks {
    reader: Option<Waker>,
    closer: Option<Waker>,
}

impl HandshakeTasks {
    fn of(&mut self, task: Task) -> &mut Option<Waker> {
        match task {
            Task::Reader => &mut self.reader,
            Task::Closer => &mut self.closer,
        }
    }
}

impl Task {
    fn other(self) -> Self {
        match self {
            Self::Reader => Self::Closer,
            Self::Closer => Self::Reader,
        }
    }
}

impl<S: PlainStream> GracefulStream<S> {
    /// Returns `true` while our close waits for a handshake.
    #[inline]
    pub(super) fn closes_behind_handshake(&mut self) -> bool {
        self.state.alert.alert == Alert::Waiting && !self.is_established()
    }

    /// Polls for `task` and for the other, if that waits for the handshake.
    #[cold]
    pub(super) fn poll_for_both<T>(
        &mut self,
        task: Task,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Self, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let tasks = self.extras.as_mut().and_then(|e| e.handshake.as_mut());
        let waker = tasks.and_then(|tasks| both(cx, tasks.of(task.other()).as_ref()));
        let poll = match waker {
            Some(waker) => poll(self, &mut Context::from_waker(&waker)),
            None => poll(self, cx),
        };
        self.on_handshake_poll(task, poll.is_pending(), cx);
        poll
    }

    /// Returns `true` if the handshake is finished, or will not be.
    pub(super) fn is_established(&mut self) -> bool {
        if !self.is_established {
            let status = self.stream.status(&self.state.alert);
            self.is_established = !status.is_ok_and(|status| !status.established);
        }
        self.is_established
    }

    /// A poll of `task` has ended, and has to wait for the handshake if it is `Pending`.
    #[cold]
    pub(super) fn on_handshake_poll(&mut self, task: Task, is_pending: bool, cx: &Context<'_>) {
        let waits = self.closes_behind_handshake();
        let extras = self.extras.get_or_insert_default();
        let tasks = extras.handshake.get_or_insert_default();
        *tasks.of(task) = (is_pending && waits).then(|| cx.waker().clone());
        if let Some(other) = tasks.of(task.other()).take_if(|_| !waits) {
            other.wake();
        }
    }
}
