//! A `close_notify` from the destructor of a stream on which nothing was written.
//!
//! A server that stops drops connections whose first request it has not read. With a bare FIN the
//! client cannot tell that from a crash in the middle of the work; after `close_notify` and no
//! answer it knows that it may send the request again. Nothing can look whole that is not, because
//! there is nothing.

use std::{fmt, thread};

use super::GracefulStream;
use crate::backend::PlainStream;

/// How to close a stream whose type is a [`Backend`], for a destructor that cannot ask for that.
pub(super) struct CloseUnused<S>(fn(&mut GracefulStream<S>));

impl<S> fmt::Debug for CloseUnused<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CloseUnused")
    }
}

impl<S: PlainStream> CloseUnused<S> {
    pub(super) fn new() -> Self {
        Self(GracefulStream::try_close)
    }
}

impl<S: PlainStream> GracefulStream<S> {
    /// Sends `close_notify` on drop if no application data was written by then: one attempt, without
    /// waiting.
    pub(crate) fn set_close_unused(&mut self) {
        let close = CloseUnused::new();
        self.extras.get_or_insert_default().close_unused = Some(close);
    }
}

impl<S> Drop for GracefulStream<S> {
    #[inline]
    fn drop(&mut self) {
        let Some(extras) = &self.extras else {
            return;
        };
        let Some(CloseUnused(close)) = extras.close_unused else {
            return;
        };
        let is_unused = self.stream.is_there() && !self.has_written && !self.is_closing();
        if is_unused && !self.is_quiet() && !thread::panicking() {
            close(self);
        }
    }
}
