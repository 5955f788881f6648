//! Each library closes with each other, over TCP.

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tls_shutdown::{
    Closed, GracefulStream, PeerClose, PlainStream, ShutdownExt, ShutdownState,
};

use crate::{
    libraries::{NativeTls, Openssl, Rustls, S2n},
    library::Library,
    support::{Case, Role, Version, in_time},
};

async fn pair<C: Library, S: Library>(
    version: Version,
) -> (
    GracefulStream<C::Tls<TcpStream>>,
    GracefulStream<S::Tls<TcpStream>>,
) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (client, server) = (client.unwrap(), server.unwrap().0);
    let (client, server) = in_time("handshake", async {
        tokio::join!(
            C::open(Case::new(version, Role::Client), client),
            S::open(Case::new(version, Role::Server), server)
        )
    })
    .await;
    (
        GracefulStream::new(client.unwrap()),
        GracefulStream::new(server.unwrap()),
    )
}

fn assert_clean(closed: Closed, discarded: u64) {
    assert_eq!(
        (closed.peer(), closed.discarded()),
        (PeerClose::CloseNotify, discarded)
    );
}

/// The one with more to say waits. s2n does not with TLS 1.2, where it neither reads after its own
/// `close_notify` nor writes after the peer's.
async fn one_after_the_other<C: Library, S: Library>(version: Version) {
    async fn first<T: AsyncRead + AsyncWrite + PlainStream + Unpin>(tls: &mut GracefulStream<T>) {
        tls.write_all(&[1; 20_000]).await.unwrap();
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean() && !closed.peer_closed_first());
        assert_eq!(tls.state(), ShutdownState::COMPLETE);
    }
    async fn second<T: AsyncRead + AsyncWrite + PlainStream + Unpin>(tls: &mut GracefulStream<T>) {
        let mut got = Vec::new();
        tls.read_to_end(&mut got).await.unwrap();
        assert_eq!(got, [1; 20_000]);
        let closed = tls.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean() && closed.peer_closed_first());
        assert_eq!(tls.state(), ShutdownState::COMPLETE);
    }
    let closes_second = |library| library == S2n::NAME && version == Version::Tls12;
    if !closes_second(C::NAME) {
        let (mut client, mut server) = pair::<C, S>(version).await;
        let closes = async { tokio::join!(first(&mut client), second(&mut server)) };
        in_time("the client first", closes).await;
    }
    if !closes_second(S::NAME) {
        let (mut client, mut server) = pair::<C, S>(version).await;
        let closes = async { tokio::join!(second(&mut client), first(&mut server)) };
        in_time("the server first", closes).await;
    }
}

async fn together<C: Library, S: Library>(version: Version) {
    // Both at once, and each has sent what the other does not read.
    let (mut client, mut server) = pair::<C, S>(version).await;
    client.write_all(&[1; 20_000]).await.unwrap();
    server.write_all(&[2; 10_000]).await.unwrap();
    let closes = async {
        tokio::join!(
            client.shutdown_bidirectional(),
            server.shutdown_bidirectional()
        )
    };
    let (of_client, of_server) = in_time("both close", closes).await;
    assert_clean(of_client.unwrap(), 10_000);
    assert_clean(of_server.unwrap(), 20_000);

    // A half-close, an answer, and the other half.
    let (mut client, mut server) = pair::<C, S>(version).await;
    let client = async {
        client.write_all(b"request").await.unwrap();
        client.close_notify().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [3; 100_000]);
        let closed = client.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean() && !closed.peer_closed_first());
    };
    let server = async {
        let mut request = Vec::new();
        server.read_to_end(&mut request).await.unwrap();
        assert_eq!(request, b"request");
        server.write_all(&[3; 100_000]).await.unwrap();
        let closed = server.shutdown_bidirectional().await.unwrap();
        assert!(closed.is_clean() && closed.peer_closed_first());
        assert_eq!(server.state(), ShutdownState::COMPLETE);
    };
    in_time("half-close", async { tokio::join!(client, server) }).await;
}

macro_rules! pairs {
    ($($test:ident: $client:ident $server:ident),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                for version in [Version::Tls12, Version::Tls13] {
                    if !$server::speaks(Case::new(version, Role::Server)) {
                        continue;
                    }
                    one_after_the_other::<$client, $server>(version).await;
                    let is_deaf = |library| library == S2n::NAME && version == Version::Tls12;
                    if !is_deaf($client::NAME) && !is_deaf($server::NAME) {
                        together::<$client, $server>(version).await;
                    }
                }
            }
        )*
    };
}

pairs! {
    rustls_with_openssl: Rustls Openssl,
    rustls_with_native_tls: Rustls NativeTls,
    rustls_with_s2n: Rustls S2n,
    openssl_with_rustls: Openssl Rustls,
    openssl_with_openssl: Openssl Openssl,
    openssl_with_native_tls: Openssl NativeTls,
    openssl_with_s2n: Openssl S2n,
    native_tls_with_rustls: NativeTls Rustls,
    native_tls_with_openssl: NativeTls Openssl,
    native_tls_with_native_tls: NativeTls NativeTls,
    native_tls_with_s2n: NativeTls S2n,
    s2n_with_rustls: S2n Rustls,
    s2n_with_openssl: S2n Openssl,
    s2n_with_native_tls: S2n NativeTls,
    s2n_with_s2n: S2n S2n,
}
