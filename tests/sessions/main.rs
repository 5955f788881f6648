//! Sessions that live and die with their connection: CASES E1 to E10.
#![cfg(feature = "session-cache")]

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod handshakes;
mod remembered;
mod retention;
mod sharing;
mod site;
