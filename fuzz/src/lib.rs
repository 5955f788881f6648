//! Whatever a peer may send, and every schedule.
