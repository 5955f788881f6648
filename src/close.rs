//! The close itself.

pub(crate) mod call;
pub(crate) mod close_notify;
pub(crate) mod deadline;
pub(crate) mod machine;
pub(crate) mod progress;
pub(crate) mod shutdown_bidirectional;
