//! The fast path and the machine alone, over every sequence of results that a backend can give.

use std::{
    io,
    task::{Context, Poll, Waker},
};

use super::*;
use crate::{
    backend::{Alert, Status},
    error::TlsError,
    event::Role,
};

/// How many results are tried out; those that follow are the first of their kind.
const DEPTH: usize = 7;
const POLLS: usize = 3;

/// What was chosen at each place where there is a choice, in the order of a depth-first search.
#[derive(Clone, Debug, Default)]
struct Choices {
    taken: Vec<(usize, usize)>,
    next: usize,
}

impl Choices {
    fn choose(&mut self, of: usize) -> usize {
        if self.next == self.taken.len() {
            match self.taken.len() < DEPTH {
                true => self.taken.push((0, of)),
                false => return 0,
            }
        }
        let (choice, _) = self.taken[self.next];
        self.next += 1;
        choice
    }

    /// Moves to the next sequence. Returns `false` behind the last.
    fn advance(&mut self) -> bool {
        self.next = 0;
        while let Some((choice, of)) = self.taken.pop() {
            if choice + 1 < of {
                self.taken.push((choice + 1, of));
                return true;
            }
        }
        false
    }
}

/// A backend whose results are chosen.
#[derive(Debug)]
struct Chosen {
    choices: Choices,
    calls: Vec<&'static str>,
}

fn failed(kind: io::ErrorKind) -> BackendError {
    BackendError::Transport(kind.into())
}

fn tls_failed() -> BackendError {
    BackendError::Tls(TlsError::new("failed", None))
}

impl Backend for Chosen {
    fn status(&mut self, _: &AlertState) -> Result<Status, BackendError> {
        self.calls.push("status");
        let (peer_closed, readable) = match self.choices.choose(5) {
            0 => (false, false),
            1 => (false, true),
            2 => (true, false),
            3 => (true, true),
            _ => return Err(tls_failed()),
        };
        Ok(Status {
            established: true,
            peer_closed,
            readable,
        })
    }

    fn poll_send(
        &mut self,
        _: &mut Context<'_>,
        _: &[u8],
        state: &mut AlertState,
    ) -> Poll<Result<(), BackendError>> {
        self.calls.push("send");
        match self.choices.choose(6) {
            0 => {
                state.alert = Alert::Sent;
                Poll::Ready(Ok(()))
            }
            1 => Poll::Pending,
            2 => Poll::Ready(Err(failed(io::ErrorKind::BrokenPipe))),
            3 => Poll::Ready(Err(failed(io::ErrorKind::TimedOut))),
            4 => Poll::Ready(Err(BackendError::Handshaking)),
            _ => Poll::Ready(Err(tls_failed())),
        }
    }

    fn poll_receive(
        &mut self,
        _: &mut Context<'_>,
        plaintext: Plaintext<'_, '_>,
        _: &mut AlertState,
    ) -> Poll<Result<Received, BackendError>> {
        self.calls.push(match plaintext {
            Plaintext::Keep => "keep",
            _ => "discard",
        });
        Poll::Ready(match self.choices.choose(10) {
            0 => return Poll::Pending,
            1 => Ok(Received::CloseNotify),
            2 => Ok(Received::Data(10)),
            3 => Ok(Received::Data(30)),
            4 => Ok(Received::Other),
            5 => Ok(Received::Full),
            6 => Ok(Received::Eof),
            7 => Ok(Received::Reset(io::ErrorKind::ConnectionReset)),
            8 => Err(failed(io::ErrorKind::Other)),
            _ => Err(tls_failed()),
        })
    }

    fn poll_write(
        &mut self,
        _: &mut Context<'_>,
        _: &[io::IoSlice<'_>],
        _: &mut AlertState,
    ) -> Poll<io::Result<usize>> {
        unreachable!("a close writes nothing else")
    }

    fn poll_close_transport(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        unreachable!("a close leaves the transport open")
    }

    fn unread(&mut self) -> &[u8] {
        &[]
    }

    fn consume(&mut self, _: usize) {}

    fn tickets(&mut self) -> u32 {
        0
    }

    fn is_resumed(&mut self) -> bool {
        false
    }

    fn role(&mut self) -> Role {
        Role::Client
    }

    fn is_tls_error(_: &io::Error) -> bool {
        false
    }
}

type Poller = fn(
    &mut Progress,
    &mut Context<'_>,
    &mut Chosen,
    Goal,
    &mut CloseState,
) -> Poll<Result<Done, ShutdownError>>;

fn with_fast_path(
    progress: &mut Progress,
    cx: &mut Context<'_>,
    backend: &mut Chosen,
    goal: Goal,
    state: &mut CloseState,
) -> Poll<Result<Done, ShutdownError>> {
    progress.poll(cx, backend, goal, &[], state)
}

fn machine_alone(
    progress: &mut Progress,
    cx: &mut Context<'_>,
    backend: &mut Chosen,
    goal: Goal,
    state: &mut CloseState,
) -> Poll<Result<Done, ShutdownError>> {
    progress.begin_poll(state);
    let poll = match progress.look(backend, goal, &state.alert) {
        Ok(()) => progress.poll_steps(cx, backend, goal, &[], &mut state.alert),
        Err(e) => Poll::Ready(Err(e)),
    };
    state.exchange = progress.machine.exchange();
    poll
}

/// Polls a close until it ends. Returns all that can be seen of it, and the choices made.
fn run(poll: Poller, goal: Goal, wrapped: bool, choices: &Choices) -> (String, Choices) {
    let mut backend = Chosen {
        choices: choices.clone(),
        calls: Vec::new(),
    };
    let mut progress = Progress::new();
    progress.set_discard_limit(20);
    let mut state = CloseState::NEW;
    state.alert.wrapped = wrapped;
    let mut cx = Context::from_waker(Waker::noop());
    let mut seen = String::new();
    for _ in 0..POLLS {
        if backend.choices.choose(2) == 1 {
            progress.expire();
        }
        let result = poll(&mut progress, &mut cx, &mut backend, goal, &mut state);
        let closed = progress.closed(&mut backend);
        seen += &format!("{result:?} {progress:?} {state:?} {closed:?}\n");
        if result.is_ready() {
            break;
        }
    }
    seen += &format!("{:?}", backend.calls);
    (seen, backend.choices)
}

#[test]
fn the_fast_path_does_what_the_machine_says() {
    let goals = [
        Goal::Notify,
        Goal::NotifyAndDiscard,
        Goal::Bidirectional,
        Goal::PeerClosed,
    ];
    for (goal, wrapped) in goals
        .into_iter()
        .flat_map(|goal| [(goal, false), (goal, true)])
    {
        let mut choices = Choices::default();
        let mut sequences = 0;
        loop {
            let (expected, mut taken) = run(machine_alone, goal, wrapped, &choices);
            let (seen, _) = run(with_fast_path, goal, wrapped, &choices);
            assert_eq!(seen, expected, "{goal:?}, {:?}", choices.taken);
            sequences += 1;
            if !taken.advance() {
                break;
            }
            choices = taken;
        }
        // The search has not ended early.
        assert!(sequences > 200, "{goal:?}: {sequences}");
    }
}
