//! Closing against TLS stacks that are not ours.
