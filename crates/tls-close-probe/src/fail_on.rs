//! The ways to close that `--fail-on` names.

use clap::ValueEnum;

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum FailOn {
    /// Any of the others
    Unclean,
    /// FIN without close_notify
    Fin,
    /// A reset without close_notify
    Reset,
    /// No close_notify within the time limit
    Silence,
    /// More data than is read after our close_notify
    Flood,
    /// An error of TLS or of the transport
    Error,
}
