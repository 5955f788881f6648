//! Replies with a code of three digits, on one line or several: SMTP (RFC 5321, section 4.2) and FTP
//! (RFC 959, section 4.2).

use tokio::io::{AsyncRead, AsyncWrite};

use super::{
    Dialog, StarttlsError,
    error::{excerpt, unexpected},
};

pub(super) struct Reply {
    pub(super) code: u16,
    pub(super) lines: Vec<Vec<u8>>,
}

impl Reply {
    pub(super) async fn read<IO: AsyncRead + AsyncWrite + Unpin>(
        dialog: &mut Dialog<'_, IO>,
    ) -> Result<Self, StarttlsError> {
        let first = dialog.line().await?;
        let digits = match first.get(..3) {
            Some(digits) if digits.iter().all(u8::is_ascii_digit) => digits.to_vec(),
            _ => return unexpected(&first),
        };
        let code = digits
            .iter()
            .fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        let is_last =
            |line: &[u8]| line.starts_with(&digits) && matches!(line.get(3), None | Some(b' '));
        match first.get(3) {
            None | Some(b' ' | b'-') => {}
            Some(_) => return unexpected(&first),
        }
        let mut lines = vec![first];
        // In FTP the lines between may hold anything.
        while !lines.last().is_some_and(|line| is_last(line)) {
            lines.push(dialog.line().await?);
        }
        Ok(Self { code, lines })
    }

    /// Returns an error unless the code is that of consent. A refusal has a code of 4xx or 5xx.
    pub(super) fn require(self, code: u16) -> Result<Self, StarttlsError> {
        if self.code == code {
            return Ok(self);
        }
        let text = self.lines.last().map(|line| excerpt(line));
        let text = text.unwrap_or_default();
        Err(match self.code {
            400..=599 => StarttlsError::Refused(text),
            _ => StarttlsError::Unexpected(text),
        })
    }
}
