//! SSL_shutdown(3) for tokio-rustls.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub use tokio_rustls;

mod bidirectional;
mod call;
mod close_notify;
mod close_on_drop;
mod deadline;
mod drive;
mod error;
mod ext;
mod framing;
mod handle;
mod linger;
mod machine;
mod outcome;
mod policy;
mod record;
mod session;
mod stream;

pub use bidirectional::ShutdownBidirectional;
pub use close_notify::CloseNotify;
pub use close_on_drop::CloseOnDrop;
pub use drive::CloseProgress;
pub use error::{ShutdownError, is_missing_close_notify};
pub use ext::ShutdownExt;
pub use outcome::{Closed, PeerClose, ShutdownState};
pub use policy::ClosePolicy;
pub use record::RecordAligned;
pub use stream::{GracefulStream, NotComplete};
