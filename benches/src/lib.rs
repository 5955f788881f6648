//! The same closes beside other TLS stacks.
