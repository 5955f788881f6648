//! XMPP: RFC 6120, section 5.

use quick_xml::{
    NsReader,
    escape::escape,
    events::Event,
    name::{Namespace, ResolveResult},
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Dialog, StarttlsError,
    error::{refused, unexpected},
};

const STREAMS: Namespace<'static> = Namespace(b"http://etherx.jabber.org/streams");
const TLS: Namespace<'static> = Namespace(b"urn:ietf:params:xml:ns:xmpp-tls");

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    let header = format!(
        "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client' \
         xmlns:stream='http://etherx.jabber.org/streams'>",
        escape(dialog.server_name())
    );
    dialog.send(header.as_bytes()).await?;
    let offers = dialog.until(features).await?;
    if !offers {
        return Err(StarttlsError::Refused("it does not offer STARTTLS".into()));
    }
    let request = b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>";
    dialog.send(request).await?;
    dialog.until(proceed).await
}

/// Reads the stream header and the features; returns whether STARTTLS is among them.
fn features(bytes: &[u8]) -> Result<Option<(bool, usize)>, StarttlsError> {
    let mut offers = false;
    walk(bytes, 1, |namespace, name, rest| {
        if (namespace, name) == (Some(TLS), b"starttls") {
            offers = true;
        }
        match (namespace, name) {
            (Some(STREAMS), b"error") => refused(rest),
            (Some(STREAMS), b"stream" | b"features") => Ok(()),
            (Some(STREAMS), _) => unexpected(rest),
            _ => Ok(()),
        }
    })
    .map(|len| len.map(|len| (offers, len)))
}

/// Reads the answer to `<starttls/>`.
fn proceed(bytes: &[u8]) -> Result<Option<((), usize)>, StarttlsError> {
    walk(bytes, 0, |namespace, name, rest| match (namespace, name) {
        (Some(TLS), b"proceed") => Ok(()),
        (Some(TLS), b"failure") | (_, b"error") => refused(rest),
        _ => unexpected(rest),
    })
    .map(|len| len.map(|len| ((), len)))
}

/// Passes each element that begins to `see` (its namespace, its name, and all from there on), until
/// one ends at this depth. Returns where that is, or
/// `None` if more has to come.
fn walk(
    bytes: &[u8],
    depth: usize,
    mut see: impl FnMut(Option<Namespace<'_>>, &[u8], &[u8]) -> Result<(), StarttlsError>,
) -> Result<Option<usize>, StarttlsError> {
    // The reader takes a tag that is cut off for a mistake.
    let Some(end) = bytes.iter().rposition(|&byte| byte == b'>') else {
        return Ok(None);
    };
    let mut reader = NsReader::from_reader(&bytes[..=end]);
    let mut open = 0;
    loop {
        let begin = position(&reader);
        let rest = bytes.get(begin..).unwrap_or_default();
        let (namespace, event) = match reader.read_resolved_event() {
            Ok(read) => read,
            Err(_) => return unexpected(bytes),
        };
        let namespace = match namespace {
            ResolveResult::Bound(namespace) => Some(namespace),
            // The answer to `<starttls/>` may use a prefix of the stream header.
            ResolveResult::Unbound | ResolveResult::Unknown(_) => None,
        };
        match event {
            Event::Start(tag) => {
                see(namespace, tag.local_name().as_ref(), rest)?;
                open += 1;
            }
            Event::Empty(tag) => {
                see(namespace, tag.local_name().as_ref(), rest)?;
                if open == depth {
                    return Ok(Some(position(&reader)));
                }
            }
            Event::End(_) => {
                open -= 1;
                if open == depth {
                    return Ok(Some(position(&reader)));
                }
            }
            Event::Eof => return Ok(None),
            _ => {}
        }
    }
}

fn position(reader: &NsReader<&[u8]>) -> usize {
    usize::try_from(reader.buffer_position()).unwrap_or(usize::MAX)
}
