//! Tells what is in a record.

use std::sync::Arc;

use super::{
    Secrets,
    alerts::{CLOSE_NOTIFY, alert_name},
    keys::Keys,
    messages::{self, Messages},
    record::HEADER,
    secrets::{Stage, Version},
};
use crate::timeline::{Side, What};

const CHANGE_CIPHER_SPEC: u8 = 20;
const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

pub(super) struct Decoded {
    pub(super) what: What,
    pub(super) count: u64,
    pub(super) detail: Option<String>,
}

impl Decoded {
    const fn new(what: What) -> Self {
        Self {
            what,
            count: 1,
            detail: None,
        }
    }
}

/// Of one direction.
pub(super) struct Decoder {
    side: Side,
    secrets: Arc<Secrets>,
    stage: Stage,
    keys: Option<Keys>,
    messages: Messages,
    /// ChangeCipherSpec was sent: in TLS 1.2 all that follows is encrypted.
    has_changed_cipher: bool,
}

impl Decoder {
    pub(super) fn new(side: Side, secrets: Arc<Secrets>) -> Self {
        Self {
            side,
            secrets,
            stage: Stage::Handshake,
            keys: None,
            messages: Messages::default(),
            has_changed_cipher: false,
        }
    }

    /// Decrypts the record in place.
    pub(super) fn decode(&mut self, record: &mut [u8]) -> Decoded {
        let version = self.secrets.version();
        let is_hidden = self.has_changed_cipher && version == Some(Version::Tls12);
        match record[0] {
            CHANGE_CIPHER_SPEC => {
                self.has_changed_cipher = true;
                Decoded::new(What::ChangeCipherSpec)
            }
            ALERT if is_hidden => Decoded::new(What::Alert),
            ALERT => alert(&record[HEADER..]),
            HANDSHAKE if is_hidden => Decoded {
                detail: Some("handshake, encrypted".into()),
                ..Decoded::new(What::Handshake)
            },
            HANDSHAKE => self.handshake(&record[HEADER..]),
            APPLICATION_DATA if version == Some(Version::Tls12) => {
                Decoded::new(What::ApplicationData)
            }
            APPLICATION_DATA => self.open(record),
            _ => Decoded::new(What::Encrypted),
        }
    }

    fn open(&mut self, record: &mut [u8]) -> Decoded {
        if self.keys.is_none() {
            self.keys = self.secrets.keys(self.side, self.stage);
        }
        let opened = self.keys.as_mut().and_then(|keys| keys.open(record));
        match opened {
            Some((APPLICATION_DATA, _)) => Decoded::new(What::ApplicationData),
            Some((ALERT, content)) => alert(content),
            Some((HANDSHAKE, content)) => self.handshake(content),
            _ => Decoded::new(What::Encrypted),
        }
    }

    fn handshake(&mut self, content: &[u8]) -> Decoded {
        let begun = self.messages.pass(content);
        if begun.contains(&messages::SERVER_HELLO) {
            self.secrets.read_server_hello(content);
        }
        if begun.contains(&messages::CERTIFICATE_REQUEST) {
            self.secrets.certificate_was_requested();
        }
        if begun.contains(&messages::FINISHED) {
            self.stage = Stage::Traffic;
            self.keys = None;
        }
        if begun.contains(&messages::KEY_UPDATE) {
            self.keys = self.keys.take().and_then(Keys::next);
            return Decoded::new(What::KeyUpdate);
        }
        let tickets = begun
            .iter()
            .filter(|&&kind| kind == messages::NEW_SESSION_TICKET);
        let tickets = tickets.count();
        if tickets > 0 && self.stage == Stage::Traffic {
            return Decoded {
                count: tickets as u64,
                ..Decoded::new(What::Ticket)
            };
        }
        let names: Vec<_> = begun.iter().map(|&kind| messages::name(kind)).collect();
        Decoded {
            detail: (!names.is_empty()).then(|| names.join(", ")),
            ..Decoded::new(What::Handshake)
        }
    }
}

fn alert(content: &[u8]) -> Decoded {
    match content {
        [_, CLOSE_NOTIFY] => Decoded::new(What::CloseNotify),
        [_, code] => Decoded {
            detail: Some(alert_name(*code)),
            ..Decoded::new(What::Alert)
        },
        _ => Decoded::new(What::Alert),
    }
}
