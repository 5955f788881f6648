//! Code of others: wakers, listeners, callbacks, stores.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Calls foreign code. If it panics, only the panic hook learns of it.
///
/// It is called in destructors, and a connection is often dropped by a panic: a second one that
/// leaves a destructor ends the process. And it is called between what others wait for. Only to be
/// called where nothing of ours is half done inside.
pub(crate) fn call<T: Default>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // Its destructor is foreign as well.
        mem::forget(payload);
        T::default()
    })
}
