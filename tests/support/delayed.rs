//! A link on which each byte takes its time, on tokio's clock.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::{Instant, Sleep, sleep_until},
};

/// One end of the link. Dropped, it has ended for the other one.
#[derive(Debug)]
pub struct Delayed {
    delay: Duration,
    /// What is written, and when it arrives.
    sender: UnboundedSender<(Instant, Vec<u8>)>,
    receiver: UnboundedReceiver<(Instant, Vec<u8>)>,
    /// What arrives next.
    coming: Option<(Pin<Box<Sleep>>, Vec<u8>)>,
}

impl Delayed {
    /// Both ends of a link whose round trip takes twice `delay`. It has no limit.
    pub fn pair(delay: Duration) -> (Self, Self) {
        let (to_right, from_left) = unbounded_channel();
        let (to_left, from_right) = unbounded_channel();
        let end = |sender, receiver| Self {
            delay,
            sender,
            receiver,
            coming: None,
        };
        (end(to_right, from_right), end(to_left, from_left))
    }
}

impl AsyncRead for Delayed {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.coming.is_none() {
            let next = ready!(this.receiver.poll_recv(cx));
            this.coming = next.map(|(at, bytes)| (Box::pin(sleep_until(at)), bytes));
        }
        let Some((arrival, bytes)) = &mut this.coming else {
            return Poll::Ready(Ok(()));
        };
        ready!(arrival.as_mut().poll(cx));
        let n = bytes.len().min(buf.remaining());
        buf.put_slice(&bytes[..n]);
        bytes.drain(..n);
        if bytes.is_empty() {
            this.coming = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Delayed {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let arrival = Instant::now() + self.delay;
        match self.sender.send((arrival, buf.to_vec())) {
            Ok(()) => Poll::Ready(Ok(buf.len())),
            Err(_) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
