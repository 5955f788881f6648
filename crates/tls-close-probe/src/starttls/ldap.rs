//! LDAP: the StartTLS operation, RFC 4511, section 4.14.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Dialog, StarttlsError,
    error::{excerpt, unexpected},
};

const OID: &[u8] = b"1.3.6.1.4.1.1466.20037";

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const ENUMERATED: u8 = 0x0a;
const EXTENDED_REQUEST: u8 = 0x77;
const EXTENDED_RESPONSE: u8 = 0x78;
const REQUEST_NAME: u8 = 0x80;

const MESSAGE_ID: u8 = 1;

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    let request = element(EXTENDED_REQUEST, &element(REQUEST_NAME, OID));
    let message = [element(INTEGER, &[MESSAGE_ID]), request].concat();
    dialog.send(&element(SEQUENCE, &message)).await?;

    let message = dialog
        .until(|bytes| match bytes.first() {
            Some(&SEQUENCE) => split(bytes).map(|found| {
                found.map(|(_, content, rest)| (content.to_vec(), bytes.len() - rest.len()))
            }),
            Some(_) => unexpected(bytes),
            None => Ok(None),
        })
        .await?;
    match parse(&message) {
        Some((0, _)) => Ok(()),
        Some((code, text)) => Err(StarttlsError::Refused(format!(
            "result {code}, {}",
            excerpt(&text)
        ))),
        None => unexpected(&message),
    }
}

/// Returns the result code of an ExtendedResponse, and its diagnostic message.
fn parse(message: &[u8]) -> Option<(u8, Vec<u8>)> {
    let (id, response) = take(INTEGER, message)?;
    // Zero is a notice of disconnection, with a result code of its own.
    if id != [MESSAGE_ID] && id != [0] {
        return None;
    }
    let (response, _) = take(EXTENDED_RESPONSE, response)?;
    let (code, rest) = take(ENUMERATED, response)?;
    let (_matched_dn, rest) = take(OCTET_STRING, rest)?;
    let (text, _) = take(OCTET_STRING, rest)?;
    match (id, code) {
        ([0], &[0]) => None,
        (_, &[code]) => Some((code, text.to_vec())),
        _ => None,
    }
}

fn take(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    match split(bytes) {
        Ok(Some((found, content, rest))) if found == tag => Some((content, rest)),
        _ => None,
    }
}

type Split<'a> = Option<(u8, &'a [u8], &'a [u8])>;

/// Splits off the first element: its tag, its content, and what follows. `None` if more has to come.
/// LDAP has only definite lengths and short tags (RFC 4511, section 5.1).
fn split(bytes: &[u8]) -> Result<Split<'_>, StarttlsError> {
    let [tag, length, rest @ ..] = bytes else {
        return Ok(None);
    };
    let (length, rest) = match length {
        0..=0x7f => (usize::from(*length), rest),
        0x81..=0x84 => {
            let octets = usize::from(length & 0x7f);
            let Some((octets, rest)) = rest.split_at_checked(octets) else {
                return Ok(None);
            };
            let length = octets
                .iter()
                .fold(0, |sum, &byte| sum << 8 | u64::from(byte));
            (usize::try_from(length).unwrap_or(usize::MAX), rest)
        }
        _ => return unexpected(bytes),
    };
    let split = rest.split_at_checked(length);
    Ok(split.map(|(content, rest)| (*tag, content, rest)))
}

/// Encodes an element whose content is short.
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    debug_assert!(content.len() < 0x80);
    [&[tag, content.len() as u8], content].concat()
}
