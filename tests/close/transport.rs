//! D: the transport.
