//! Two peers over a transport whose every poll, and every turn of the two, is a choice.
#![allow(
    unreachable_pub,
    unused_imports,
    dead_code,
    reason = "the fuzz targets use a part of it"
)]

mod choices;
mod peers;
mod transport;
mod world;

pub use choices::Choosing;
pub use peers::End;
pub use world::{Run, Scenario, Wire, run, scenarios};
