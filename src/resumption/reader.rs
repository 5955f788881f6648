//! Bytes in the presentation language of TLS (RFC 8446, section 3), read from their start.

/// What is not read yet.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes so many bytes, or nothing if there are fewer.
    pub(super) fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    /// Takes bytes that are preceded by their length, itself so many bytes long.
    pub(super) fn vector(&mut self, len_bytes: usize) -> Option<&'a [u8]> {
        let len = self.take(len_bytes)?;
        let len = len
            .iter()
            .fold(0, |len, &byte| len << 8 | usize::from(byte));
        self.take(len)
    }
}
