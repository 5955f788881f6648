//! Sessions that a fleet of servers shares through a store: CASES E11.
#![cfg(all(feature = "fleet", feature = "session-cache"))]

#[path = "../sessions/site.rs"]
#[allow(dead_code, reason = "the sessions of one server need more of it")]
mod site;
#[path = "../support/mod.rs"]
mod support;

mod client_hello;
mod clocks;
mod double;
mod early_data;
mod fleet;
mod observed;
mod outages;
mod queued;
mod resuming;
mod secrets;
mod single_use;
