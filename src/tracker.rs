//! What becomes of connections: which are open, how the others ended, and who is told.
//!
//! - [`record`] is what one connection remembers of its end. A stream or a handshake owns it, tells
//!   it what happens, and drops it with the connection.
//! - [`observe`] emits the events and metrics of a close, for a record or for one call.
//! - [`registry`] is what the connections of one tracker share; `wait_list` is who waits for it.
//! - [`close_tracker`], [`drain`], [`stats`] and [`report`] are the public face.
//!
//! This folder must not know what tells it: neither streams nor handshakes, no machine, no TLS
//! library. It imports leaves only (`event`, `foreign`, `state`, `sync`). What an error means for a
//! connection is therefore decided by the caller, who says which method of the record it is.

pub(crate) mod close_tracker;
pub(crate) mod drain;
pub(crate) mod observe;
pub(crate) mod record;
mod registry;
pub(crate) mod report;
pub(crate) mod stats;
mod wait_list;

#[cfg(test)]
mod tests;

pub use close_tracker::CloseTracker;
pub use drain::{Drain, DrainReport, Draining};
pub use report::CloseReport;
pub use stats::{CloseOutcome, CloseStats};

pub(crate) use registry::Side;
