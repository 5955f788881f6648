//! Session resumption: CASES E1 to E10, G15 and G16.
#![cfg(feature = "session-cache")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod contexts;
mod handshakes;
mod proof;
mod reload;
mod remembered;
mod retention;
mod sharing;
mod site;
