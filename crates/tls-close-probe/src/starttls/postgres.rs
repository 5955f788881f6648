//! PostgreSQL: SSLRequest, "Message Flow, SSL Session Encryption" in its manual.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Dialog, StarttlsError,
    error::{excerpt, unexpected},
};

/// Its own length, then 1234 and 5679.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    dialog.send(&SSL_REQUEST).await?;
    let answer = dialog.exactly(1).await?;
    match answer.as_slice() {
        b"S" => Ok(()),
        b"N" => Err(StarttlsError::Refused("it has no TLS (`N`)".into())),
        b"E" => {
            let length = dialog.exactly(4).await?;
            let length = length
                .iter()
                .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
            // The length counts itself.
            let fields = dialog.exactly(length.saturating_sub(4)).await?;
            Err(StarttlsError::Refused(message(&fields)))
        }
        other => unexpected(other),
    }
}

/// Returns the text of an ErrorResponse: fields of a type and a string that ends with a zero.
fn message(fields: &[u8]) -> String {
    let mut fields = fields.split(|&byte| byte == 0);
    let text = fields.find_map(|field| field.strip_prefix(b"M"));
    excerpt(text.unwrap_or_default())
}
