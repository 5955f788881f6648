//! What the application knows of a run: what its writes have accepted, and what it has read.

use super::{
    peer::peer_byte,
    wire::{Item, WireReader},
};

/// The refusal of TLS 1.2.
const NO_RENEGOTIATION: u8 = 100;

/// The byte of one write at this place. The high half tells the writes apart.
fn our_byte(write: usize, at: usize) -> u8 {
    u8::try_from(((write % 16) << 4) | ((at * 5 + at / 16) % 16)).unwrap()
}

/// The data of one write.
#[derive(Clone, Copy, Debug)]
struct Written {
    id: usize,
    /// What the stream has accepted with `Ok`.
    accepted: usize,
    /// It has failed: what it had been given may be queued all the same.
    failed: bool,
    /// The data of `close_notify_with`: all of it, or nothing.
    last: Option<usize>,
    /// The close had not begun.
    before_close: bool,
}

#[derive(Debug, Default)]
pub struct Facts {
    writes: Vec<Written>,
    /// A close that sends was polled.
    pub close_begun: bool,
    /// What was read, and what closes have counted.
    pub read: usize,
    pub discarded: usize,
    /// A call may have discarded something and did not live to tell.
    pub uncounted: bool,
    /// What was read is not what the peer has sent.
    pub wrong_data: bool,
    /// How many bytes of TLS all that was written can make.
    most_on_wire: usize,
}

impl Facts {
    pub fn begin_write(&mut self) {
        self.writes.push(Written {
            id: self.writes.len(),
            accepted: 0,
            failed: false,
            last: None,
            before_close: !self.close_begun,
        });
    }

    pub fn next_data(&self, len: usize) -> Vec<u8> {
        let write = self.writes.last().unwrap();
        (write.accepted..)
            .take(len)
            .map(|at| our_byte(write.id, at))
            .collect()
    }

    /// Records hold 16 KiB, and have less than 40 bytes of their own.
    fn expect(&mut self, bytes: usize) {
        self.most_on_wire += bytes + 40 * (1 + bytes / 16_384);
    }

    /// How many bytes of TLS there can be, with some alerts and answers.
    pub fn most_on_wire(&self) -> usize {
        self.most_on_wire + 1000
    }

    pub fn on_accepted(&mut self, bytes: usize) {
        self.expect(bytes);
        self.writes.last_mut().unwrap().accepted += bytes;
    }

    pub fn on_write_failed(&mut self, offered: usize) {
        self.expect(offered);
        self.writes.last_mut().unwrap().failed = true;
    }

    /// The data of `close_notify_with`. Those of a call that is repeated are the same.
    pub fn last_data(&mut self, len: usize) -> Vec<u8> {
        if self.writes.iter().all(|write| write.last.is_none()) {
            self.begin_write();
            self.writes.last_mut().unwrap().last = Some(len);
            self.expect(len);
        }
        let first = self
            .writes
            .iter()
            .find(|write| write.last.is_some())
            .unwrap();
        (0..first.last.unwrap())
            .map(|at| our_byte(first.id, at))
            .collect()
    }

    pub fn on_read(&mut self, bytes: &[u8]) {
        if !self.uncounted {
            let at = self.read + self.discarded;
            self.wrong_data |= !bytes
                .iter()
                .zip(at..)
                .all(|(byte, at)| *byte == peer_byte(at));
        }
        self.read += bytes.len();
    }

    pub fn accepted(&self) -> usize {
        self.writes.iter().map(|write| write.accepted).sum()
    }

    /// Something was written after the close had begun, also where the write has failed: its data
    /// may be queued.
    pub fn has_written_after_close(&self) -> bool {
        let mut late = self.writes.iter().filter(|write| !write.before_close);
        late.any(|write| write.accepted > 0 || write.failed)
    }

    /// Checks that the data on the wire is what the writes have accepted, in order. If the close
    /// `is_sent`, all that was accepted before it must be in front of the alert.
    pub fn check_data(&self, wire: &WireReader, is_sent: bool, with: bool) -> Result<(), String> {
        let before = WireReader::data(&wire.before);
        let all = [&before[..], &WireReader::data(&wire.behind)].concat();
        let mut at = 0;
        let mut needed = 0;
        for (i, write) in self.writes.iter().enumerate() {
            let matching = (all[at..].iter().zip(0..))
                .take_while(|(byte, at)| **byte == our_byte(write.id, *at))
                .count();
            let is_last = write.last.is_some();
            let (least, most) = match write.last {
                // It is whole, or not there, or still on its way.
                Some(len) => (if with { len } else { 0 }, len),
                None if write.failed => (write.accepted, usize::MAX),
                None => (write.accepted, write.accepted),
            };
            if matching > most {
                return Err(format!(
                    "write {i}: {matching} bytes on the wire, {most} accepted"
                ));
            }
            at += matching;
            let is_needed = with && is_last || write.before_close && !is_last;
            if is_needed {
                needed = at;
            }
            if matching < least && is_sent && is_needed {
                return Err(match is_last {
                    true => "close_notify_with() says sent, and its data are not".into(),
                    false => format!("write {i}: {matching} of {least} bytes, and sent"),
                });
            }
            if matching < least && at < all.len() {
                return Err(format!(
                    "write {i}: {matching} of {least} bytes, and others behind"
                ));
            }
        }
        if at < all.len() {
            return Err(format!("data on the wire that was not written, at {at}"));
        }
        if is_sent && needed > before.len() {
            return Err("data from before the close behind close_notify".into());
        }
        Ok(())
    }

    /// What stands behind our close_notify on a plain stream, where that may be. What was written
    /// after a refusal that was dropped cannot be read: its number is missing.
    pub fn may_be_behind(items: &[Item]) -> bool {
        items.iter().all(|item| {
            matches!(
                item,
                Item::Data(_)
                    | Item::KeyUpdate
                    | Item::Unreadable
                    | Item::Alert(1, NO_RENEGOTIATION)
            )
        })
    }
}
