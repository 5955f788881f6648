//! The same scenarios over every TLS library, in both versions and both roles.

#[path = "../support/mod.rs"]
mod support;

#[macro_use]
mod libraries;
mod library;
#[macro_use]
mod scenarios;
mod forged_alert;
#[cfg(all(feature = "metrics", feature = "tracing"))]
mod observed;
mod own_calls;
mod pairs;
mod programs;
mod random_tasks;
mod renegotiation;
mod split;
mod two_tasks;
mod unflushed_answers;
mod who_closed_first;
