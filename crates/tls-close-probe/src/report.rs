//! The report, in JSON and in plain words.

use std::{fmt, time::Duration};

use serde::Serialize;

use crate::{
    close::{Answer, Close, Transport},
    connect::Facts,
    converse::{Conversation, End},
};

/// One flat object in JSON; a field is never left out, and `null` where nothing is known.
#[derive(Serialize)]
pub(crate) struct Report {
    #[serde(flatten)]
    pub(crate) connection: Facts,
    #[serde(flatten)]
    pub(crate) conversation: Conversation,
    #[serde(flatten)]
    pub(crate) close: Close,
    /// Whether a second connection resumed the session of the first.
    pub(crate) resumed: Option<bool>,
    /// Why there was no second connection.
    pub(crate) resumption_error: Option<String>,
}

/// With three digits, which is what a network can tell.
pub(crate) fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Facts {
            address,
            server_name,
            tls_version,
            cipher_suite,
            handshake_ms,
            ..
        } = &self.connection;
        writeln!(f, "{server_name} at {address}")?;
        writeln!(
            f,
            "handshake    {tls_version} with {cipher_suite}, connected after {handshake_ms} ms"
        )?;
        writeln!(f, "before       {}", self.conversation)?;
        writeln!(f, "close        {}", self.answer())?;
        writeln!(f, "data         {}", self.close.data())?;
        writeln!(f, "transport    {}", self.close.transport())?;
        writeln!(f, "tickets      {}", self.tickets())?;
        writeln!(f, "resumption   {}", self.resumption())
    }
}

impl fmt::Display for Conversation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            sent_bytes,
            received_bytes,
            server_ended_first,
        } = self;
        write!(f, "{sent_bytes} bytes sent, {received_bytes} received")?;
        match server_ended_first {
            None => Ok(()),
            Some(End::CloseNotify) => f.write_str("; the server closed first, with close_notify"),
            Some(End::Fin) => f.write_str("; the server closed first, with FIN alone"),
            Some(End::Reset) => f.write_str("; the server reset the connection first"),
        }
    }
}

impl Close {
    fn data(&self) -> String {
        match self.discarded_bytes {
            0 => "none came after our close_notify".into(),
            bytes => format!("{bytes} bytes came after our close_notify"),
        }
    }

    fn transport(&self) -> String {
        let ms = self.transport_ms;
        let end = match self.transport {
            Transport::Fin if self.close == Answer::Fin => "ended with that FIN".into(),
            Transport::Reset if self.close == Answer::Reset => "ended with that reset".into(),
            // It was found when our close_notify could not be sent.
            Transport::Reset if self.close == Answer::Failed => "reset".into(),
            Transport::Fin => format!("FIN {ms} ms later"),
            Transport::Reset => format!("reset {ms} ms later"),
            Transport::Open => format!("still open {ms} ms later"),
        };
        match self.transport_bytes {
            0 => end,
            bytes => format!("{end}, with {bytes} bytes before that"),
        }
    }
}

impl Report {
    fn answer(&self) -> String {
        let Close {
            close,
            close_ms: ms,
            close_error,
            ..
        } = &self.close;
        match (close, close_error) {
            (Answer::CloseNotify, _) => match self.conversation.server_ended_first {
                Some(_) => "clean: our close_notify answers the server's".into(),
                None => format!("clean: the server's close_notify came after {ms} ms"),
            },
            (Answer::Fin, _) => format!("unclean: FIN without close_notify after {ms} ms"),
            (Answer::Reset, _) => format!("unclean: reset without close_notify after {ms} ms"),
            (Answer::TimedOut, _) => format!("unclean: no close_notify within {ms} ms"),
            (Answer::DiscardLimit, _) => {
                format!("unclean: given up after {ms} ms, the server went on sending data")
            }
            (Answer::Failed, Some(e)) => format!("failed after {ms} ms: {e}"),
            (Answer::Failed, None) => format!("failed after {ms} ms"),
        }
    }

    fn tickets(&self) -> String {
        let Close {
            tickets,
            late_tickets,
            ..
        } = self.close;
        match self.connection.tls_version.as_str() {
            "TLSv1_2" => "not counted in TLS 1.2, where they are a part of the handshake".into(),
            _ if tickets == 0 => "none".into(),
            _ => format!("{tickets}, {late_tickets} of them after our close_notify"),
        }
    }

    fn resumption(&self) -> String {
        match (self.resumed, &self.resumption_error) {
            (Some(true), _) => "a second connection resumed the session".into(),
            (Some(false), _) => "a second connection needed a full handshake".into(),
            (None, Some(e)) => format!("unknown, the second connection failed: {e}"),
            (None, None) => "unknown".into(),
        }
    }
}
