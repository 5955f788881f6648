//! What is compared: ways to close a TLS connection.

mod graceful_stream;
#[cfg(feature = "others")]
mod openssl;
#[cfg(feature = "others")]
mod rustls_next;
#[cfg(feature = "others")]
mod rustls_tokio_stream;
#[cfg(feature = "others")]
mod s2n;
mod tokio_rustls;

use std::future::Future;

pub use self::{
    graceful_stream::Wrapped,
    tokio_rustls::{Closes, Graceful, Plain, Recipe, RecipeInTime, Unbounded, Way},
};
#[cfg(feature = "others")]
pub use self::{
    openssl::{GracefulOpenSsl, OpenSsl},
    rustls_next::RustlsNext,
    rustls_tokio_stream::RustlsTokioStream,
    s2n::{GracefulS2n, S2n},
};

/// One implementation over transports of one kind, in TLS 1.3 unless it can be told otherwise.
pub trait Contender<IO> {
    const NAME: &'static str;

    type Stream;

    fn connect(&self, io: IO) -> impl Future<Output = Self::Stream>;

    fn accept(&self, io: IO) -> impl Future<Output = Self::Stream>;

    /// Sends close_notify.
    fn close_notify(stream: &mut Self::Stream) -> impl Future<Output = ()>;

    /// Sends close_notify and waits for the peer's.
    fn shutdown_bidirectional(stream: &mut Self::Stream) -> impl Future<Output = ()>;

    /// A client and a server that have shaken hands.
    fn pair(&self, (client, server): (IO, IO)) -> impl Future<Output = Pair<Self::Stream>> {
        async { tokio::join!(self.connect(client), self.accept(server)).into() }
    }
}

/// Both ends of a connection.
pub struct Pair<S> {
    pub client: S,
    pub server: S,
}

impl<S> From<(S, S)> for Pair<S> {
    fn from((client, server): (S, S)) -> Self {
        Self { client, server }
    }
}

/// What is done to the pair, and measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// The client sends close_notify.
    Notify,
    /// The server has closed; the client closes both ways, and waits for nothing.
    Answer,
    /// Both ends send close_notify at once, and wait for the other's.
    Bidirectional,
}

impl Close {
    pub const ALL: [Self; 3] = [Self::Notify, Self::Answer, Self::Bidirectional];

    /// Does what comes before the close.
    pub async fn prepare<IO, C: Contender<IO>>(self, pair: &mut Pair<C::Stream>) {
        if self == Self::Answer {
            C::close_notify(&mut pair.server).await;
        }
    }

    pub async fn run<IO, C: Contender<IO>>(self, pair: &mut Pair<C::Stream>) {
        match self {
            Self::Notify => C::close_notify(&mut pair.client).await,
            Self::Answer => C::shutdown_bidirectional(&mut pair.client).await,
            Self::Bidirectional => {
                tokio::join!(
                    C::shutdown_bidirectional(&mut pair.client),
                    C::shutdown_bidirectional(&mut pair.server),
                );
            }
        }
    }
}

impl std::fmt::Display for Close {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Notify => "one way",
            Self::Answer => "both ways, the peer has closed",
            Self::Bidirectional => "both ways, both ends at once",
        })
    }
}
