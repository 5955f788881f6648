//! The transport and the connection of a `GracefulStream`, and conversions between its stream types.

#[cfg(feature = "rustls")]
use tokio::io::{AsyncRead, AsyncWrite};
#[cfg(feature = "rustls")]
use tokio_rustls::{TlsStream, client, server};

use super::GracefulStream;
#[cfg(feature = "rustls")]
use super::{Extras, close_unused::CloseUnused, wrapped::Wrapped};
use crate::backend::OverTransport;
#[cfg(feature = "rustls")]
use crate::backend::rustls::RustlsStream;

impl<S: OverTransport> GracefulStream<S> {
    /// Returns a reference to the transport below TLS, such as the `TcpStream`.
    #[must_use]
    pub fn transport(&self) -> &S::Transport {
        self.stream.transport()
    }
}

#[cfg(feature = "rustls")]
impl<S: RustlsStream> GracefulStream<S> {
    /// Returns a reference to rustls's connection: the negotiated protocol, the peer's certificates
    /// and so on.
    ///
    /// A [`ClientConnection`](rustls::ClientConnection), a
    /// [`ServerConnection`](rustls::ServerConnection), or for [`TlsStream`] the
    /// [`CommonState`](rustls::CommonState) of either.
    ///
    /// ```
    /// use tokio_tls_shutdown::{GracefulStream, tokio_rustls::server::TlsStream};
    ///
    /// fn peer<'a>(tls: &'a GracefulStream<TlsStream<tokio::net::TcpStream>>) -> Option<&'a str> {
    ///     println!("{:?}", tls.transport().peer_addr());
    ///     tls.connection().server_name()
    /// }
    /// ```
    #[must_use]
    pub fn connection(&self) -> &S::Connection {
        self.stream.connection()
    }
}

#[cfg(feature = "rustls")]
macro_rules! from_one_side {
    ($side:ident) => {
        /// Keeps everything that is known of the close.
        impl<IO> From<GracefulStream<$side::TlsStream<IO>>> for GracefulStream<TlsStream<IO>>
        where
            IO: AsyncRead + AsyncWrite + Unpin,
        {
            fn from(mut one_side: GracefulStream<$side::TlsStream<IO>>) -> Self {
                let extras = one_side.extras.take().map(|extras| {
                    Box::new(Extras {
                        linger: extras.linger,
                        record: extras.record,
                        close_unused: extras.close_unused.map(|_| CloseUnused::new()),
                        handshake: extras.handshake,
                        failure: extras.failure,
                    })
                });
                Self {
                    stream: Wrapped::new(one_side.stream.take().into()),
                    state: one_side.state,
                    has_written: one_side.has_written,
                    has_read_reset: one_side.has_read_reset,
                    is_established: one_side.is_established,
                    quiet: one_side.quiet,
                    quiet_policy: one_side.quiet_policy,
                    step: one_side.step,
                    outcome: one_side.outcome,
                    extras,
                }
            }
        }
    };
}

#[cfg(feature = "rustls")]
from_one_side!(client);
#[cfg(feature = "rustls")]
from_one_side!(server);
