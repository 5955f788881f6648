//! The scenarios of `tests/backends` over BoringSSL. The peer is rustls.

extern crate tokio_tls_shutdown_boring as tokio_tls_shutdown;

#[path = "../../../../tests/support/mod.rs"]
mod support;

#[macro_use]
mod libraries;

#[path = "../../../../tests/backends/library.rs"]
mod library;
#[path = "../../../../tests/backends/scenarios.rs"]
mod scenarios;
