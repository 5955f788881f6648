//! What a `Gate` has queued, on its way to the transport.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::AsyncWrite;

use super::{Gate, LIBRARY_LIMIT, LIMIT, tasks::Task};

impl<IO: AsyncWrite + Unpin> Gate<IO> {
    /// Writes until the library can take a record whole.
    pub(in super::super) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_shorten(cx, LIMIT)
    }

    /// Writes all that is queued, and flushes the transport.
    pub(in super::super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_shorten(cx, 0))?;
        let task = self.writing_task();
        let mut poll = Pin::new(self.get_mut()).poll_flush(cx);
        if poll.is_pending() {
            self.blocked = true;
            if let Some(both) = self.tasks.who_write(task, cx) {
                let mut cx = Context::from_waker(&both);
                poll = Pin::new(self.get_mut()).poll_flush(&mut cx);
            }
            if task == Task::Writer {
                self.tasks.set_writer(cx);
            }
        }
        poll
    }

    /// Closes the write side of the transport.
    pub(crate) fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match ready!(Pin::new(self.get_mut()).poll_shutdown(cx)) {
            // It is closed already.
            Err(e) if e.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }

    pub(super) fn enqueue(&mut self, bytes: &[u8]) {
        // Else a slow transport would have all kept that it has ever taken.
        if self.written > self.queued() {
            self.queue.drain(..self.written);
            self.written = 0;
        }
        self.queue.extend_from_slice(bytes);
    }

    /// Writes until at most `most` bytes are queued.
    pub(super) fn poll_shorten(
        &mut self,
        cx: &mut Context<'_>,
        most: usize,
    ) -> Poll<io::Result<()>> {
        if let Some(e) = self.write_error.take() {
            return Poll::Ready(Err(e));
        }
        let task = self.writing_task();
        let before = self.queued();
        let poll = self.poll_write_queue(cx, task, most);
        self.blocked |= poll.is_pending();
        match task {
            Task::Writer if poll.is_pending() => self.tasks.set_writer(cx),
            Task::Writer => self.tasks.forget_writer(),
            Task::Reader if self.queued() < before || matches!(poll, Poll::Ready(Err(_))) => {
                self.tasks.wake_writer();
            }
            Task::Reader => {}
        }
        poll
    }

    pub(super) fn poll_write_queue(
        &mut self,
        cx: &mut Context<'_>,
        task: Task,
        most: usize,
    ) -> Poll<io::Result<()>> {
        while self.queued() > most {
            let (Some(io), queue) = (&mut self.io, &self.queue[self.written..]) else {
                return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
            };
            let mut poll = Pin::new(&mut *io).poll_write(cx, queue);
            if poll.is_pending() {
                // The transport now remembers this task alone.
                if let Some(both) = self.tasks.who_write(task, cx) {
                    poll = Pin::new(io).poll_write(&mut Context::from_waker(&both), queue);
                }
            }
            match ready!(poll)? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.written += bytes,
            }
        }
        if self.queued() == 0 {
            // It is there only while the transport blocks.
            self.queue = Vec::new();
            self.written = 0;
        }
        Poll::Ready(Ok(()))
    }

    /// Continues to write while TLS only reads: the peer may wait for the rest of our handshake, or of
    /// data whose write has returned.
    pub(super) fn write_while_reading(&mut self, cx: &mut Context<'_>) {
        let before = self.queued();
        if before == 0 {
            return;
        }
        let task = self.reading_task();
        if let Poll::Ready(Err(e)) = self.poll_write_queue(cx, task, 0) {
            self.write_error = Some(e);
        }
        let is_changed = self.queued() < before || self.write_error.is_some();
        if is_changed && task == Task::Reader {
            self.tasks.wake_writer();
        }
    }

    /// Returns `true` if the library writes an answer that the transport will not take: the peer is
    /// gone, and what it had sent is still to be read. It is queued, in case the transport recovers.
    pub(super) fn queues_answer(&self) -> bool {
        self.receives && self.write_error.is_some() && self.queued() < LIBRARY_LIMIT
    }
}
