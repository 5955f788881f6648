//! What rustls stores for a session of a server.

use super::reader::Reader;

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
    let mut reader = Reader::new(session);
    if flag(&mut reader)? {
        reader.vector(1)?; // server name
    }
    reader.take(2 + 2)?; // version, cipher suite
    reader.vector(1)?; // secret
    flag(&mut reader)?; // extended master secret
    let mut certificates = 0;
    if flag(&mut reader)? {
        let mut chain = Reader::new(reader.vector(3)?);
        while !chain.is_empty() {
            chain.vector(3)?;
            certificates += 1;
        }
    }
    if flag(&mut reader)? {
        reader.vector(1)?; // ALPN protocol
    }
    reader.vector(2)?; // application data
    reader.take(8 + 4)?; // time of creation, age offset
    reader.is_empty().then_some(certificates > 0)
}

/// Reads a byte that says yes or no.
fn flag(reader: &mut Reader<'_>) -> Option<bool> {
    match reader.take(1)? {
        [0] => Some(false),
        [1] => Some(true),
        _ => None,
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
