//! The same closes beside other implementations.
//!
//! ```sh
//! cargo bench -p tokio-tls-shutdown-benches
//! ```
//!
//! measures all of it in one run of less than ten minutes and writes `benches/RESULTS.md` and
//! `docs/plots/*.svg`. Speeds are ratios to the other implementations, which take turns, or
//! counts. It needs Linux, `valgrind`, `strace` and OpenSSL's headers.

pub mod canned;
pub mod contender;
pub mod link;
pub mod markers;
pub mod raw;
pub mod tls;
