//! What `AsyncWrite::poll_shutdown` does.

use std::time::Duration;

/// What [`AsyncWrite::poll_shutdown`](tokio::io::AsyncWrite::poll_shutdown) does on a
/// [`GracefulStream`](crate::GracefulStream).
///
/// | policy | does | for |
/// |---|---|---|
/// | [`Notify`](Self::Notify) | close_notify, flush, FIN | everybody who goes on reading: split halves, `copy_bidirectional`, proxies |
/// | [`Linger`](Self::Linger) | the same, then reads on for a while and throws away what comes | owners that drop the stream right afterwards, as hyper does |
/// | [`Quiet`](Self::Quiet) | FIN alone | peers that are known to be gone, or that take a close_notify amiss |
///
/// The FIN is sent in any case, even if the alert could not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClosePolicy {
    /// Sends close_notify, flushes, and closes the write side of the transport. It only writes,
    /// as `AsyncWrite` promises.
    #[default]
    Notify,
    /// Does what [`Notify`](Self::Notify) does, then drains the transport within `poll_shutdown`
    /// until the peer's close_notify or the end.
    ///
    /// A socket that is closed with unread bytes in it answers the peer with RST, and RST destroys
    /// what the peer has not read yet: an answer that was sent before the request was read to its
    /// end is lost. Draining prevents that. It reads as well while close_notify is still blocked.
    ///
    /// If somebody reads from the stream while it lingers, the rest is theirs: nothing more is
    /// thrown away, and `poll_shutdown` is ready.
    ///
    /// Needs a runtime with a timer. Use [`ClosePolicy::linger`] for the usual bounds.
    Linger {
        /// Ends when the peer has sent nothing for this long (nginx: `lingering_timeout`).
        idle: Duration,
        /// Ends after this long altogether, counted from where closing has first to wait
        /// (nginx: `lingering_time`).
        deadline: Duration,
        /// Ends when this many bytes of application data were thrown away.
        discard_limit: u64,
    },
    /// Closes the write side of the transport without close_notify, after what was written before
    /// is flushed. For the peer the stream is cut off.
    Quiet,
}

impl ClosePolicy {
    /// Returns [`Linger`](Self::Linger) as long as the peer makes progress: 5 seconds idle, 30
    /// seconds altogether, 64 MiB.
    #[must_use]
    pub const fn linger() -> Self {
        Self::Linger {
            idle: Duration::from_secs(5),
            deadline: Duration::from_secs(30),
            discard_limit: 64 * 1024 * 1024,
        }
    }
}
