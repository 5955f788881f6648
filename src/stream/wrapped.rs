//! The stream that a `GracefulStream` wraps. It can be taken out, although that has a destructor.

use std::ops::{Deref, DerefMut};

#[derive(Debug)]
pub(super) struct Wrapped<S>(Option<S>);

impl<S> Wrapped<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self(Some(stream))
    }

    /// Takes the stream out. Only for methods that consume the `GracefulStream`, so that nothing can
    /// be asked of it afterwards.
    pub(super) fn take(&mut self) -> S {
        match self.0.take() {
            Some(stream) => stream,
            None => unreachable!("a stream that was consumed is used"),
        }
    }

    /// Returns `true` unless the stream was taken out.
    pub(super) const fn is_there(&self) -> bool {
        self.0.is_some()
    }
}

impl<S> Deref for Wrapped<S> {
    type Target = S;

    #[inline]
    fn deref(&self) -> &S {
        match &self.0 {
            Some(stream) => stream,
            None => unreachable!("a stream that was consumed is used"),
        }
    }
}

impl<S> DerefMut for Wrapped<S> {
    #[inline]
    fn deref_mut(&mut self) -> &mut S {
        match &mut self.0 {
            Some(stream) => stream,
            None => unreachable!("a stream that was consumed is used"),
        }
    }
}
