//! Calls into code of the application: wakers, listeners, callbacks, stores.

use std::{
    mem,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Calls code of the application. If it panics, only the panic hook learns of it.
///
/// It is called in destructors, where a connection is often dropped by a panic already: a second
/// panic out of a destructor ends the process. It is also called between steps that other tasks
/// wait for. Use it only where a panic inside leaves no state of this crate half changed.
pub(crate) fn call<T: Default>(work: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| {
        // Its destructor is foreign as well.
        mem::forget(payload);
        T::default()
    })
}
