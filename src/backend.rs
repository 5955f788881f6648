//! What a TLS library must offer to be closed.

pub(crate) mod rustls;
