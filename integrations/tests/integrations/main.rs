//! The integrations under the HTTP crates: real servers and clients of theirs over loopback.

#[path = "../../../tests/support/mod.rs"]
mod support;

mod answers;
mod chromium;
mod clients;
mod curl;
mod cut_off;
mod drain;
mod early_data;
mod first_request;
mod goaway;
mod grpc;
mod openssl_answers;
mod pool;
mod servers;
mod stalled;
mod stop_under_load;
mod upgrades;
