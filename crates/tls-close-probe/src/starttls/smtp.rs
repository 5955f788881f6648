//! SMTP: RFC 3207.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Dialog, StarttlsError, reply::Reply};

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    Reply::read(dialog).await?.require(220)?;
    // An address literal is for clients without a name (RFC 5321, section 4.1.4).
    dialog.send(b"EHLO [127.0.0.1]\r\n").await?;
    let extensions = Reply::read(dialog).await?.require(250)?;
    let offers = extensions.lines.iter().skip(1).any(|line| {
        let keyword = line.get(4..).unwrap_or_default();
        keyword.trim_ascii().eq_ignore_ascii_case(b"STARTTLS")
    });
    if !offers {
        return Err(StarttlsError::Refused("it does not offer STARTTLS".into()));
    }
    dialog.send(b"STARTTLS\r\n").await?;
    Reply::read(dialog).await?.require(220)?;
    Ok(())
}
