//! SSL_shutdown(3) for tokio-rustls.

#![forbid(unsafe_code)]
#![deny(missing_docs)]

pub use tokio_rustls;

mod accept;
mod account;
mod bidirectional;
mod call;
mod close_notify;
mod close_on_drop;
mod connect;
mod deadline;
mod drive;
mod error;
mod ext;
mod framing;
mod handle;
mod handshake;
mod linger;
mod machine;
mod outcome;
mod policy;
mod record;
pub mod resumption;
mod session;
mod stream;
#[cfg(feature = "session-cache")]
mod sync;

pub use accept::{Accept, GracefulAcceptor};
pub use bidirectional::ShutdownBidirectional;
pub use close_notify::CloseNotify;
pub use close_on_drop::CloseOnDrop;
pub use connect::{Connect, GracefulConnector};
pub use drive::CloseProgress;
pub use error::{ShutdownError, is_missing_close_notify};
pub use ext::ShutdownExt;
pub use handshake::HandshakeError;
pub use outcome::{Closed, PeerClose, ShutdownState};
pub use policy::ClosePolicy;
pub use record::RecordAligned;
pub use stream::{GracefulStream, NotComplete};
