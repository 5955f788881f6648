//! The cases of a TLS close, each test named after the case that it proves: `tests/CASES.md`.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod cancelling;
mod cases;
mod drop_in;
mod dropped;
mod early_data;
mod errors;
mod halves;
mod key_limit;
mod key_update;
mod lingering;
mod peer_closed;
mod seal;
mod sending;
mod stream;
mod transport;
mod undeliverable;
mod unread;
mod waiting;
