//! Headers of TLS records (RFC 8446 section 5.1), as far as `RecordAligned` must read them.

/// The length of a record's header.
pub(super) const HEADER: usize = 5;

/// The longest body of a record: that of TLS 1.2 (RFC 5246 section 6.2.3).
const MAX_LEN: u16 = (1 << 14) + 2048;

const CHANGE_CIPHER_SPEC: u8 = 20;
const APPLICATION_DATA: u8 = 23;

/// Returns `true` if a record can begin with this byte.
pub(super) fn is_content_type(byte: u8) -> bool {
    (CHANGE_CIPHER_SPEC..=APPLICATION_DATA).contains(&byte)
}

/// Returns the length of the record's body, or `None` if this is not the header of a record.
pub(super) fn body_len(header: [u8; HEADER]) -> Option<u16> {
    let [content_type, major, _, hi, lo] = header;
    let len = u16::from_be_bytes([hi, lo]);
    (is_content_type(content_type) && major == 3 && len <= MAX_LEN).then_some(len)
}
