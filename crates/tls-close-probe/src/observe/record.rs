//! The header of a record.

/// Content type, version, length.
pub(super) const HEADER: usize = 5;

/// The longest body: what RFC 5246 allows, RFC 8446 allows less.
pub(super) const LONGEST: usize = (1 << 14) + 2048;
