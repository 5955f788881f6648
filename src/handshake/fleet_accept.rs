//! The first part of a handshake with fleet sessions: the ClientHello, and what it offers.

use std::{
    future::Future,
    io, mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use rustls::{ServerConfig, ServerConnection};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::StartHandshake};

use super::client_hello_recorder::ClientHelloRecorder;
use crate::resumption::fleet::{client_hello::ClientHelloReader, connection::FleetConnection};

const READ: usize = 4096;

/// Bytes that are kept before the ClientHello is complete: as many as rustls does, which refuses what
/// is not complete then (`MAX_HANDSHAKE_SIZE` in its `msgs/deframer/buffers.rs`, record headers included).
const MAX_WIRE: usize = 0xffff;

/// Ends with the handshake of tokio-rustls, when the sessions that the client offers are there.
///
/// The bytes are given to rustls as they have arrived, when the lookup has ended, or as soon as they
/// are no ClientHello: what they are, and how they are answered, is for rustls to say. Its
/// `Acceptor` would read them as well, but it answers some of what is no ClientHello in another way
/// than a server without fleet sessions.
pub(super) struct FleetAccept<IO> {
    config: Arc<ServerConfig>,
    fleet: Arc<FleetConnection>,
    step: Step<IO>,
}

enum Step<IO> {
    ReadHello(IO, Vec<u8>, ClientHelloReader),
    LookUp(JoinHandle<()>, Begun<IO>),
    SendAlert(IO, Vec<u8>, rustls::Error),
    Ended,
}

/// A handshake whose ClientHello was read.
enum Begun<IO> {
    Bytes(IO, Vec<u8>),
    Recorded(Box<StartHandshake<ClientHelloRecorder<IO>>>),
}

impl<IO: AsyncRead + AsyncWrite + Unpin> FleetAccept<IO> {
    pub(super) fn new(io: IO, config: Arc<ServerConfig>, fleet: Arc<FleetConnection>) -> Self {
        Self {
            config,
            fleet,
            step: Step::ReadHello(io, Vec::new(), ClientHelloReader::new()),
        }
    }

    /// The ClientHello was read already, and what it offers is being looked up.
    pub(super) fn of_recorded(
        start: StartHandshake<ClientHelloRecorder<IO>>,
        lookup: JoinHandle<()>,
        config: Arc<ServerConfig>,
        fleet: Arc<FleetConnection>,
    ) -> Self {
        Self {
            config,
            fleet,
            step: Step::LookUp(lookup, Begun::Recorded(Box::new(start))),
        }
    }

    /// Gives the bytes to rustls. Returns its handshake, or continues to send its alert.
    fn begin(&mut self, begun: Begun<IO>) -> io::Result<Option<tokio_rustls::Accept<IO>>> {
        let config = Arc::clone(&self.config);
        let (io, wire) = match begun {
            Begun::Recorded(start) => return Ok(Some(unrecorded(*start).into_stream(config))),
            Begun::Bytes(io, wire) => (io, wire),
        };
        let new = ServerConnection::new(Arc::clone(&config));
        let mut tls = new.map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e))?;
        if let Err(error) = receive(&mut tls, &wire) {
            let mut alert = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut alert)?;
            }
            self.step = Step::SendAlert(io, alert, error);
            return Ok(None);
        }
        let accept = TlsAcceptor::from(config).accept_with(io, |empty| *empty = tls);
        Ok(Some(accept))
    }
}

fn receive(tls: &mut ServerConnection, mut wire: &[u8]) -> Result<(), rustls::Error> {
    while !wire.is_empty() {
        // It takes a part of them if its buffer is full; reading a slice does not fail.
        match tls.read_tls(&mut wire) {
            Ok(0) | Err(_) => return Err(rustls::Error::General("message buffer full".into())),
            Ok(_) => tls.process_new_packets()?,
        };
    }
    Ok(())
}

/// Returns the handshake as if its transport had not been recorded.
pub(super) fn unrecorded<IO: AsyncRead + AsyncWrite + Unpin>(
    start: StartHandshake<ClientHelloRecorder<IO>>,
) -> StartHandshake<IO> {
    StartHandshake::from_parts(start.accepted, start.io.into_inner())
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Future for FleetAccept<IO> {
    type Output = io::Result<tokio_rustls::Accept<IO>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            // Each step that has ended is taken out.
            match &mut self.step {
                Step::ReadHello(io, wire, hello) => {
                    let n = ready!(poll_read(io, cx, wire))?;
                    hello.push(&wire[wire.len() - n..]);
                    if n > 0 && hello.needs_more() && wire.len() < MAX_WIRE {
                        continue;
                    }
                }
                Step::LookUp(lookup, _) => {
                    // An error is a runtime that shuts down: nothing was found.
                    let _ = ready!(Pin::new(lookup).poll(cx));
                }
                Step::SendAlert(io, alert, _) => {
                    // As tokio-rustls does it: whether it arrives changes nothing.
                    while !alert.is_empty() {
                        match ready!(Pin::new(&mut *io).poll_write(cx, alert)) {
                            Ok(n @ 1..) => drop(alert.drain(..n)),
                            Ok(0) | Err(_) => alert.clear(),
                        }
                    }
                    let _ = ready!(Pin::new(io).poll_flush(cx));
                }
                Step::Ended => {}
            }
            let begun = match mem::replace(&mut self.step, Step::Ended) {
                Step::ReadHello(io, wire, hello) => match self.fleet.look_up(&hello.offer()) {
                    Some(lookup) => {
                        self.step = Step::LookUp(lookup, Begun::Bytes(io, wire));
                        continue;
                    }
                    None => Begun::Bytes(io, wire),
                },
                Step::LookUp(_, begun) => begun,
                Step::SendAlert(.., error) => {
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
                }
                Step::Ended => {
                    let error = "the handshake was polled after it had ended";
                    return Poll::Ready(Err(io::Error::other(error)));
                }
            };
            if let Some(accept) = self.begin(begun)? {
                return Poll::Ready(Ok(accept));
            }
        }
    }
}

/// Appends what one read brings. Returns how much that is.
fn poll_read(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    wire: &mut Vec<u8>,
) -> Poll<io::Result<usize>> {
    let mut chunk = [0; READ];
    // No more than rustls takes before it looks at them.
    let room = READ.min(MAX_WIRE.saturating_sub(wire.len()));
    let mut chunk = ReadBuf::new(&mut chunk[..room]);
    ready!(Pin::new(io).poll_read(cx, &mut chunk))?;
    wire.extend_from_slice(chunk.filled());
    Poll::Ready(Ok(chunk.filled().len()))
}
