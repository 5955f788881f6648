//! The close itself: what has to be sent, received and waited for, and for how long.
//!
//! `machine` decides without any I/O, `exchange` is what it knows of the connection, and
//! `close_state` what a stream remembers beside that; `progress` asks it and has a [`Backend`](crate::backend) do it; `deadline` is a clock that starts when
//! something blocks. Nothing here knows a TLS library, the stream that remembers, a tracker or a
//! session: a close returns what has happened, and who wants to record that does.

pub(crate) mod close_state;
pub(crate) mod deadline;
pub(crate) mod exchange;
pub(crate) mod machine;
pub(crate) mod progress;
