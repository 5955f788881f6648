//! C: polling and cancelling.
