//! The report of one server in plain words.

use std::fmt;

use crate::{
    close::{Answer, Close, TransportEnd},
    connect::Facts,
    converse::{Conversation, End},
    diagram::Diagram,
    observe::alert_name,
    paint::{self, BOLD, DIM, Painted},
    report::{Report, Resumption},
    session::TlsVersion,
    verdict::Status,
};

/// The report, without its server and verdict: the status line has them.
pub(crate) struct Details<'a>(pub(crate) &'a Report);

/// The whole report.
pub(crate) struct Text<'a>(pub(crate) &'a Report);

/// A name and what there is to say of it.
fn line(f: &mut fmt::Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    writeln!(f, "{} {text}", Painted(DIM, format!("{name:<12}")))
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        let verdict = paint::of_status(report.status);
        let status = Painted(verdict.bold(), report.status.name());
        let verdict = &report.verdict;
        line(f, "server", &Painted(BOLD, &report.server).to_string())?;
        line(f, "verdict", &format!("{status}: {verdict}"))?;
        Details(report).fmt(f)
    }
}

impl fmt::Display for Details<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.0;
        for advice in &report.advice {
            line(f, "advice", &wrap(advice, 72))?;
        }
        if let Some(facts) = &report.connection {
            line(f, "connection", &connection(facts))?;
        }
        if let Some(said) = &report.conversation {
            line(f, "before", &conversation(said))?;
        }
        if let Some(close) = &report.close {
            line(f, "close", &answer(close, report.status))?;
            line(f, "data", &data(close))?;
            line(f, "transport", &transport(close))?;
        }
        if let (Some(facts), Some(close)) = (&report.connection, &report.close) {
            line(f, "tickets", &tickets(facts, close))?;
        }
        if let Some(resumption) = &report.resumption {
            line(f, "resumption", &resumed(resumption))?;
        }
        if !report.timeline.is_empty() {
            write!(f, "\n{}", Diagram(report))?;
        }
        Ok(())
    }
}

/// Breaks the text into lines that stand under each other.
fn wrap(text: &str, columns: usize) -> String {
    let mut lines = String::new();
    let mut column = 0;
    for word in text.split(' ') {
        if column > 0 && column + 1 + word.len() > columns {
            lines.push_str(&format!("\n{:13}", ""));
            column = 0;
        } else if column > 0 {
            lines.push(' ');
            column += 1;
        }
        lines.push_str(word);
        column += word.len();
    }
    lines
}

fn connection(facts: &Facts) -> String {
    let Facts {
        address,
        server_name,
        starttls,
        tls_version,
        cipher_suite,
        handshake_ms,
        certificate_requested,
        certificate_given,
        ..
    } = facts;
    let mut text = format!("{server_name} at {address}");
    if let Some(protocol) = starttls {
        text += &format!(", STARTTLS of {protocol}");
    }
    text += &format!(", {tls_version} with {cipher_suite} after {handshake_ms} ms");
    match (certificate_requested, certificate_given) {
        (true, true) => text += ", client certificate sent",
        (true, false) => text += ", client certificate asked for and none sent",
        (false, _) => {}
    }
    wrap(&text, 72)
}

fn conversation(said: &Conversation) -> String {
    let Conversation {
        sent_bytes,
        received_bytes,
        server_ended_first,
    } = said;
    let end = match server_ended_first {
        None => "",
        Some(End::CloseNotify) => "; the server closed first, with close_notify",
        Some(End::Fin) => "; the server closed first, with FIN alone",
        Some(End::Reset) => "; the server reset the connection first",
    };
    format!("{sent_bytes} bytes sent, {received_bytes} received{end}")
}

fn answer(close: &Close, status: Status) -> String {
    let ms = close.ms;
    let text = match (close.answer, close.alert) {
        (Answer::CloseNotify, _) => format!("close_notify after {ms} ms"),
        (Answer::Fin, _) => format!("FIN without close_notify after {ms} ms"),
        (Answer::Reset, _) => format!("reset without close_notify after {ms} ms"),
        (Answer::TimedOut, _) => format!("no close_notify within {ms} ms"),
        (Answer::DiscardLimit, _) => format!("data without end, given up after {ms} ms"),
        (Answer::Failed, Some(code)) => format!("fatal alert {}", alert_name(code)),
        (Answer::Failed, None) => match &close.error {
            Some(e) => format!("failed after {ms} ms: {e}"),
            None => format!("failed after {ms} ms"),
        },
    };
    Painted(paint::of_status(status), text).to_string()
}

fn data(close: &Close) -> String {
    match (close.sent, close.discarded_bytes) {
        (false, _) => "our close_notify was not sent".into(),
        (true, 0) => "none came after our close_notify".into(),
        (true, bytes) => format!("{bytes} bytes came after our close_notify"),
    }
}

fn transport(close: &Close) -> String {
    let ms = close.transport_ms;
    let end = match close.transport {
        TransportEnd::Fin if close.answer == Answer::Fin => "ended with that FIN".into(),
        TransportEnd::Reset if close.answer == Answer::Reset => "ended with that reset".into(),
        // It was found when our close_notify could not be sent.
        TransportEnd::Reset if close.answer == Answer::Failed => "reset".into(),
        TransportEnd::Fin => format!("FIN {ms} ms later"),
        TransportEnd::Reset => format!("reset {ms} ms later"),
        TransportEnd::Open if close.answer == Answer::TimedOut => "still open".into(),
        TransportEnd::Open => format!("still open {ms} ms later"),
        TransportEnd::Sending => "the server was still sending".into(),
    };
    match close.transport_bytes {
        0 => end,
        bytes => format!("{end}, with {bytes} bytes before that"),
    }
}

fn tickets(facts: &Facts, close: &Close) -> String {
    match facts.tls_version {
        TlsVersion::Tls12 => {
            "not counted in TLS 1.2, where they are a part of the handshake".into()
        }
        _ if close.tickets == 0 => "none".into(),
        _ => format!(
            "{}, {} of them after our close_notify",
            close.tickets, close.late_tickets
        ),
    }
}

fn resumed(resumption: &Resumption) -> String {
    match (resumption.resumed, &resumption.error) {
        (Some(true), _) => "a second connection resumed the session".into(),
        (Some(false), _) => "a second connection needed a full handshake".into(),
        (None, Some(e)) => format!("unknown, the second connection failed: {e}"),
        (None, None) => "unknown".into(),
    }
}
