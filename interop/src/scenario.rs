//! What is tried with each peer: one scenario is one connection and one column of the table.

use std::fmt;

/// What each side says first.
pub(crate) const HELLO: &[u8] = b"hello\n";
pub(crate) const FLIGHT: usize = 256 * 1024;
pub(crate) const ANSWER: usize = 64 * 1024;

const LINE: &[u8; 64] = b"000000000000000000000000000000000000000000000000000000000000000\n";

/// Lines of zeros: some programs take letters for commands, and some print lines of their own
/// between those of the peer.
pub(crate) fn payload(bytes: usize) -> Vec<u8> {
    LINE.iter().copied().cycle().take(bytes).collect()
}

/// How much of `text` is payload.
pub(crate) fn count_payload(text: &[u8]) -> usize {
    let lines = text.split_inclusive(|&byte| byte == b'\n');
    lines.filter(|line| line == LINE).count() * LINE.len()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// We close in both directions; it reads to the end and closes.
    Answer,
    /// It closes.
    Close,
    /// Both send at once, with our close_notify right behind.
    Flight,
    /// It sends only when it has seen our close_notify.
    Half,
    /// We send FIN without close_notify.
    OurFin,
    /// We send RST.
    OurRst,
    /// It sends FIN without close_notify.
    ItsFin,
    /// It sends RST.
    ItsRst,
    /// A second connection, after a bidirectional close of the first.
    Resume,
    /// Plaintext over the same socket after a bidirectional close.
    Plain,
}

impl Scenario {
    pub(crate) const ALL: [Self; 10] = [
        Self::Answer,
        Self::Close,
        Self::Flight,
        Self::Half,
        Self::OurFin,
        Self::OurRst,
        Self::ItsFin,
        Self::ItsRst,
        Self::Resume,
        Self::Plain,
    ];

    /// The head of its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Answer => "answer to our close_notify",
            Self::Close => "its own close",
            Self::Flight => "256 KiB both ways",
            Self::Half => "64 KiB after our close_notify",
            Self::OurFin => "our FIN alone",
            Self::OurRst => "our RST",
            Self::ItsFin => "its FIN alone",
            Self::ItsRst => "its RST",
            Self::Resume => "next connection",
            Self::Plain => "plaintext afterwards",
        }
    }

    /// What the far end is told to do. Where we cut the connection it reads to the end, as ever.
    pub(crate) fn verb(self) -> &'static str {
        match self {
            Self::Answer | Self::OurFin | Self::OurRst | Self::Resume => "answer",
            Self::Close => "close",
            Self::Flight => "flight",
            Self::Half => "half",
            Self::ItsFin => "cut",
            Self::ItsRst => "abort",
            Self::Plain => "plain",
        }
    }
}

/// How a side of a connection ended, as the other has seen it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    CloseNotify,
    Fin,
    Rst,
    /// With a fatal alert, or what is no TLS.
    TlsError,
    /// Not before the deadline.
    Nothing,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CloseNotify => "close_notify",
            Self::Fin => "FIN",
            Self::Rst => "RST",
            Self::TlsError => "fatal alert",
            Self::Nothing => "nothing",
        })
    }
}

/// What we have seen.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ours {
    /// Bytes of application data behind the greeting.
    pub(crate) got: usize,
    pub(crate) end: End,
}

/// What the far end says of the same connection.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// As far as it is sure.
    pub(crate) sent: Option<usize>,
    pub(crate) got: Option<usize>,
    /// Its word for how reading ended: close_notify, truncated, reset or an error.
    pub(crate) end: Option<String>,
}
