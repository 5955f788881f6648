//! What a library reads from its `Gate` and writes to it.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    super::{super::end_of_transport, Received},
    Gate, LIBRARY_LIMIT, Writes,
    tasks::Task,
};
use crate::event::Role;

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gate<IO> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.holds_reads {
            this.held = true;
            return Poll::Pending;
        }
        if this.refuses_alert {
            return Poll::Ready(Err(this.refuse_alert()));
        }
        this.write_while_reading(cx);
        let before = buf.filled().len();
        let task = this.reading_task();
        let Some(io) = &mut this.io else {
            return Poll::Ready(Ok(()));
        };
        let mut poll = Pin::new(&mut *io).poll_read(cx, buf);
        if poll.is_pending() {
            // The transport now remembers this task alone.
            if let Some(both) = this.tasks.who_read(task, cx) {
                poll = Pin::new(io).poll_read(&mut Context::from_waker(&both), buf);
            }
        }
        match (poll.is_pending(), task) {
            (true, Task::Writer) => this.tasks.set_reading_writer(cx),
            (true, Task::Reader) => this.tasks.set_reader(cx),
            // What has come may be for the other.
            (false, Task::Writer) => this.tasks.wake_reader(cx),
            (false, Task::Reader) => this.tasks.wake_reading_writer(),
        }
        match &poll {
            Poll::Pending => this.blocked = true,
            Poll::Ready(Ok(())) if buf.filled().len() > before => {
                this.has_read = true;
                let role = *this.role.get_or_insert(Role::Server);
                if let Some(at) = this.records.read(&buf.filled()[before..], role) {
                    this.refuses_alert = true;
                    // What comes before it is good.
                    buf.set_filled(before + at);
                    if at == 0 {
                        return Poll::Ready(Err(this.refuse_alert()));
                    }
                }
            }
            Poll::Ready(Ok(())) if buf.remaining() > 0 => this.end = Some(Received::Eof),
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => {
                this.end = end_of_transport(e);
                if this.end.is_none() {
                    // Not every library passes it on.
                    this.read_error = Some(io::Error::new(e.kind(), e.to_string()));
                }
            }
        }
        poll
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Gate<IO> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let role = *this.role.get_or_insert(Role::Client);
        match this.writes {
            Writes::Through if this.queues_answer() => {
                this.enqueue(buf);
                return Poll::Ready(Ok(buf.len()));
            }
            Writes::Through => {
                this.refused = true;
                ready!(this.poll_shorten(cx, LIBRARY_LIMIT))?;
                this.refused = false;
            }
            Writes::Queued => {
                this.enqueue(buf);
                return Poll::Ready(Ok(buf.len()));
            }
            Writes::Discarded => return Poll::Ready(Ok(buf.len())),
        }
        this.records.write(buf, role);
        this.write_through(cx, buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        match this.writes {
            // A caller that closes flushes, and needs to know whether that has failed.
            Writes::Queued => Poll::Ready(Ok(())),
            // The library flushes an answer. It must neither fail nor wait for that: a library that
            // has to wait takes itself to be in a handshake.
            _ if this.receives || this.sends => {
                if let Poll::Ready(Err(e)) = this.poll_send(cx) {
                    this.write_error = Some(e);
                }
                Poll::Ready(Ok(()))
            }
            Writes::Through | Writes::Discarded => this.poll_send(cx),
        }
    }

    /// Closes nothing: the library's `shutdown()` would close the transport with its alert.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.writes == Writes::Through {
            // The application has called it by itself: the alert is made.
            this.discard_writes();
        }
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> Gate<IO> {
    /// Writes `buf`, and queues what the transport does not take.
    fn write_through(&mut self, cx: &mut Context<'_>, buf: &[u8]) {
        let mut rest = buf;
        if self.queued() == 0 {
            match Pin::new(self.get_mut()).poll_write(cx, buf) {
                Poll::Ready(Ok(bytes)) => rest = &buf[bytes..],
                // A library would give up in the middle of its record. The next call has it.
                Poll::Ready(Err(e)) => self.write_error = Some(e),
                Poll::Pending => {}
            }
        }
        // Whole, or the library would keep a part.
        self.enqueue(rest);
        if self.write_error.is_none() {
            let task = self.writing_task();
            if let Poll::Ready(Err(e)) = self.poll_write_queue(cx, task, 0) {
                self.write_error = Some(e);
            }
        }
    }
}
