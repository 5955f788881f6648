//! `Gate`: the transport under a TLS library that writes into its transport by itself.

use std::{fmt, io, mem, task::Context};

use self::{
    records::Records,
    tasks::{Task, Tasks},
};
use super::{Failure, Received, Session};
use crate::event::Role;

mod queue;
mod reads_and_writes;
mod records;
mod tasks;
#[cfg(test)]
mod tests;

/// How many bytes may be queued when application data are taken. As in rustls.
const LIMIT: usize = 64 * 1024;
/// How many bytes may be queued when the library writes. What it makes of one write that was let in
/// fits between the two, so that no library stops within a record.
const LIBRARY_LIMIT: usize = 2 * LIMIT;

/// What happens to that which the library writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writes {
    /// Written at once. What the transport does not take is queued, within the limit.
    Through,
    /// Queued without a limit: the last data of a close and its `close_notify`.
    Queued,
    /// Discarded: our `close_notify` is queued, and nothing may follow it.
    Discarded,
}

/// The transport to put under a TLS stream of OpenSSL, native-tls or s2n, so that this crate can
/// close it.
///
/// Those libraries write into their transport by themselves. `Gate` stands between: it queues what
/// the transport does not take at once, lets nothing out behind our `close_notify`, does not pass on
/// the FIN of the library's own `shutdown()`, and remembers whether the transport has ended with EOF
/// or with a reset. Everything else goes through it without a copy.
///
/// In an established session of TLS 1.3, a read of an alert that is not encrypted fails with
/// [`InvalidData`](io::ErrorKind::InvalidData): not every library refuses it, and anyone in the network
/// can send it.
///
/// At most 128 KiB are queued, and [`close_notify_with`](crate::GracefulStream::close_notify_with)
/// adds its data. Dropping a `Gate` drops the transport and what is queued.
///
/// The TLS stream's own `shutdown()` sends `close_notify`, and does not close the transport: use
/// [`GracefulStream`](crate::GracefulStream) or [`ShutdownExt`](crate::ShutdownExt).
///
#[cfg_attr(feature = "openssl", doc = "```")]
#[cfg_attr(not(feature = "openssl"), doc = "```ignore")]
/// use std::pin::Pin;
/// use openssl::ssl::SslAcceptor;
/// use tokio::{io::AsyncWriteExt, net::TcpStream};
/// use tokio_openssl::SslStream;
/// use tokio_tls_shutdown::{ClosePolicy, Gate, GracefulStream};
///
/// async fn serve(tcp: TcpStream, acceptor: &SslAcceptor) -> Result<(), Box<dyn std::error::Error>> {
///     let ssl = openssl::ssl::Ssl::new(acceptor.context())?;
///     let mut tls = SslStream::new(ssl, Gate::new(tcp))?;
///     Pin::new(&mut tls).accept().await?;
///     let mut tls = GracefulStream::new(tls);
///     tls.set_policy(ClosePolicy::linger());
///     tls.write_all(b"bye").await?;
///     tls.shutdown().await?;
///     Ok(())
/// }
/// ```
pub struct Gate<IO> {
    /// `None` only after it was taken out of a stream that was consumed.
    io: Option<IO>,
    queue: Vec<u8>,
    /// How much of `queue` is written.
    written: usize,
    writes: Writes,
    /// Reads do not reach the transport.
    holds_reads: bool,
    /// A read was held since this was reset.
    held: bool,
    /// A read has got something since this was reset.
    has_read: bool,
    /// This crate has the library read: what it writes meanwhile is not the application's.
    receives: bool,
    /// This crate has the library write or close: what it reads meanwhile is not for a reader.
    sends: bool,
    /// The last write of the library was blocked: it may hold the rest of a record.
    refused: bool,
    /// Something had to wait since this was reset.
    blocked: bool,
    end: Option<Received>,
    /// Why the transport could not be read, where that is not its end.
    read_error: Option<io::Error>,
    /// Why the transport could not be written, where no caller was told.
    write_error: Option<io::Error>,
    role: Option<Role>,
    tasks: Tasks,
    records: Records,
    /// The peer, or someone in its place, has sent an alert that should be encrypted.
    refuses_alert: bool,
    pub(super) session: Session,
}

impl<IO: fmt::Debug> fmt::Debug for Gate<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Only how much is queued and unread: that may be secret.
        f.debug_struct("Gate")
            .field("io", &self.io)
            .field("queued", &self.queued())
            .field("writes", &self.writes)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

impl<IO> Gate<IO> {
    /// Wraps a transport on which TLS is about to start.
    #[must_use]
    pub fn new(io: IO) -> Self {
        Self {
            io: Some(io),
            queue: Vec::new(),
            written: 0,
            writes: Writes::Through,
            holds_reads: false,
            held: false,
            has_read: false,
            receives: false,
            sends: false,
            refused: false,
            blocked: false,
            end: None,
            read_error: None,
            write_error: None,
            role: None,
            tasks: Tasks::default(),
            records: Records::default(),
            refuses_alert: false,
            session: Session::default(),
        }
    }

    /// Returns a reference to the transport.
    #[must_use]
    pub fn get_ref(&self) -> &IO {
        match &self.io {
            Some(io) => io,
            None => unreachable!("a transport that was taken out is used"),
        }
    }

    /// Returns a mutable reference to the transport.
    ///
    /// Reading from it or writing to it directly breaks the TLS session.
    pub fn get_mut(&mut self) -> &mut IO {
        match &mut self.io {
            Some(io) => io,
            None => unreachable!("a transport that was taken out is used"),
        }
    }

    /// Consumes the gate and returns the transport. What is queued is lost.
    #[must_use]
    pub fn into_inner(mut self) -> IO {
        self.take()
    }

    /// Takes the transport out of a stream that is about to be dropped.
    pub(crate) fn take(&mut self) -> IO {
        match self.io.take() {
            Some(io) => io,
            None => unreachable!("a transport that was taken out is used"),
        }
    }

    pub(super) fn queued(&self) -> usize {
        self.queue.len() - self.written
    }

    /// Fails the session, where a library might take such an alert for the peer's.
    fn refuse_alert(&mut self) -> io::Error {
        let text = "an alert that is not encrypted";
        let failure = Failure {
            text: text.to_owned(),
            alert: None,
        };
        self.session.failure.get_or_insert(failure);
        io::Error::new(io::ErrorKind::InvalidData, text)
    }

    /// Returns how the transport has ended, as far as reads have seen.
    pub(super) fn end(&self) -> Option<Received> {
        self.end
    }

    pub(super) fn take_read_error(&mut self) -> Option<io::Error> {
        self.read_error.take()
    }

    /// Which side we are: a client writes first.
    pub(super) fn role(&self) -> Role {
        self.role.unwrap_or(Role::Client)
    }

    /// Queues what the library writes from here on, however long.
    pub(super) fn queue_writes(&mut self) {
        self.writes = Writes::Queued;
    }

    /// Sends what the library writes from here on: the close has to wait, and may be given up.
    pub(super) fn pass_writes(&mut self) {
        self.writes = Writes::Through;
    }

    /// Discards what the library writes from here on.
    pub(super) fn discard_writes(&mut self) {
        self.writes = Writes::Discarded;
    }

    /// Returns `true` if nothing that the library writes is sent any more.
    pub(super) fn discards_writes(&self) -> bool {
        self.writes == Writes::Discarded
    }

    /// Keeps reads from the transport, so that only what the library holds already can be read.
    pub(super) fn hold_reads(&mut self, hold: bool) {
        self.holds_reads = hold;
    }

    /// Returns `true` if a read was held since the last call.
    pub(super) fn take_held(&mut self) -> bool {
        mem::take(&mut self.held)
    }

    /// Returns `true` if a read has got something since the last call.
    pub(super) fn take_has_read(&mut self) -> bool {
        mem::take(&mut self.has_read)
    }

    /// Says whether the library is about to read for this crate.
    pub(super) fn set_receives(&mut self, receives: bool) {
        self.receives = receives;
    }

    /// Says whether the library is about to write or to close for this crate.
    pub(super) fn set_sends(&mut self, sends: bool) {
        self.sends = sends;
    }

    /// Returns `true` if the last write of the library was blocked.
    pub(super) fn has_refused(&self) -> bool {
        self.refused
    }

    /// Returns `true` if a read or a write had to wait since the last call.
    pub(super) fn take_blocked(&mut self) -> bool {
        mem::take(&mut self.blocked)
    }

    /// Names the task whose read has had to wait. A library may have wrapped its waker: s2n does in
    /// debug builds. Then a write of the same task would take it for another, and wake it for ever.
    pub(super) fn set_reader(&mut self, cx: &Context<'_>) {
        if !self.sends {
            self.tasks.set_reader(cx);
        }
    }

    /// Names the task whose close waits for something to be read.
    pub(super) fn set_reading_writer(&mut self, cx: &Context<'_>) {
        self.tasks.set_reading_writer(cx);
    }

    /// Something was read.
    pub(super) fn wake_reading_writer(&mut self) {
        self.tasks.wake_reading_writer();
    }

    /// Who writes, if the library does.
    fn writing_task(&self) -> Task {
        match self.receives && !self.sends {
            true => Task::Reader,
            false => Task::Writer,
        }
    }

    /// Who reads, if the library does.
    fn reading_task(&self) -> Task {
        match self.sends {
            true => Task::Writer,
            false => Task::Reader,
        }
    }
}
