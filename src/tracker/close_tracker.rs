//! `CloseTracker`: the handle that users hold.

use std::{fmt, sync::Arc, time::Duration};

use crate::tracker::{
    drain::{Drain, DrainReport, Draining},
    registry::{Condition, Registry, TrackerGuard, Wait},
    report::CloseReport,
    stats::CloseStats,
};

/// Counts open TLS connections and how they end, waits for the last one, and aborts stragglers.
///
/// Cheap to clone; clones share the counts. Give it to
/// [`GracefulAcceptor::with_tracker`](crate::GracefulAcceptor::with_tracker), which counts a
/// connection from its handshake on, or to a stream with
/// [`GracefulStream::track`](crate::GracefulStream::track). The stream itself holds its place until
/// it is dropped, so upgraded connections (WebSocket) count too.
///
/// # How it compares
///
/// tokio-util's `TaskTracker` and hyper-util's `GracefulShutdown` track tasks and HTTP connections.
/// This type tracks the TLS streams below them, no matter which task owns those. To stop a server: call
/// [`begin_drain`](Self::begin_drain), stop accepting, ask your framework to finish its requests,
/// then [`Drain::finish`].
///
/// # When not to use it
///
/// If each connection is a task of yours that watches for the shutdown itself, a `TaskTracker` with
/// a `CancellationToken` is enough.
///
/// # Examples
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
///     let drain = tracker.begin_drain();
///     drop(listener);
///     println!("{}", drain.finish(Duration::from_secs(10)).await);
///     Ok(())
/// }
/// ```
#[derive(Clone, Default)]
pub struct CloseTracker {
    registry: Arc<Registry>,
}

impl CloseTracker {
    /// Creates a new tracker that tracks no connection.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a new tracker that calls `on_close` with a report of each connection that ends.
    ///
    /// It is called once for each tracked connection, when its stream is dropped or its handshake
    /// has failed, on the thread that does so. The connection is still counted as open meanwhile:
    /// when [`wait`](Self::wait) or [`Drain::finish`] is ready, the callback has returned for each
    /// connection that ended. With the feature `tracing`, it runs inside the span that was current
    /// when the stream was made or tracked (for a handshake that failed: when it began), so what it
    /// logs has the fields of that span.
    ///
    /// It runs in a destructor and must not block. It holds no lock of the tracker, and may call
    /// any of its methods.
    ///
    /// # Panics
    ///
    /// A panic in `on_close` is caught and goes no further than the panic hook, because a panic out
    /// of a destructor may abort the process; the connection is counted all the same. With
    /// `panic = "abort"`, where nothing can be caught, it aborts the process.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokio_tls_shutdown::{CloseOutcome, CloseTracker};
    ///
    /// let tracker = CloseTracker::with_on_close(|report| {
    ///     if report.outcome() == CloseOutcome::Reset {
    ///         eprintln!("{report}");
    ///     }
    /// });
    /// assert!(tracker.is_empty());
    /// ```
    #[must_use]
    pub fn with_on_close(on_close: impl Fn(&CloseReport) + Send + Sync + 'static) -> Self {
        Self {
            registry: Arc::new(Registry::new(Some(Box::new(on_close)))),
        }
    }

    /// Returns the number of open connections, including those in their handshake.
    #[must_use]
    pub fn len(&self) -> usize {
        self.registry.len()
    }

    /// Returns `true` if no connection is open.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns how the connections ended, of those that are no longer open.
    #[must_use]
    pub fn stats(&self) -> CloseStats {
        self.registry.snapshot().stats
    }

    /// Waits until no connection is open. Ready at once if none is.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe. It changes nothing, and can be called again.
    pub async fn wait(&self) {
        Wait::new(&self.registry, Condition::Empty).await;
    }

    /// Announces that the server is stopping, and remembers what was open and counted before.
    ///
    /// Call it *before* you tell your framework to stop: a framework that stops drops its idle
    /// connections at once, and what ends before the drain has begun is in no report.
    ///
    /// [`draining`](Self::draining) is ready from now on, in every task, and
    /// [`is_draining`](Self::is_draining) is `true`. This cannot be taken back: if the returned
    /// handle is dropped, the announcement stands, but no connection is aborted.
    ///
    /// Connections can still be made. Those that are registered from now on are in the report too,
    /// and like all others are aborted only at the deadline of [`Drain::finish`]. Several drains can
    /// run at the same time: each reports what it has seen since its own beginning, and the first
    /// deadline to pass aborts what is open.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use tokio::{net::TcpListener, sync::Notify};
    /// use tokio_tls_shutdown::{CloseTracker, DrainReport};
    ///
    /// /// `stop` ends the framework's accept loop, and `framework` is ready when it has ended.
    /// async fn stop(
    ///     tracker: &CloseTracker,
    ///     stop: &Notify,
    ///     framework: tokio::task::JoinHandle<()>,
    /// ) -> DrainReport {
    ///     let drain = tracker.begin_drain();
    ///     stop.notify_one();
    ///     let report = drain.finish(Duration::from_secs(10)).await;
    ///     let _ = framework.await;
    ///     report
    /// }
    /// ```
    pub fn begin_drain(&self) -> Drain {
        Drain::new(Arc::clone(&self.registry), self.registry.begin_drain())
    }

    /// Begins a drain and finishes it: [`begin_drain`](Self::begin_drain) and [`Drain::finish`] in
    /// one.
    ///
    /// What ended before the first poll is not in the report. A server under load should call
    /// `begin_drain` before it stops anything else.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: if dropped before the deadline, no connection was aborted, but the drain stays
    /// announced. What ended until then is not in the report of another call.
    ///
    /// # Panics
    ///
    /// Panics on a runtime without a timer.
    pub async fn drain(&self, deadline: Duration) -> DrainReport {
        self.begin_drain().finish(deadline).await
    }

    /// Returns a future that is ready as soon as a drain has begun.
    ///
    /// For tasks whose own protocol can announce the end: a WebSocket sends its Close frame, a
    /// stream of events its last one, an HTTP/2 server GOAWAY. Ready at once if a drain has already
    /// begun, also in tasks that start after it. The future owns what it needs, so it can be moved
    /// into a task, and its clones are independent.
    ///
    /// Given to a framework as its shutdown signal (`axum::serve(..)
    /// .with_graceful_shutdown(tracker.draining())`), it makes sure that the drain begins before
    /// the framework stops.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe: a new future sees everything that a dropped one would have seen.
    ///
    /// # Examples
    ///
    /// ```
    /// use tokio::io::{AsyncReadExt, AsyncWriteExt};
    /// use tokio_tls_shutdown::{CloseTracker, GracefulStream, tokio_rustls::server::TlsStream};
    ///
    /// async fn echo(
    ///     mut tls: GracefulStream<TlsStream<tokio::net::TcpStream>>,
    ///     tracker: CloseTracker,
    /// ) -> std::io::Result<()> {
    ///     let mut draining = tracker.draining();
    ///     let mut buf = [0; 1024];
    ///     loop {
    ///         tokio::select! {
    ///             read = tls.read(&mut buf) => match read? {
    ///                 0 => break,
    ///                 n => tls.write_all(&buf[..n]).await?,
    ///             },
    ///             () = &mut draining => {
    ///                 tls.write_all(b"BYE\r\n").await?;
    ///                 break;
    ///             }
    ///         }
    ///     }
    ///     tls.shutdown().await
    /// }
    /// ```
    pub fn draining(&self) -> Draining {
        Draining::new(Wait::new(&self.registry, Condition::Draining))
    }

    /// Returns `true` if a drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.registry.is_draining()
    }

    pub(super) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(super) fn register(&self) -> TrackerGuard {
        self.registry.register()
    }
}

impl fmt::Debug for CloseTracker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseTracker")
            .field("len", &self.len())
            .field("stats", &self.stats())
            .field("is_draining", &self.is_draining())
            .finish()
    }
}
