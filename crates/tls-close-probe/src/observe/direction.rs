//! Cuts one direction of a connection into records.

use std::sync::Arc;

use super::{
    Secrets,
    decode::Decoder,
    record::{HEADER, LONGEST},
};
use crate::timeline::{Side, Timeline, What};

/// Of plaintext that is no TLS, this much is shown.
const EXCERPT: usize = 40;

pub(super) struct Direction {
    side: Side,
    mode: Mode,
    /// What has come of the current record.
    record: Vec<u8>,
    /// How the plaintext begins that is no TLS.
    excerpt: Vec<u8>,
    decoder: Decoder,
    timeline: Arc<Timeline>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    /// Before TLS.
    Before,
    Records,
    /// Something else than records was sent.
    Plaintext,
}

impl Direction {
    pub(super) fn new(side: Side, timeline: Arc<Timeline>, secrets: Arc<Secrets>) -> Self {
        Self {
            side,
            mode: Mode::Before,
            record: Vec::new(),
            excerpt: Vec::new(),
            decoder: Decoder::new(side, secrets),
            timeline,
        }
    }

    pub(super) fn begin_tls(&mut self) {
        self.mode = Mode::Records;
    }

    /// Returns how many bytes are missing to the end of the header or of the record.
    pub(super) fn wanted(&self) -> usize {
        match (self.mode, self.record_len()) {
            (Mode::Records, Some(len)) => len - self.record.len(),
            (Mode::Records, None) => HEADER - self.record.len(),
            (Mode::Before | Mode::Plaintext, _) => usize::MAX,
        }
    }

    fn record_len(&self) -> Option<usize> {
        let header: &[u8; HEADER] = self.record.first_chunk()?;
        Some(HEADER + usize::from(u16::from_be_bytes([header[3], header[4]])))
    }

    pub(super) fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.mode != Mode::Records {
                self.pass_plaintext(bytes);
                return;
            }
            let taken = self.wanted().min(bytes.len());
            self.record.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            let is_record = matches!(self.record[0], 20..=24)
                && self.record.get(1).is_none_or(|&major| major == 3)
                && self.record_len().is_none_or(|len| len <= HEADER + LONGEST);
            if !is_record {
                self.mode = Mode::Plaintext;
                let begun = std::mem::take(&mut self.record);
                self.pass_plaintext(&[&begun, bytes].concat());
                return;
            }
            if self.record_len() == Some(self.record.len()) {
                self.pass_record();
            }
        }
    }

    fn pass_record(&mut self) {
        let bytes = self.record.len();
        let decoded = self.decoder.decode(&mut self.record);
        self.record.clear();
        self.timeline.add_many(
            self.side,
            decoded.what,
            decoded.count,
            bytes,
            decoded.detail,
        );
    }

    fn pass_plaintext(&mut self, bytes: &[u8]) {
        match self.mode {
            Mode::Before => self
                .timeline
                .add(self.side, What::Starttls, bytes.len(), None),
            _ => {
                let room = EXCERPT - self.excerpt.len();
                self.excerpt.extend(&bytes[..bytes.len().min(room)]);
                let line = self.excerpt.split(|&byte| byte == b'\n').next();
                let line = line.unwrap_or_default().escape_ascii().to_string();
                self.timeline
                    .add(self.side, What::Plaintext, bytes.len(), Some(line));
            }
        }
    }

    /// The direction has ended.
    pub(super) fn end(&mut self) {
        if !self.record.is_empty() {
            let detail = match self.record_len() {
                Some(len) => format!("{} of {len} bytes", self.record.len()),
                None => format!("{} bytes of its header", self.record.len()),
            };
            let bytes = self.record.len();
            self.timeline
                .add(self.side, What::PartialRecord, bytes, Some(detail));
            self.record.clear();
        }
    }
}
