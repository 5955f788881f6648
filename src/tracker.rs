//! `CloseTracker`: which streams are open, how the others have ended, and an end for all.

pub(crate) mod observe;
pub(crate) mod record;

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Waker},
    time::Duration,
};

use tokio::{sync::Notify, time::timeout};

use crate::{state::PeerClose, tracker::record::Outcome};

/// How long the tasks of streams that were ended have to drop them.
const GRACE: Duration = Duration::from_secs(1);

/// Counts open TLS streams and how they end, waits for the last of them, and ends the stragglers.
///
/// Cheap to clone; clones share the counts. Give it to
/// [`GracefulAcceptor::with_tracker`](crate::GracefulAcceptor::with_tracker), which counts a
/// connection from its handshake on, or to a stream with
/// [`GracefulStream::track`](crate::GracefulStream::track). The stream itself holds its place until
/// it is dropped, so connections that were upgraded (WebSocket) count too.
///
/// # How it compares
///
/// tokio-util's `TaskTracker` and hyper-util's `GracefulShutdown` know tasks and HTTP connections;
/// this one knows the TLS streams below them, whoever owns those. Stop accepting, ask your
/// framework to finish its requests, then [`drain`](Self::drain).
///
/// # When not to use it
///
/// Where each connection is a task of yours that watches for the end itself, a `TaskTracker` with
/// a `CancellationToken` is enough.
///
/// ```
/// use std::time::Duration;
/// use tokio::{io::copy, net::TcpListener};
/// use tokio_tls_shutdown::{CloseTracker, GracefulAcceptor};
///
/// async fn serve(
///     listener: TcpListener,
///     acceptor: GracefulAcceptor,
///     stop: impl Future<Output = ()>,
/// ) -> std::io::Result<()> {
///     let tracker = CloseTracker::new();
///     let acceptor = acceptor.with_tracker(&tracker);
///     let accept = async {
///         loop {
///             let (tcp, _) = listener.accept().await?;
///             tcp.set_nodelay(true)?;
///             let accept = acceptor.accept(tcp);
///             tokio::spawn(async move { copy(&mut accept.await?, &mut tokio::io::sink()).await });
///         }
///     };
///     tokio::select! {
///         result = accept => return result,
///         () = stop => {}
///     }
///     drop(listener);
///     println!("{}", tracker.drain(Duration::from_secs(10)).await);
///     Ok(())
/// }
/// ```
#[derive(Clone, Default)]
pub struct CloseTracker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    book: Mutex<Book>,
    /// All streams are ended, those that are still to come too.
    over: AtomicBool,
    empty: Notify,
}

#[derive(Default)]
struct Book {
    open: HashMap<u64, Arc<Slot>>,
    next: u64,
    stats: CloseStats,
}

impl CloseTracker {
    /// Makes a tracker that tracks nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many streams are open, those in their handshake among them.
    #[must_use]
    pub fn open(&self) -> usize {
        self.book().open.len()
    }

    /// Returns how the streams have ended that are no longer open.
    #[must_use]
    pub fn stats(&self) -> CloseStats {
        self.book().stats
    }

    /// Waits until no stream is open. Ready at once if none is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait(&self) {
        loop {
            // From here on no notification is missed.
            let empty = self.shared.empty.notified();
            if self.open() == 0 {
                return;
            }
            empty.await;
        }
    }

    /// Waits until no stream is open, then, at the `deadline`, ends those that are.
    ///
    /// To end a stream means: reading and writing fail from now on with
    /// [`ConnectionAborted`](std::io::ErrorKind::ConnectionAborted), a task that waits for it is
    /// woken to see that, and our close_notify is tried once without waiting. To a peer that takes
    /// the end of the connection for the end of a message, one that is cut off here looks whole:
    /// let the deadline be longer than such messages take. A handshake ends with
    /// [`HandshakeError::Stopped`](crate::HandshakeError::Stopped). Their owners then have one more
    /// second to drop them; whoever holds a stream without polling it is reported as
    /// [`still_open`](DrainReport::still_open).
    ///
    /// Stop accepting before you call it: a tracker that was drained is over, and streams that
    /// come later are ended at their first poll.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: dropped before the deadline, it has done nothing.
    ///
    /// # Panics
    ///
    /// Panics on a runtime without a timer.
    pub async fn drain(&self, deadline: Duration) -> DrainReport {
        let (open_before, before) = {
            // Together, or a stream that leaves in between is in neither.
            let book = self.book();
            (book.open.len(), book.stats)
        };
        let _ = timeout(deadline, self.wait()).await;
        let ended = self.end_all();
        let _ = timeout(GRACE, self.wait()).await;
        let book = self.book();
        DrainReport {
            open_before,
            ended,
            closed: book.stats.since(before),
            still_open: book.open.len(),
        }
    }

    /// Ends every stream, and returns how many those were.
    fn end_all(&self) -> usize {
        self.shared.over.store(true, Ordering::SeqCst);
        // Woken without the lock: a waker may run what drops a stream.
        let slots: Vec<_> = self.book().open.values().map(Arc::clone).collect();
        for slot in &slots {
            slot.wake();
        }
        slots.len()
    }

    pub(crate) fn track(&self) -> Tracked {
        let mut book = self.book();
        let id = book.next;
        book.next += 1;
        let slot = Arc::<Slot>::default();
        book.open.insert(id, Arc::clone(&slot));
        drop(book);
        Tracked {
            tracker: self.clone(),
            id,
            slot,
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.shared
            .book
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CloseTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let book = self.book();
        f.debug_struct("CloseTracker")
            .field("open", &book.open.len())
            .field("stats", &book.stats)
            .finish()
    }
}

/// Who waits for a stream.
#[derive(Default)]
struct Slot {
    wakers: Mutex<[Option<Waker>; 2]>,
}

impl Slot {
    fn wakers(&self) -> MutexGuard<'_, [Option<Waker>; 2]> {
        self.wakers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wake(&self) {
        let wakers = std::mem::take(&mut *self.wakers());
        wakers.into_iter().flatten().for_each(Waker::wake);
    }
}

/// Which of the two tasks that a stream may have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Read,
    Write,
}

/// The place of one stream in a tracker.
pub(crate) struct Tracked {
    tracker: CloseTracker,
    id: u64,
    slot: Arc<Slot>,
}

impl Tracked {
    pub(crate) fn is_with(&self, tracker: &CloseTracker) -> bool {
        Arc::ptr_eq(&self.tracker.shared, &tracker.shared)
    }

    /// Tells whether the stream was ended; if not, the caller is woken when it is.
    pub(crate) fn poll_over(&self, cx: &Context<'_>, side: Side) -> bool {
        let over = || self.tracker.shared.over.load(Ordering::SeqCst);
        if over() {
            return true;
        }
        let mut wakers = self.slot.wakers();
        match &mut wakers[side as usize] {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        drop(wakers);
        over()
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.tracker.shared.over.load(Ordering::Relaxed)
    }

    /// Leaves the tracker.
    pub(crate) fn leave(&self, outcome: Outcome, discarded: u64) {
        let mut book = self.tracker.book();
        book.stats.count(outcome, discarded);
        book.open.remove(&self.id);
        if book.open.is_empty() {
            self.tracker.shared.empty.notify_waiters();
        }
    }
}

impl fmt::Debug for Tracked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tracked").field(&self.id).finish()
    }
}

macro_rules! close_stats {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        /// How streams have ended, and how many in each way.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct CloseStats {
            $($(#[$doc])* pub $field: u64,)*
            /// How many bytes of application data were thrown away while closing. Not a number of
            /// streams.
            pub bytes_discarded: u64,
        }

        impl CloseStats {
            /// Returns how many streams have ended, in whatever way.
            #[must_use]
            pub const fn total(&self) -> u64 {
                0 $(+ self.$field)*
            }

            fn since(self, before: Self) -> Self {
                Self {
                    $($field: self.$field - before.$field,)*
                    bytes_discarded: self.bytes_discarded - before.bytes_discarded,
                }
            }
        }

        impl fmt::Display for CloseStats {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let ways = [$((stringify!($field), self.$field),)*];
                write!(f, "{} closed", self.total())?;
                for (way, count) in ways.iter().filter(|(_, count)| *count > 0) {
                    write!(f, ", {count} {}", way.replace('_', " "))?;
                }
                write!(f, "; {} bytes discarded", self.bytes_discarded)
            }
        }
    };
}

close_stats! {
    /// Both sides have sent close_notify.
    clean,
    /// We have sent ours, or chosen quiet shutdown, and have not waited for the peer's.
    sent,
    /// The peer has ended the transport without close_notify.
    eof,
    /// The peer has reset the transport.
    reset,
    /// The peer has sent no close_notify before the deadline, or has not finished its handshake.
    timed_out,
    /// The peer went on sending beyond the discard limit.
    discard_limit,
    /// TLS has failed (a bad record, a fatal alert, a handshake), or our close_notify could not be
    /// sent.
    failed,
    /// Dropped without a close: what was sent last may look cut off to the peer, as it should.
    dropped,
    /// Ended by [`CloseTracker::drain`] at its deadline.
    ended,
}

impl CloseStats {
    fn count(&mut self, outcome: Outcome, discarded: u64) {
        self.bytes_discarded = self.bytes_discarded.saturating_add(discarded);
        *match outcome {
            Outcome::Peer(PeerClose::CloseNotify) => &mut self.clean,
            Outcome::Peer(PeerClose::Eof) => &mut self.eof,
            Outcome::Peer(PeerClose::Reset) => &mut self.reset,
            Outcome::Peer(PeerClose::TimedOut) => &mut self.timed_out,
            Outcome::Peer(PeerClose::DiscardLimit) => &mut self.discard_limit,
            Outcome::Peer(PeerClose::Assumed) | Outcome::Sent => &mut self.sent,
            Outcome::Failed => &mut self.failed,
            Outcome::Dropped => &mut self.dropped,
            Outcome::Ended => &mut self.ended,
        } += 1;
    }
}

/// What a [`CloseTracker::drain`] has come to.
///
/// ```
/// use tokio_tls_shutdown::DrainReport;
///
/// /// Whether nothing was cut off.
/// fn is_whole(report: &DrainReport) -> bool {
///     report.ended == 0 && report.closed.failed == 0 && report.still_open == 0
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// How many streams were open when it began.
    pub open_before: usize,
    /// How many were open at the deadline, and were ended.
    pub ended: usize,
    /// How the streams have ended since it began.
    pub closed: CloseStats,
    /// How many nobody has dropped even then.
    pub still_open: usize,
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} open when the drain began: {}; {} ended at the deadline, {} still open",
            self.open_before, self.closed, self.ended, self.still_open
        )
    }
}
