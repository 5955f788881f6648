//! Code of others: wakers, listeners, callbacks.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Runs foreign code. If it panics, nobody but the panic hook learns of it.
///
/// It runs in destructors, and a connection is often dropped by a panic: a second one that leaves a
/// destructor ends the process. And it runs between what others wait for. To be called with nothing
/// of ours half done.
pub(super) fn run(work: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(work)) {
        // Its destructor is foreign as well.
        mem::forget(payload);
    }
}
