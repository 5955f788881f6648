//! The scenarios of `tests/backends` over rustls 0.24. The peer is rustls 0.23.

extern crate tokio_tls_shutdown_next as tokio_tls_shutdown;

#[path = "../../../../tests/support/mod.rs"]
mod support;

#[macro_use]
mod libraries;

#[path = "../../../../tests/backends/library.rs"]
mod library;
#[path = "../../../../tests/backends/scenarios.rs"]
mod scenarios;
