//! Observes a connection from below TLS.
//!
//! `Transport` sees every byte and writes the timeline. The secrets that rustls logs open the records
//! of TLS 1.3, whose headers call everything application data. What cannot be read is shown as such.

mod alerts;
mod decode;
mod direction;
mod keys;
mod messages;
mod record;
mod secrets;
mod transport;

pub(crate) use alerts::alert_name;
pub(crate) use secrets::Secrets;
pub(crate) use transport::Transport;
