//! SSL_shutdown(3) for tokio-rustls.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub use tokio_rustls;

mod bidirectional;
mod call;
mod close_notify;
mod deadline;
mod drive;
mod error;
mod ext;
mod framing;
mod machine;
mod outcome;
mod session;

pub use bidirectional::ShutdownBidirectional;
pub use close_notify::CloseNotify;
pub use drive::CloseProgress;
pub use error::{ShutdownError, is_missing_close_notify};
pub use ext::ShutdownExt;
pub use outcome::{Closed, PeerClose, ShutdownState};
