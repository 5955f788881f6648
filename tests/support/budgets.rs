//! Budgets of memory, in bytes, which a test asserts and the report of the benches prints.

/// A `GracefulStream`, beside its stream.
pub(crate) const GRACEFUL_STREAM: usize = 64;
/// A `RecordAligned`, beside its transport.
pub(crate) const RECORD_ALIGNED: usize = 64;
/// A `CloseProgress`.
pub(crate) const CLOSE_PROGRESS: usize = 104;
/// The future of `close_notify()` or of `shutdown_bidirectional()`.
pub(crate) const CLOSE: usize = 256;
/// The future of `peer_closed()`.
pub(crate) const PEER_CLOSED: usize = 128;

/// Heap of an open `GracefulStream`, beside its stream.
pub(crate) const HEAP: usize = 0;
/// The same with the feature `tracing` or `metrics`: the record of the connection.
pub(crate) const HEAP_OBSERVED: usize = 160;
/// The same with a tracker.
pub(crate) const HEAP_TRACKED: usize = 416;
/// The same with the policy `Linger`.
pub(crate) const HEAP_LINGERING: usize = 160;
/// Heap of an open `RecordAligned`: a header, and what a peer sends behind its close_notify.
pub(crate) const HEAP_ALIGNED: usize = 4096;
