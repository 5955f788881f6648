//! FTP: RFC 4217.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Dialog, StarttlsError, reply::Reply};

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    let mut greeting = Reply::read(dialog).await?;
    // "Service ready in nnn minutes", then 220.
    if greeting.code == 120 {
        greeting = Reply::read(dialog).await?;
    }
    greeting.require(220)?;
    dialog.send(b"AUTH TLS\r\n").await?;
    Reply::read(dialog).await?.require(234)?;
    Ok(())
}
