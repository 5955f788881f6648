//! What the plaintext protocols read and write.

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_tls_shutdown::tokio_rustls::rustls;

use super::error::StarttlsError;

/// All that a server may send before TLS.
const MOST: usize = 64 * 1024;

/// A dialog in plaintext. It remembers what was read ahead, so that nothing behind the last answer is
/// overlooked.
pub(crate) struct Dialog<'a, IO> {
    io: &'a mut IO,
    server_name: String,
    unread: Vec<u8>,
    received: usize,
}

impl<'a, IO: AsyncRead + AsyncWrite + Unpin> Dialog<'a, IO> {
    pub(crate) fn new(io: &'a mut IO, server_name: &ServerName<'_>) -> Self {
        Self {
            io,
            server_name: server_name.to_str().into_owned(),
            unread: Vec::new(),
            received: 0,
        }
    }

    pub(super) fn server_name(&self) -> &str {
        &self.server_name
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> Result<(), StarttlsError> {
        self.io.write_all(bytes).await?;
        self.io.flush().await?;
        Ok(())
    }

    async fn read_more(&mut self) -> Result<(), StarttlsError> {
        let mut chunk = [0; 4096];
        match self.io.read(&mut chunk).await? {
            0 => Err(StarttlsError::Closed),
            n => {
                self.received += n;
                if self.received > MOST {
                    return Err(StarttlsError::TooLong);
                }
                self.unread.extend_from_slice(&chunk[..n]);
                Ok(())
            }
        }
    }

    /// Reads a line, and returns it without its end.
    pub(super) async fn line(&mut self) -> Result<Vec<u8>, StarttlsError> {
        loop {
            if let Some(end) = self.unread.iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<_> = self.unread.drain(..=end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            self.read_more().await?;
        }
    }

    pub(super) async fn exactly(&mut self, bytes: usize) -> Result<Vec<u8>, StarttlsError> {
        if bytes > MOST {
            return Err(StarttlsError::TooLong);
        }
        while self.unread.len() < bytes {
            self.read_more().await?;
        }
        Ok(self.unread.drain(..bytes).collect())
    }

    /// Reads until `parse` finds what it looks for at the beginning, and how long that is.
    pub(super) async fn until<T>(
        &mut self,
        parse: impl Fn(&[u8]) -> Result<Option<(T, usize)>, StarttlsError>,
    ) -> Result<T, StarttlsError> {
        loop {
            if let Some((found, len)) = parse(&self.unread)? {
                self.unread.drain(..len);
                return Ok(found);
            }
            self.read_more().await?;
        }
    }

    /// Fails if the server has sent more than was read of it.
    pub(super) fn finish(self) -> Result<(), StarttlsError> {
        match self.unread.len() {
            0 => Ok(()),
            bytes => Err(StarttlsError::Injected(bytes)),
        }
    }
}
