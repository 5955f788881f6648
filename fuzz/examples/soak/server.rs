//! The server under test: it accepts, waits, says goodbye, and counts how that ends.

use std::{io, time::Duration};

use anyhow::{Context, Result};
use rand::Rng;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_tls_shutdown::{
    ClosePolicy, Closed, GracefulStream, PeerClose, ShutdownError, ShutdownExt,
    is_missing_close_notify, tokio_rustls,
};

use crate::{Counts, peer::Peer};

const DISCARD_LIMIT: u64 = 256 * 1024;

/// How the server closes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    /// `shutdown_bidirectional` on a plain stream.
    Bidirectional,
    /// `shutdown` with the policy `Linger`.
    Linger,
    /// `close_notify`, and then it reads to the end.
    Notify,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Clean,
    Eof,
    Reset,
    TimedOut,
    DiscardLimit,
    Tls,
    SendFailed,
    Other,
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) acceptor: TlsAcceptor,
    pub(crate) deadline: Duration,
    pub(crate) idle: Duration,
    pub(crate) counts: Counts,
}

impl Server {
    pub(crate) async fn run(self, listener: TcpListener) -> io::Result<()> {
        loop {
            let (socket, _) = listener.accept().await?;
            let server = self.clone();
            tokio::spawn(async move {
                if let Err(e) = server.serve(socket).await {
                    println!("before the close: {e:#}");
                }
            });
        }
    }

    async fn serve(&self, socket: TcpStream) -> Result<()> {
        socket.set_nodelay(true)?;
        let mut tls = self.acceptor.accept(socket).await?;
        let peer = Peer::from_byte(tls.read_u8().await?).context("no kind of peer")?;
        let (idle, call) = {
            let mut rng = rand::rng();
            let calls = [Call::Bidirectional, Call::Linger, Call::Notify];
            (
                rng.random_range(Duration::ZERO..=self.idle),
                calls[rng.random_range(0..calls.len())],
            )
        };
        sleep(idle).await;
        // With the alert right behind it.
        let outcome = match tls.write_all(b"!").await {
            Ok(()) => self.close(tls, call).await,
            Err(e) => of_io(&e),
        };
        *(self.counts.lock().unwrap())
            .entry((peer, call, outcome))
            .or_default() += 1;
        Ok(())
    }

    async fn close(&self, mut tls: TlsStream<TcpStream>, call: Call) -> Outcome {
        match call {
            Call::Bidirectional => of_close(
                tls.shutdown_bidirectional()
                    .deadline(self.deadline)
                    .discard_limit(DISCARD_LIMIT)
                    .await,
            ),
            Call::Linger => {
                let mut tls = GracefulStream::new(tls);
                tls.set_policy(ClosePolicy::Linger {
                    idle: self.deadline,
                    deadline: self.deadline,
                    discard_limit: DISCARD_LIMIT,
                });
                match (tls.shutdown().await, tls.outcome()) {
                    (Ok(()), Some(closed)) => of_peer(closed.peer()),
                    (Ok(()), None) => Outcome::Other,
                    (Err(e), _) => of_io(&e),
                }
            }
            Call::Notify => {
                let mut tls = GracefulStream::new(tls);
                if let Err(e) = tls.close_notify().await {
                    return of_error(&e);
                }
                let mut sink = tokio::io::sink();
                let mut read = (&mut tls).take(DISCARD_LIMIT);
                match timeout(self.deadline, tokio::io::copy(&mut read, &mut sink)).await {
                    Err(_) => Outcome::TimedOut,
                    Ok(Err(e)) => of_io(&e),
                    Ok(Ok(DISCARD_LIMIT)) => Outcome::DiscardLimit,
                    Ok(Ok(_)) if tls.received_close_notify() => Outcome::Clean,
                    Ok(Ok(_)) => Outcome::Other,
                }
            }
        }
    }
}

fn of_close(closed: Result<Closed, ShutdownError>) -> Outcome {
    match closed {
        Ok(closed) => of_peer(closed.peer()),
        Err(e) => of_error(&e),
    }
}

fn of_peer(how: PeerClose) -> Outcome {
    match how {
        PeerClose::CloseNotify => Outcome::Clean,
        PeerClose::Eof => Outcome::Eof,
        PeerClose::Reset => Outcome::Reset,
        PeerClose::TimedOut => Outcome::TimedOut,
        PeerClose::DiscardLimit => Outcome::DiscardLimit,
        _ => Outcome::Other,
    }
}

fn of_error(error: &ShutdownError) -> Outcome {
    match error {
        ShutdownError::Tls(_) => Outcome::Tls,
        ShutdownError::Send(_) | ShutdownError::SendTimedOut => Outcome::SendFailed,
        _ => Outcome::Other,
    }
}

fn of_io(error: &io::Error) -> Outcome {
    if is_missing_close_notify(error) {
        return Outcome::Eof;
    }
    match error.kind() {
        io::ErrorKind::InvalidData => Outcome::Tls,
        io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Outcome::Reset,
        _ => Outcome::Other,
    }
}
