//! The timeline of a connection: who sent what, and when.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::time::Instant;

use crate::milliseconds::milliseconds;

/// A server that sends tiny things of different kinds cannot fill the memory.
const MOST: usize = 200;

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Side {
    Client,
    Server,
    /// Something that was noticed here and is on no wire.
    Local,
}

#[derive(Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum What {
    /// TCP is connected.
    Connected,
    /// Plaintext before the handshake.
    Starttls,
    Handshake,
    ChangeCipherSpec,
    /// The handshake is finished for the client.
    HandshakeFinished,
    ApplicationData,
    /// NewSessionTicket of TLS 1.3.
    Ticket,
    KeyUpdate,
    CloseNotify,
    /// Another alert, or one of TLS 1.2 that could not be told.
    Alert,
    /// A record of TLS 1.3 that could not be decrypted.
    Encrypted,
    /// Not a TLS record.
    Plaintext,
    /// A record of which only a part came.
    PartialRecord,
    Fin,
    /// RST, or another error of the transport, which is the detail then.
    Reset,
    /// The time limit passed, or enough was read.
    GaveUp,
}

/// One thing that was sent, or several of a kind in a row.
#[derive(Clone, Serialize)]
pub(crate) struct Event {
    /// When it was complete, from the first SYN.
    pub(crate) ms: f64,
    /// The same of the last, where several are one event.
    pub(crate) until_ms: f64,
    pub(crate) from: Side,
    pub(crate) what: What,
    pub(crate) count: u64,
    /// On the wire, record headers included.
    pub(crate) bytes: u64,
    pub(crate) detail: Option<String>,
}

/// Shared by a connection's transport and those who use it.
pub(crate) struct Timeline {
    start: Instant,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    events: Vec<Event>,
    omitted: u64,
}

impl Timeline {
    pub(crate) fn new(start: Instant) -> Self {
        Self {
            start,
            inner: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn add(&self, from: Side, what: What, bytes: usize, detail: Option<String>) {
        self.add_many(from, what, 1, bytes, detail);
    }

    pub(crate) fn add_many(
        &self,
        from: Side,
        what: What,
        count: u64,
        bytes: usize,
        detail: Option<String>,
    ) {
        let ms = milliseconds(self.start.elapsed());
        let bytes = bytes as u64;
        let mut inner = self.lock();
        let full = inner.events.len() >= MOST;
        match inner.events.last_mut() {
            Some(last) if last.is_continued_by(from, what, detail.as_deref()) => {
                last.detail = detail;
                last.until_ms = ms;
                // Plaintext has no records to count.
                if !matches!(what, What::Plaintext | What::Starttls) {
                    last.count += count;
                }
                last.bytes += bytes;
            }
            // The end is always shown.
            _ if full && !matches!(what, What::Fin | What::Reset | What::GaveUp) => {
                inner.omitted += count;
            }
            _ => inner.events.push(Event {
                ms,
                until_ms: ms,
                from,
                what,
                count,
                bytes,
                detail,
            }),
        }
    }

    /// Adds the end of what the server sends, unless it is there.
    pub(crate) fn end(&self, what: What, detail: Option<String>) {
        let is_end = |event: &Event| matches!(event.what, What::Fin | What::Reset);
        let has_ended = self.lock().events.iter().any(is_end);
        if !has_ended {
            self.add(Side::Server, what, 0, detail);
        }
    }

    /// Names the alert of this side, where it sent one that could not be read (TLS 1.2) and is known
    /// to have sent `close_notify`.
    pub(crate) fn sent_close_notify(&self, side: Side) {
        let mut inner = self.lock();
        let mut unread = inner.events.iter_mut().filter(|event| {
            event.from == side && event.what == What::Alert && event.detail.is_none()
        });
        if let (Some(alert), None) = (unread.next(), unread.next()) {
            if alert.count == 1 {
                alert.what = What::CloseNotify;
            }
        }
    }

    /// Returns the events, and how many were left out.
    pub(crate) fn events(&self) -> (Vec<Event>, u64) {
        let inner = self.lock();
        (inner.events.clone(), inner.omitted)
    }
}

impl Event {
    /// Plaintext is one, however it is cut; its detail is how it begins.
    fn is_continued_by(&self, from: Side, what: What, detail: Option<&str>) -> bool {
        (self.from, self.what) == (from, what)
            && (what == What::Plaintext || self.detail.as_deref() == detail)
    }

    /// What it is, in a few words.
    pub(crate) fn label(&self) -> String {
        let many = |name: &str| match self.count {
            1 => name.to_owned(),
            count => format!("{count} × {name}"),
        };
        let text = match self.what {
            What::Connected => "TCP connected".into(),
            What::Starttls => "plaintext before TLS".into(),
            What::Handshake => many("handshake"),
            What::ChangeCipherSpec => "ChangeCipherSpec".into(),
            What::HandshakeFinished => "handshake finished".into(),
            What::ApplicationData => many("application data"),
            What::Ticket => many("session ticket"),
            What::KeyUpdate => many("KeyUpdate"),
            What::CloseNotify => "close_notify".into(),
            What::Alert => many("alert"),
            What::Encrypted => many("encrypted record"),
            What::Plaintext => "plaintext".into(),
            What::PartialRecord => "part of a record".into(),
            What::Fin => "FIN".into(),
            What::Reset => "RST".into(),
            What::GaveUp => "gave up".into(),
        };
        match (&self.detail, self.what) {
            (Some(detail), What::Handshake) => detail.clone(),
            (Some(detail), What::Reset) => format!("connection lost: {detail}"),
            (Some(detail), _) => format!("{text}: {detail}"),
            (None, _) => text,
        }
    }
}
