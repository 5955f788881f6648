//! Whatever the transport does with each poll, and whichever peer runs when: every schedule of two
//! peers that close keeps the rules.

#[path = "../support/mod.rs"]
mod support;

mod explore;
mod harness;
mod walk;
