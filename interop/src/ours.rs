//! Our part of each scenario, with the crate under test.

use std::{
    future::poll_fn,
    io,
    os::fd::AsFd,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    sync::oneshot,
    time::timeout,
};
use tokio_tls_shutdown::{
    ClosePolicy, CloseProgress, Closed, GracefulStream, PeerClose, PlainStream, ShutdownError,
    ShutdownExt, ShutdownState, is_missing_close_notify,
};

use crate::scenario::{End, FLIGHT, HELLO, Ours, Scenario, payload};

/// How long a peer may take for its last word before that counts as nothing.
const PATIENCE: Duration = Duration::from_secs(3);

/// Plays our part. `closed` is told once our close_notify is out.
pub(crate) async fn play<S>(
    scenario: Scenario,
    tls: &mut GracefulStream<S>,
    closed: oneshot::Sender<()>,
) -> anyhow::Result<Ours>
where
    S: PlainStream + AsyncRead + AsyncWrite + Unpin,
    GracefulStream<S>: AsFd,
{
    greet(tls).await.context("greeting")?;
    let (got, end) = match scenario {
        Scenario::Answer | Scenario::Resume | Scenario::Plain => close_both(tls).await?,
        Scenario::Close => read_first(tls).await?,
        Scenario::ItsFin | Scenario::ItsRst => {
            // Our word that the greeting has come: RST would destroy it.
            tls.write_all(HELLO).await?;
            read_first(tls).await?
        }
        Scenario::Flight => both_ways(tls, &payload(FLIGHT)).await?,
        Scenario::Half => {
            let state = tls.close_notify().await?;
            let _ = closed.send(());
            ensure!(state.contains(ShutdownState::SENT), "state {state:?}");
            read_to_end(tls).await?
        }
        Scenario::OurFin => {
            tls.set_policy(ClosePolicy::Quiet);
            tls.shutdown().await?;
            let _ = closed.send(());
            read_to_end(tls).await?
        }
        Scenario::OurRst => {
            SockRef::from(&tls).set_linger(Some(Duration::ZERO))?;
            (0, End::Nothing)
        }
    };
    check(tls, end)?;
    Ok(Ours { got, end })
}

/// Plaintext after the close, on the transport that TLS has left.
pub(crate) async fn reuse(io: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> anyhow::Result<()> {
    io.write_all(b"ping").await?;
    let mut pong = Vec::new();
    io.read_to_end(&mut pong).await?;
    ensure!(pong == b"pong", "{pong:?} instead of pong");
    Ok(())
}

/// Both sides say hello, so that the handshake is over for both.
async fn greet(tls: &mut (impl AsyncRead + AsyncWrite + Unpin)) -> io::Result<()> {
    tls.write_all(HELLO).await?;
    let mut hello = [0; HELLO.len()];
    tls.read_exact(&mut hello).await?;
    match hello == *HELLO {
        true => Ok(()),
        false => Err(io::Error::other("no hello")),
    }
}

/// Closes in both directions; returns how much was discarded, and the peer's answer.
pub(crate) async fn close_both<S>(tls: &mut GracefulStream<S>) -> anyhow::Result<(usize, End)>
where
    S: PlainStream,
{
    let result = tls.shutdown_bidirectional().deadline(PATIENCE).await;
    Ok(match result {
        Ok(closed) => (usize::try_from(closed.discarded())?, end_of(closed)?),
        Err(ShutdownError::Send(e)) if is_reset(&e) => (0, End::Rst),
        Err(e) => return Err(e.into()),
    })
}

fn end_of(closed: Closed) -> anyhow::Result<End> {
    Ok(match closed.peer() {
        PeerClose::CloseNotify => End::CloseNotify,
        PeerClose::Eof => End::Fin,
        PeerClose::Reset => End::Rst,
        PeerClose::TimedOut => End::Nothing,
        other => bail!("a close that ended as {other:?}"),
    })
}

/// Reads until the peer has closed, then closes.
pub(crate) async fn read_first<S>(tls: &mut GracefulStream<S>) -> anyhow::Result<(usize, End)>
where
    S: PlainStream + AsyncRead + Unpin,
{
    let (got, end) = read_to_end(tls).await?;
    let (more, again) = close_both(tls).await?;
    ensure!(more == 0, "{more} bytes behind the end");
    // What ended without close_notify may still turn from FIN to RST, and who has not ended at all
    // may do it when we do.
    ensure!(
        end == End::Nothing || (end == End::CloseNotify) == (again == End::CloseNotify),
        "read until {end}, and then closed with {again}"
    );
    Ok((got, end))
}

pub(crate) async fn read_to_end<S>(tls: &mut GracefulStream<S>) -> anyhow::Result<(usize, End)>
where
    GracefulStream<S>: AsyncRead + Unpin,
{
    let mut got = 0;
    let mut buf = vec![0; 65_536];
    loop {
        match timeout(PATIENCE, tls.read(&mut buf)).await {
            Err(_) => return Ok((got, End::Nothing)),
            Ok(Ok(n @ 1..)) => got += n,
            Ok(result) => return Ok((got, end_of_reading(result)?)),
        }
    }
}

fn end_of_reading(result: io::Result<usize>) -> io::Result<End> {
    match result {
        Ok(_) => Ok(End::CloseNotify),
        Err(e) if is_missing_close_notify(&e) => Ok(End::Fin),
        Err(e) if is_reset(&e) => Ok(End::Rst),
        Err(e) if e.kind() == io::ErrorKind::InvalidData => Ok(End::TlsError),
        Err(e) => Err(e),
    }
}

fn is_reset(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::ConnectionReset || kind == io::ErrorKind::BrokenPipe
}

/// Sends `data` with close_notify right behind, and reads to the end at the same time.
pub(crate) async fn both_ways<S>(
    tls: &mut GracefulStream<S>,
    data: &[u8],
) -> anyhow::Result<(usize, End)>
where
    S: PlainStream + AsyncRead + AsyncWrite + Unpin,
{
    let mut ours = Sending {
        left: data,
        progress: CloseProgress::new(),
        done: false,
    };
    let mut got = 0;
    let mut end = None;
    let mut buf = vec![0; 65_536];
    let both = poll_fn(|cx| {
        // A peer that has gone takes no more: how it went is what counts.
        let _ = ours.poll(cx, tls);
        while end.is_none() {
            let mut buf = ReadBuf::new(&mut buf);
            match Pin::new(&mut *tls).poll_read(cx, &mut buf) {
                Poll::Pending => break,
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => got += buf.filled().len(),
                Poll::Ready(result) => end = Some(end_of_reading(result.map(|()| 0))),
            }
        }
        match ours.done && end.is_some() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        }
    });
    // The end that was not reached is told as nothing.
    let _ = timeout(PATIENCE, both).await;
    Ok((got, end.transpose()?.unwrap_or(End::Nothing)))
}

/// Data and a close_notify on their way out.
struct Sending<'a> {
    left: &'a [u8],
    progress: CloseProgress,
    done: bool,
}

impl Sending<'_> {
    fn poll<S>(&mut self, cx: &mut Context<'_>, tls: &mut GracefulStream<S>) -> Poll<()>
    where
        S: PlainStream + AsyncWrite + Unpin,
    {
        while !self.done && !self.left.is_empty() {
            match ready!(Pin::new(&mut *tls).poll_write(cx, self.left)) {
                Ok(n) => self.left = &self.left[n..],
                Err(_) => self.done = true,
            }
        }
        if !self.done {
            self.done = tls.poll_close_notify(cx, &mut self.progress).is_ready();
        }
        Poll::Ready(())
    }
}

/// Only an authenticated close_notify counts as one.
pub(crate) fn check<S>(tls: &mut GracefulStream<S>, end: End) -> anyhow::Result<()>
where
    S: PlainStream,
{
    let received = tls.received_close_notify();
    ensure!(
        end == End::Nothing || received == (end == End::CloseNotify),
        "the stream says {received} and the end was {end}"
    );
    if let Some(closed) = tls.outcome() {
        ensure!(
            !closed.is_clean() || received,
            "clean without a close_notify"
        );
    }
    Ok(())
}
