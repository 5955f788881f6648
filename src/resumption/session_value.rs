//! What rustls stores for a session of a server.

/// Returns `true` if this is a session of a client that has presented a certificate.
///
/// The format is rustls's own (`ServerSessionValue`), and it may change. So the whole of it is
/// parsed, and a session that does not fit counts as one without a certificate: then it resumes
/// only where clients without one are admitted. What this says is checked once more when the
/// handshake is finished, by what rustls says of the client.
pub(super) fn has_client_certificate(session: &[u8]) -> bool {
    parse(session).unwrap_or(false)
}

fn parse(session: &[u8]) -> Option<bool> {
    let mut reader = Reader(session);
    if reader.flag()? {
        reader.vector(1)?; // server name
    }
    reader.take(2 + 2)?; // version, cipher suite
    reader.vector(1)?; // secret
    reader.flag()?; // extended master secret
    let mut certificates = 0;
    if reader.flag()? {
        let mut chain = Reader(reader.vector(3)?);
        while !chain.0.is_empty() {
            chain.vector(3)?;
            certificates += 1;
        }
    }
    if reader.flag()? {
        reader.vector(1)?; // ALPN protocol
    }
    reader.vector(2)?; // application data
    reader.take(8 + 4)?; // time of creation, age offset
    reader.0.is_empty().then_some(certificates > 0)
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn flag(&mut self) -> Option<bool> {
        match self.take(1)? {
            [0] => Some(false),
            [1] => Some(true),
            _ => None,
        }
    }

    /// Takes bytes that are preceded by their length, itself so many bytes long.
    fn vector(&mut self, len_bytes: usize) -> Option<&'a [u8]> {
        let len = self.take(len_bytes)?;
        let len = len
            .iter()
            .fold(0, |len, &byte| len << 8 | usize::from(byte));
        self.take(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(certificates: &[&[u8]]) -> Vec<u8> {
        let mut session = vec![1, 1, b'x', 3, 4, 0x13, 1, 2, 7, 7, 1];
        let chain: Vec<u8> = (certificates.iter())
            .flat_map(|der| [&[0, 0, der.len() as u8], *der].concat())
            .collect();
        session.push(u8::from(!certificates.is_empty()));
        if !certificates.is_empty() {
            session.extend([0, 0, chain.len() as u8]);
            session.extend(chain);
        }
        session.extend([1, 2, b'h', b'2', 0, 1, 9]);
        session.extend([0; 12]);
        session
    }

    /// That this is what rustls stores is shown by the sessions that resume in `tests/sessions`.
    #[test]
    fn g15_only_a_session_that_is_understood_in_full_has_a_certificate() {
        assert!(!has_client_certificate(&session(&[])));
        for certificates in [&[&b"one"[..]][..], &[b"one", b"two"]] {
            let session = session(certificates);
            assert!(has_client_certificate(&session));
            for len in 0..session.len() {
                assert!(!has_client_certificate(&session[..len]), "{len}");
            }
            assert!(!has_client_certificate(&[&session[..], &[0]].concat()));
        }
    }
}
