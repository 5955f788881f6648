//! IMAP: RFC 9051, section 6.2.1.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Dialog, StarttlsError,
    error::{refused, unexpected},
};

const TAG: &[u8] = b"a1 ";

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    let greeting = dialog.line().await?;
    match greeting.strip_prefix(b"* ").and_then(first_word).as_deref() {
        Some(b"OK") => {}
        // STARTTLS is for connections that are not authenticated.
        Some(b"PREAUTH" | b"BYE") => return refused(&greeting),
        _ => return unexpected(&greeting),
    }
    dialog.send(b"a1 STARTTLS\r\n").await?;
    loop {
        let line = dialog.line().await?;
        if line.starts_with(b"* BYE") {
            return refused(&line);
        }
        if line.starts_with(b"* ") {
            continue;
        }
        let Some(status) = line.strip_prefix(TAG) else {
            return unexpected(&line);
        };
        return match first_word(status).as_deref() {
            Some(b"OK") => Ok(()),
            Some(b"NO" | b"BAD") => refused(&line),
            _ => unexpected(&line),
        };
    }
}

fn first_word(line: &[u8]) -> Option<Vec<u8>> {
    let word = line.split(|&byte| byte == b' ').next()?;
    Some(word.to_ascii_uppercase())
}
