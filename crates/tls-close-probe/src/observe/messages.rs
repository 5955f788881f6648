//! Finds the handshake messages in a stream of records.

pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const NEW_SESSION_TICKET: u8 = 4;
pub(super) const CERTIFICATE_REQUEST: u8 = 13;
pub(super) const FINISHED: u8 = 20;
pub(super) const KEY_UPDATE: u8 = 24;

const HEADER: usize = 4;

/// The handshake messages of one direction; one may take several records.
#[derive(Default)]
pub(super) struct Messages {
    header: Vec<u8>,
    /// So much of the current message has not come.
    left: usize,
}

impl Messages {
    /// Returns the types of the messages whose header ends in these bytes.
    pub(super) fn pass(&mut self, mut bytes: &[u8]) -> Vec<u8> {
        let mut begun = Vec::new();
        while !bytes.is_empty() {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                self.left -= taken;
                bytes = &bytes[taken..];
                continue;
            }
            let taken = (HEADER - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..taken]);
            bytes = &bytes[taken..];
            if let &[kind, a, b, c] = self.header.as_slice() {
                begun.push(kind);
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
                self.header.clear();
            }
        }
        begun
    }
}

pub(super) fn name(kind: u8) -> &'static str {
    match kind {
        0 => "HelloRequest",
        1 => "ClientHello",
        SERVER_HELLO => "ServerHello",
        NEW_SESSION_TICKET => "NewSessionTicket",
        8 => "EncryptedExtensions",
        11 => "Certificate",
        12 => "ServerKeyExchange",
        CERTIFICATE_REQUEST => "CertificateRequest",
        14 => "ServerHelloDone",
        15 => "CertificateVerify",
        16 => "ClientKeyExchange",
        FINISHED => "Finished",
        22 => "CertificateStatus",
        KEY_UPDATE => "KeyUpdate",
        25 => "CompressedCertificate",
        _ => "a handshake message",
    }
}
