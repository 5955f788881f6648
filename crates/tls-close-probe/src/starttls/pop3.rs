//! POP3: RFC 2595, section 4.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Dialog, StarttlsError,
    error::{refused, unexpected},
};

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    require_ok(&dialog.line().await?)?;
    dialog.send(b"STLS\r\n").await?;
    require_ok(&dialog.line().await?)
}

fn require_ok(line: &[u8]) -> Result<(), StarttlsError> {
    if line.starts_with(b"+OK") {
        Ok(())
    } else if line.starts_with(b"-ERR") {
        refused(line)
    } else {
        unexpected(line)
    }
}
