//! The cases of a TLS close, each test named after the case that it proves.

#[path = "../support/mod.rs"]
mod support;

mod bad_input;
mod cancelling;
mod drop_in;
mod errors;
mod halves;
mod lingering;
mod sending;
mod stream;
mod transport;
mod waiting;
