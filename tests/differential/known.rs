//! What the oracle finds and this crate cannot mend. A run that fails in one of these ways is counted
//! and printed, not compared, and does not fail the test.

/// The text of a failure without its numbers, and what is behind it.
const KNOWN: [(&str, &str); 2] = [
    (
        "rule : a write is pending without a waker, on a transport that takes nothing",
        "tokio-rustls takes `Ok(0)` of a transport as `Pending`; TLS 1.3 writes go through it",
    ),
    (
        "rule : what was written behind close_notify, no call was dropped before",
        "a plain stream accepts writes after `close_notify` (src/doc/plain_streams.md)",
    ),
];

/// What is known of this failure.
pub fn known(what: &str) -> Option<&'static str> {
    let mut known = KNOWN.iter().filter(|(text, _)| what.contains(text));
    known.next().map(|(_, why)| *why)
}
