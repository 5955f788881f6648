//! ManageSieve: RFC 5804, sections 1.7 and 2.2.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Dialog, StarttlsError,
    error::{refused, unexpected},
};

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    let capabilities = read_response(dialog).await?;
    let offers = capabilities.iter().any(|line| {
        let name = line.split(|&byte| byte == b' ').next();
        name.is_some_and(|name| name.eq_ignore_ascii_case(b"\"STARTTLS\""))
    });
    if !offers {
        return Err(StarttlsError::Refused("it does not offer STARTTLS".into()));
    }
    dialog.send(b"STARTTLS\r\n").await?;
    read_response(dialog).await?;
    Ok(())
}

/// Reads to the line that ends a response, and returns the lines before it.
async fn read_response<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<Vec<Vec<u8>>, StarttlsError> {
    let mut lines = Vec::new();
    loop {
        let mut line = dialog.line().await?;
        while let Some(len) = literal(&line) {
            line.push(b' ');
            line.extend(dialog.exactly(len).await?);
            line.extend(dialog.line().await?);
        }
        let word = line.split(|byte| b" (".contains(byte)).next();
        let word = word.unwrap_or_default().to_ascii_uppercase();
        match word.as_slice() {
            b"OK" => return Ok(lines),
            b"NO" | b"BYE" => return refused(&line),
            _ if line.starts_with(b"\"") || literal(&line).is_some() => lines.push(line),
            _ => return unexpected(&line),
        }
    }
}

/// Returns the length of the literal that the line announces, as in `{12}` or `{12+}`.
fn literal(line: &[u8]) -> Option<usize> {
    let inner = line.strip_suffix(b"}")?;
    let begin = inner.iter().rposition(|&byte| byte == b'{')?;
    let digits = &inner[begin + 1..];
    let digits = digits.strip_suffix(b"+").unwrap_or(digits);
    std::str::from_utf8(digits).ok()?.parse().ok()
}
