//! MySQL and MariaDB: the handshake packet and SSLRequest of the client/server protocol.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Dialog, StarttlsError,
    error::{excerpt, unexpected},
};

const CLIENT_PROTOCOL_41: u32 = 0x0200;
const CLIENT_SSL: u32 = 0x0800;
const CLIENT_SECURE_CONNECTION: u32 = 0x8000;

pub(super) async fn negotiate<IO: AsyncRead + AsyncWrite + Unpin>(
    dialog: &mut Dialog<'_, IO>,
) -> Result<(), StarttlsError> {
    let header = dialog.exactly(4).await?;
    let &[a, b, c, _sequence] = header.as_slice() else {
        return unexpected(&header);
    };
    let length = u32::from_le_bytes([a, b, c, 0]) as usize;
    let packet = dialog.exactly(length).await?;
    let capabilities = match packet.first() {
        Some(10) => capabilities(&packet),
        // An error: a code of two bytes, then the text.
        Some(0xff) => {
            let text = packet.get(3..).unwrap_or_default();
            return Err(StarttlsError::Refused(excerpt(text)));
        }
        _ => None,
    };
    let Some(capabilities) = capabilities else {
        return unexpected(&packet);
    };
    if u32::from(capabilities) & CLIENT_SSL == 0 {
        return Err(StarttlsError::Refused(
            "it does not offer CLIENT_SSL".into(),
        ));
    }
    let flags = CLIENT_PROTOCOL_41 | CLIENT_SSL | CLIENT_SECURE_CONNECTION;
    const PAYLOAD: u8 = 32;
    const LONGEST_PACKET: u32 = 1 << 24;
    const UTF8: u8 = 33;
    let mut request = vec![PAYLOAD, 0, 0, 1];
    request.extend(flags.to_le_bytes());
    request.extend(LONGEST_PACKET.to_le_bytes());
    request.push(UTF8);
    request.resize(4 + usize::from(PAYLOAD), 0);
    dialog.send(&request).await
}

/// Returns the lower half of the capabilities of a handshake packet, version 10.
fn capabilities(packet: &[u8]) -> Option<u16> {
    let version = packet.iter().position(|&byte| byte == 0)?;
    // Behind the version: thread, the first part of the scramble, a zero.
    let at = version + 1 + 4 + 8 + 1;
    Some(u16::from_le_bytes(*packet.get(at..)?.first_chunk()?))
}
