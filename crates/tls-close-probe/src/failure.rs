//! Why there is no TLS connection.

use serde::Serialize;

use crate::starttls::StarttlsError;

/// Where it failed.
#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Stage {
    /// Name lookup and TCP.
    Connect,
    Starttls,
    Handshake,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// The server, or the network on the way, gave no answer that is known to be the server's.
    NoAnswer,
    /// The server answered, and there is no TLS.
    NoTls,
    /// We did not accept the server's certificate.
    Certificate,
    /// The server did not send TLS.
    Plaintext,
}

#[derive(Clone, Serialize)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    /// Without control characters, for a part of it may be the server's.
    pub(crate) message: String,
    /// The code of the alert that the server sent.
    pub(crate) alert: Option<u8>,
    /// Whether the server had asked for a certificate of the client.
    pub(crate) certificate_requested: bool,
    #[serde(skip)]
    pub(crate) kind: Kind,
}

impl Failure {
    pub(crate) fn new(stage: Stage, message: String) -> Self {
        let kind = match stage {
            Stage::Connect => Kind::NoAnswer,
            Stage::Starttls | Stage::Handshake => Kind::NoTls,
        };
        Self {
            stage,
            message: message.replace(char::is_control, " "),
            alert: None,
            certificate_requested: false,
            kind,
        }
    }

    pub(crate) fn timed_out(stage: Stage, message: String) -> Self {
        Self {
            kind: Kind::NoAnswer,
            ..Self::new(stage, message)
        }
    }

    pub(crate) fn certificate(message: String) -> Self {
        Self {
            kind: Kind::Certificate,
            ..Self::new(Stage::Handshake, message)
        }
    }

    pub(crate) fn alert(message: String, code: u8) -> Self {
        Self {
            alert: Some(code),
            ..Self::new(Stage::Handshake, message)
        }
    }

    pub(crate) fn not_tls(message: String) -> Self {
        Self {
            kind: Kind::Plaintext,
            ..Self::new(Stage::Handshake, message)
        }
    }

    pub(crate) fn starttls(protocol: &str, error: StarttlsError) -> Self {
        let message = format!("STARTTLS ({protocol}) failed: {error}");
        match error {
            StarttlsError::TimedOut => Self::timed_out(Stage::Starttls, message),
            _ => Self::new(Stage::Starttls, message),
        }
    }
}
