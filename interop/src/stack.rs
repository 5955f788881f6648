//! Our two roles over a TLS library.

mod openssl;
mod rustls;

use std::future::Future;

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tls_shutdown::{GracefulStream, PlainStream, RecordAligned};

pub(crate) use self::{openssl::Openssl, rustls::Rustls};
use crate::{identity::Identity, peer::Version};

/// A transport.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

pub(crate) type Tls<S, IO> = GracefulStream<<S as Stack>::Stream<IO>>;

/// A server over one library, and what it takes to make clients.
pub(crate) trait Stack: Sized + Send + Sync {
    type Stream<IO: Io>: PlainStream + AsyncRead + AsyncWrite + Send + Unpin;

    /// A client and the sessions of its connections.
    type Client: Send + Sync;

    fn new(identity: &Identity, version: Version) -> anyhow::Result<Self>;

    /// Makes a client without a session.
    fn client(&self) -> anyhow::Result<Self::Client>;

    fn connect<IO: Io>(
        client: &Self::Client,
        io: IO,
    ) -> impl Future<Output = anyhow::Result<Tls<Self, IO>>> + Send;

    fn accept<IO: Io>(&self, io: IO) -> impl Future<Output = anyhow::Result<Tls<Self, IO>>> + Send;

    fn into_transport(
        tls: Tls<Self, RecordAligned<TcpStream>>,
    ) -> anyhow::Result<RecordAligned<TcpStream>>;
}
