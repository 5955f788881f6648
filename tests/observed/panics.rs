//! Listeners that panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use tokio_tls_shutdown::{CloseTracker, GracefulStream};
use tracing::{Event, Metadata, Subscriber, span};

use crate::support::{CASES, Rig};

struct Panics;

impl Subscriber for Panics {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "tokio_tls_shutdown"
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        panic!("a panic on purpose");
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// A connection is often dropped by a panic, and a second one out of its destructor would end the
/// process.
#[test]
fn a_subscriber_that_panics_harms_nobody() {
    let _guard = tracing::subscriber::set_default(Panics);
    for case in CASES {
        for also_the_handler in [false, true] {
            let tracker = CloseTracker::new();
            let mut stream = GracefulStream::new(Rig::new(case).stream);
            stream.track(&tracker);
            let handler = catch_unwind(AssertUnwindSafe(move || {
                let _stream = stream;
                assert!(!also_the_handler, "a panic on purpose");
            }));
            assert_eq!(handler.is_err(), also_the_handler, "{case:?}");
            assert_eq!((tracker.len(), tracker.stats().dropped), (0, 1), "{case:?}");
        }
    }
}
