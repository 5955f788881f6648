//! Colours, as escape sequences; the output stream removes them where they do not suit.

use std::fmt;

use anstyle::{AnsiColor, Style};

use crate::{
    timeline::{Event, What},
    verdict::Status,
};

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
const GREEN: Style = AnsiColor::Green.on_default();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const RED: Style = AnsiColor::Red.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();

/// Text in a style.
pub(crate) struct Painted<T>(pub(crate) Style, pub(crate) T);

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(style, text) = self;
        write!(f, "{style}{text}{style:#}")
    }
}

pub(crate) fn of_status(status: Status) -> Style {
    match status {
        Status::Clean => GREEN,
        Status::Unclean => YELLOW,
        Status::Unreachable | Status::Refused => RED,
    }
}

pub(crate) fn of_event(event: &Event) -> Style {
    match event.what {
        What::CloseNotify => GREEN.bold(),
        What::Fin => BOLD,
        What::ApplicationData => CYAN,
        What::Alert | What::Reset => RED.bold(),
        What::Plaintext | What::PartialRecord | What::GaveUp => YELLOW,
        What::Ticket | What::KeyUpdate | What::Encrypted => Style::new(),
        What::Connected
        | What::Starttls
        | What::Handshake
        | What::ChangeCipherSpec
        | What::HandshakeFinished => DIM,
    }
}
