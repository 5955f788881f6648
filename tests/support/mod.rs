//! What the tests share: pairs of every version and role, a scripted transport, a peer that may
//! send any record, and other programs as peers.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

pub mod arrival;
pub mod budgets;
pub mod coop;
pub mod delayed;
pub mod errors;
pub mod forge;
pub mod pair;
pub mod program;
pub mod rig;
pub mod scripted;

pub use arrival::{Arrival, poll_while_woken};
pub use delayed::Delayed;
pub use errors::{is_unnamed, rustls_error, tls_error};
pub use forge::Forge;
pub use pair::{CASES, Case, PemFiles, Role, Version};
pub use program::{Program, in_time};
pub use rig::{Peer, Rig};
pub use scripted::{Scripted, Step, Wire};
