//! The examples of the documentation that need a framework, compiled here so that the crate itself
//! needs none to run its tests. The tests of the integrations are in `tests/`.

#![doc = include_str!("../../README.md")]
#![doc = include_str!("../../src/doc/axum_serve.md")]
#![doc = include_str!("../../src/doc/axum_server.md")]
#![doc = include_str!("../../src/doc/tonic.md")]
#![doc = include_str!("../../src/doc/websocket.md")]
