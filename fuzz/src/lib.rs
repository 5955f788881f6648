//! Whatever a peer may send, and every schedule.
//!
//! Each function takes any bytes and panics if a rule is broken. The fuzz targets call them, and
//! so does a test with the corpus and with bytes at random.

mod after_close_notify;
mod aligned;
pub mod calls;
mod client_hello;
#[cfg(test)]
mod driver;
#[path = "../../tests/schedules/harness/mod.rs"]
mod harness;
mod schedules;
#[path = "../../tests/support/mod.rs"]
#[allow(clippy::new_without_default, reason = "the tests do not need it")]
pub mod support;

pub use after_close_notify::after_close_notify;
pub use aligned::aligned;
pub use client_hello::client_hello;
pub use schedules::schedules;

/// libFuzzer ends the process at a panic. On some bad input rustls panics, and the crate catches
/// that.
pub fn let_rustls_unwind() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location();
        if !place.is_some_and(|place| place.file().contains("/rustls-")) {
            end(panic);
        }
    }));
}
