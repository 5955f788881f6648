//! What we have put on the wire, as the peer reads it.

use super::keys::Keys;
use crate::support::forge::{ALERT, APPLICATION_DATA, CLOSE_NOTIFY, HANDSHAKE};

const KEY_UPDATE: u8 = 24;

/// What one record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Data(Vec<u8>),
    Alert(u8, u8),
    KeyUpdate,
    Other(u8),
    Unreadable,
}

impl Item {
    pub fn is_close_notify(&self) -> bool {
        matches!(self, Self::Alert(_, CLOSE_NOTIFY))
    }
}

/// Opens records as their bytes are taken by the transport.
#[derive(Debug)]
pub struct WireReader {
    keys: Keys,
    unopened: Vec<u8>,
    /// How many bytes were taken.
    pub taken: usize,
    /// What stands in front of our close_notify, and what behind it.
    pub before: Vec<Item>,
    pub behind: Vec<Item>,
    /// Where our first close_notify ends.
    pub alert_end: Option<usize>,
    pub close_notifies: usize,
    /// Something was not TLS, or not ours.
    pub broken: Option<&'static str>,
}

impl WireReader {
    pub fn new(keys: Keys) -> Self {
        Self {
            keys,
            unopened: Vec::new(),
            taken: 0,
            before: Vec::new(),
            behind: Vec::new(),
            alert_end: None,
            close_notifies: 0,
            broken: None,
        }
    }

    pub fn see(&mut self, bytes: &[u8]) {
        self.unopened.extend(bytes);
        self.taken += bytes.len();
        while let [_, _, _, hi, lo, rest @ ..] = &self.unopened[..] {
            let len = usize::from(u16::from_be_bytes([*hi, *lo]));
            if rest.len() < len {
                break;
            }
            let behind = self.unopened.split_off(5 + len);
            let record = std::mem::replace(&mut self.unopened, behind);
            match self.keys.open(&record) {
                Some((content_type, payload)) => self.opened(content_type, payload),
                // Behind our close_notify a plain stream has used numbers for what it has dropped.
                None if self.alert_end.is_some() => self.behind.push(Item::Unreadable),
                None => self.broken = Some("a record that the peer cannot decrypt"),
            }
        }
    }

    fn opened(&mut self, content_type: u8, payload: Vec<u8>) {
        let item = match (content_type, &payload[..]) {
            (APPLICATION_DATA, _) => Item::Data(payload),
            (ALERT, &[level, description]) => Item::Alert(level, description),
            (HANDSHAKE, [KEY_UPDATE, 0, 0, 1, 0 | 1]) => {
                self.keys.update();
                Item::KeyUpdate
            }
            _ => Item::Other(content_type),
        };
        let is_close_notify = item.is_close_notify();
        self.close_notifies += usize::from(is_close_notify);
        match self.alert_end {
            Some(_) => self.behind.push(item),
            None if is_close_notify => self.alert_end = Some(self.taken - self.unopened.len()),
            None => self.before.push(item),
        }
    }

    /// How many bytes follow our close_notify.
    pub fn bytes_behind(&self) -> usize {
        self.alert_end.map_or(0, |end| self.taken - end)
    }

    /// All application data of some items.
    pub fn data(items: &[Item]) -> Vec<u8> {
        let data = items.iter().filter_map(|item| match item {
            Item::Data(data) => Some(&data[..]),
            _ => None,
        });
        data.collect::<Vec<_>>().concat()
    }
}
