//! The verdict in words, with advice.

use serde::Serialize;

use crate::{
    close::{Answer, Close, TransportEnd},
    connect::Facts,
    converse::{Conversation, End},
    failure::{Failure, Kind},
    observe::alert_name,
    session::TlsVersion,
};

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Both sides sent `close_notify`.
    Clean,
    /// There was a TLS connection, and the server did not close it so.
    Unclean,
    /// The server could not be reached, or did not answer in time.
    Unreachable,
    /// The server answered, and there was no TLS connection, or it refused this client.
    Refused,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Unclean => "unclean",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused",
        }
    }
}

pub(crate) struct Verdict {
    pub(crate) status: Status,
    pub(crate) words: String,
    pub(crate) advice: Vec<String>,
}

impl Verdict {
    fn new(status: Status, words: impl Into<String>) -> Self {
        Self {
            status,
            words: words.into(),
            advice: Vec::new(),
        }
    }

    fn advise(mut self, advice: &str) -> Self {
        self.advice.push(advice.to_owned());
        self
    }
}

const GIVE_A_CERTIFICATE: &str =
    "The server asks for a client certificate, one that it accepts: see --cert and --key.";

pub(crate) fn of_failure(failure: &Failure) -> Verdict {
    let verdict = |status| Verdict::new(status, failure.message.clone());
    match failure.kind {
        Kind::NoAnswer => verdict(Status::Unreachable),
        Kind::Certificate => verdict(Status::Refused).advise(
            "This probe did not accept the certificate: see --ca for the authority that issued it, \
             --sni for the name, and --insecure to go on regardless.",
        ),
        Kind::Plaintext => verdict(Status::Refused).advise(
            "If this protocol begins in plaintext, see --starttls; otherwise check the port.",
        ),
        Kind::NoTls => match failure.alert {
            Some(PROTOCOL_VERSION) => verdict(Status::Refused)
                .advise("The server supports no TLS version that was offered: see --tls12."),
            Some(UNRECOGNIZED_NAME) => {
                verdict(Status::Refused).advise("The server does not know this name: see --sni.")
            }
            _ if failure.certificate_requested => {
                verdict(Status::Refused).advise(GIVE_A_CERTIFICATE)
            }
            _ => verdict(Status::Refused),
        },
    }
}

pub(crate) fn of_close(facts: &Facts, conversation: &Conversation, close: &Close) -> Verdict {
    if let Some(code) = refusal(facts, close) {
        let name = alert_name(code);
        let words = format!("the server refused this client: alert {name}");
        let verdict = Verdict::new(Status::Refused, words);
        return match facts.certificate_given {
            false => verdict.advise(GIVE_A_CERTIFICATE),
            true => verdict.advise("The server did not accept the certificate of --cert."),
        };
    }
    let mut verdict = of_answer(conversation, close);
    // In TLS 1.3 the client learns only behind the handshake whether it was accepted.
    let unheard = conversation.received_bytes == 0 && close.tickets == 0;
    if verdict.status == Status::Unclean
        && facts.tls_version == TlsVersion::Tls13
        && facts.certificate_requested
        && !facts.certificate_given
        && unheard
    {
        verdict = verdict.advise(GIVE_A_CERTIFICATE);
    }
    if close.answer == Answer::CloseNotify {
        match close.transport {
            TransportEnd::Reset => {
                verdict = verdict.advise(
                    "The server reset TCP behind its close_notify. A server that closes its socket \
                     with unread data does that, and the client can lose what is on its way.",
                );
            }
            TransportEnd::Open => {
                verdict = verdict.advise(
                    "The server leaves TCP open after both close_notify, for the client to close.",
                );
            }
            TransportEnd::Fin | TransportEnd::Sending => {}
        }
    }
    if close.transport_bytes > 0 {
        verdict =
            verdict.advise("The server sent bytes behind the TLS close that no TLS client reads.");
    }
    verdict
}

fn of_answer(conversation: &Conversation, close: &Close) -> Verdict {
    let first = conversation.server_ended_first;
    let unclean = |words: String| Verdict::new(Status::Unclean, words);
    match close.answer {
        Answer::CloseNotify => Verdict::new(
            Status::Clean,
            match first {
                Some(_) => "the server closed first, with close_notify",
                None => "the server answered with close_notify",
            },
        ),
        Answer::Fin => unclean(match first {
            Some(_) => "the server closed first, with FIN and no close_notify".into(),
            None => "the server answered with FIN and no close_notify".into(),
        })
        .advise(
            "A client cannot tell this end from a truncated one (RFC 8446, section 6.1), unless \
             the length of each message is known. Let the server send close_notify, as \
             SSL_shutdown(3) does, before it closes the socket.",
        ),
        Answer::Reset | Answer::Failed if first == Some(End::Reset) => {
            unclean("the server reset the connection before it was closed".into()).advise(RESET)
        }
        Answer::Reset => {
            unclean("the server answered with a reset and no close_notify".into()).advise(RESET)
        }
        Answer::TimedOut => unclean("the server sent no close_notify in time".into()).advise(
            "The server ignores close_notify, or waits for the client to close TCP. A client \
                 that waits for it hangs: give each close a deadline.",
        ),
        Answer::DiscardLimit => unclean("the server sent data without end".into()).advise(
            "The server sends on after close_notify: let it stop, or send what it has and close.",
        ),
        Answer::Failed => {
            let cause = close.error.as_deref().unwrap_or("no cause is known");
            match close.alert {
                Some(code) => unclean(format!(
                    "the server failed the connection: alert {}",
                    alert_name(code)
                )),
                None => unclean(format!("the close failed: {cause}")),
            }
        }
    }
}

const RESET: &str = "The server closes its socket with unread data, or aborts the connection. What it \
                     sent last may be lost: let it read to the client's close_notify before it closes.";

const PROTOCOL_VERSION: u8 = 70;
const UNRECOGNIZED_NAME: u8 = 112;

/// Returns the alert with which the server refused the client for who it is (RFC 8446, section 6.2).
fn refusal(facts: &Facts, close: &Close) -> Option<u8> {
    close.alert.filter(|code| match code {
        // From bad_certificate to certificate_unknown; unknown_ca and access_denied;
        // certificate_required.
        42..=46 | 48..=49 | 116 => true,
        // handshake_failure and decrypt_error: of a certificate, if one was asked for.
        40 | 51 => facts.certificate_requested,
        _ => false,
    })
}
