//! No write is lost without being counted.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::runtime::{Builder, Runtime};
use tokio_tls_shutdown::{
    ShutdownExt,
    resumption::fleet::{
        FleetKeys, FleetSessions, FleetStore, Lookup, StoreError, StoreFuture, Write,
    },
};

use crate::{
    double::{Double, Mode},
    fleet::{KEY, Server, client, sessions},
    site::Kind,
};

const KIND: Kind = Kind::Tls13Stateful;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A connection that ends when it is dropped, and its runtime does not run any more.
fn leave_two_writes(store: &Arc<Double>) -> Server {
    let first = runtime();
    let (server, streams) = first.block_on(async {
        let server = Server::start(KIND, sessions(store)).await;
        let (mut ours, mut theirs) = server.meet(&client(KIND)).await;
        theirs.close_notify().await.unwrap();
        ours.close_notify().await.unwrap();
        (server, (ours, theirs))
    });
    drop(streams);
    drop(first);
    server
}

#[test]
fn e11_a_flush_sends_what_a_runtime_that_has_ended_has_left() {
    let store = Arc::new(Double::new());
    let server = leave_two_writes(&store);
    assert_eq!(server.sessions.stats().queued, 2);
    runtime().block_on(server.sessions.flush());
    let stats = server.sessions.stats();
    assert_eq!((stats.queued, stats.written, store.len()), (0, 2, 2));
}

#[test]
fn e11_a_batch_whose_runtime_ends_while_it_is_sent_is_counted() {
    let store = Arc::new(Double::new());
    let server = leave_two_writes(&store);
    store.set_mode(Mode::Hangs);
    let second = runtime();
    second.block_on(async {
        let mut flush = std::pin::pin!(server.sessions.flush());
        while server.sessions.stats().batches == 0 {
            let _ = std::future::poll_fn(|cx| Poll::Ready(flush.as_mut().poll(cx))).await;
            tokio::task::yield_now().await;
        }
    });
    drop(second);
    let stats = server.sessions.stats();
    assert_eq!((stats.queued, stats.writes_failed), (0, 2), "{stats:?}");
}

/// Panics when it is dropped: after it was answered, or while it is not.
struct PanicsInDrop<T>(Option<T>);

impl<T> Drop for PanicsInDrop<T> {
    fn drop(&mut self) {
        panic!("the store panics");
    }
}

impl<T: Unpin> Future for PanicsInDrop<T> {
    type Output = Result<T, StoreError>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        match self.0.take() {
            Some(answer) => Poll::Ready(Ok(answer)),
            None => Poll::Pending,
        }
    }
}

#[derive(Default)]
struct Bad {
    answers: bool,
    batches: AtomicUsize,
}

impl Bad {
    fn future<'a, T: Unpin + Send + 'a>(&self, answer: T) -> StoreFuture<'a, T> {
        Box::pin(PanicsInDrop(self.answers.then_some(answer)))
    }
}

impl FleetStore for Bad {
    fn get<'a>(&'a self, _: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.future(None)
    }

    fn take<'a>(&'a self, _: &'a [u8]) -> StoreFuture<'a, Option<Vec<u8>>> {
        self.future(None)
    }

    fn put<'a>(&'a self, _: &'a [u8], _: &'a [u8], _: Duration) -> StoreFuture<'a, ()> {
        self.future(())
    }

    fn remove<'a>(&'a self, _: &'a [u8]) -> StoreFuture<'a, ()> {
        self.future(())
    }

    fn look_up<'a>(&'a self, lookups: &'a [Lookup]) -> StoreFuture<'a, Vec<Option<Vec<u8>>>> {
        self.future(vec![None; lookups.len()])
    }

    fn write<'a>(&'a self, _: &'a [Write]) -> StoreFuture<'a, ()> {
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.future(())
    }
}

#[tokio::test(start_paused = true)]
async fn e11_a_store_whose_futures_panic_when_they_are_dropped_fails_and_is_counted() {
    std::panic::set_hook(Box::new(|_| {}));
    for answers in [false, true] {
        let bad = Arc::new(Bad {
            answers,
            ..Bad::default()
        });
        let store: Arc<dyn FleetStore> = Arc::<Bad>::clone(&bad);
        let sessions = FleetSessions::new(store, FleetKeys::new(KEY), "www");
        let server = Server::start(KIND, sessions).await;
        for _ in 0..10 {
            let client = client(KIND);
            assert!(!server.resumes(&client).await);
            assert!(!server.resumes(&client).await);
        }
        let stats = server.sessions.stats();
        let lost = stats.writes_failed + stats.writes_dropped;
        assert_eq!((lost, stats.queued), (40, 0), "{stats:?}");
        assert_eq!(stats.failed + stats.timed_out + stats.skipped, 10);
        assert!(stats.lookups_broken && stats.writes_broken, "{stats:?}");
        assert_eq!(bad.batches.load(Ordering::Relaxed) as u64, stats.batches);
    }
    drop(std::panic::take_hook());
}
