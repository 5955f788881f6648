//! What the tests share: pairs of every version and role, a scripted transport, and a peer that
//! may send any record.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "each test program uses a part of it"
)]

pub mod arrival;
pub mod forge;
pub mod pair;
pub mod rig;
pub mod scripted;

pub use arrival::{Arrival, poll_while_woken};
pub use forge::Forge;
pub use pair::{CASES, Case, Role, Version};
pub use rig::{Peer, Rig};
pub use scripted::{Scripted, Step, Wire};
