//! The peers: what each does when the server has said goodbye.

use std::{io, net::SocketAddr, time::Duration};

use anyhow::Result;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
    time::sleep,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tokio_tls_shutdown::{ShutdownExt, tokio_rustls};
use tokio_tls_shutdown_fuzz::support::pair::name;

use crate::server::Outcome;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Peer {
    CloseNotify,
    Fin,
    Reset,
    Silence,
    Flood,
    Drip,
    BadRecord,
}

impl Peer {
    pub(crate) const ALL: [Self; 7] = [
        Self::CloseNotify,
        Self::Fin,
        Self::Reset,
        Self::Silence,
        Self::Flood,
        Self::Drip,
        Self::BadRecord,
    ];

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }

    /// Tells whether the server may come to this.
    pub(crate) fn allows(self, outcome: Outcome) -> bool {
        match self {
            Self::CloseNotify => outcome == Outcome::Clean,
            Self::Fin => outcome == Outcome::Eof,
            Self::Reset => outcome == Outcome::Reset,
            Self::Silence | Self::Drip => outcome == Outcome::TimedOut,
            // The limit, or the deadline where the machine is slow.
            Self::Flood => matches!(outcome, Outcome::DiscardLimit | Outcome::TimedOut),
            Self::BadRecord => outcome == Outcome::Tls,
        }
    }

    pub(crate) async fn run(
        self,
        address: SocketAddr,
        connector: TlsConnector,
        turn: OwnedSemaphorePermit,
        deadline: Duration,
    ) -> Result<()> {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        let mut tls = connector.connect(name(), socket).await?;
        tls.write_all(&[self as u8]).await?;
        drop(turn);
        if self == Self::Silence {
            // Until the server has long given up.
            tls.read_exact(&mut [0]).await?;
            sleep(2 * deadline).await;
            return Ok(());
        }
        if self != Self::Flood && self != Self::Drip {
            let mut sink = Vec::new();
            tls.read_to_end(&mut sink).await?;
        }
        self.answer(tls).await?;
        Ok(())
    }

    async fn answer(self, mut tls: TlsStream<TcpStream>) -> io::Result<()> {
        match self {
            Self::CloseNotify => {
                // The server may be gone when it has read ours.
                let _ = tls.shutdown_bidirectional().await?;
            }
            Self::Fin => tls.get_mut().0.shutdown().await?,
            Self::Reset => SockRef::from(tls.get_ref().0).set_linger(Some(Duration::ZERO))?,
            Self::Flood => {
                tls.read_exact(&mut [0]).await?;
                loop {
                    tls.write_all(&[0; 16_384]).await?;
                }
            }
            Self::Drip => {
                tls.read_exact(&mut [0]).await?;
                loop {
                    tls.write_all(&[0]).await?;
                    sleep(Duration::from_millis(500)).await;
                }
            }
            Self::BadRecord => {
                let bad = [&b"\x17\x03\x03\x00\x40"[..], &[0; 64]].concat();
                tls.get_mut().0.write_all(&bad).await?;
                // The server need not lose what it has not read.
                tls.get_mut().0.read_to_end(&mut Vec::new()).await?;
            }
            Self::Silence => {}
        }
        Ok(())
    }
}
