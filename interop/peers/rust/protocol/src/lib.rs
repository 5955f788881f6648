//! What the peers that are Rust crates have in common: the scenarios over any TLS stream.

use std::{
    env, io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadBuf},
    net::{TcpListener, TcpStream},
    time::timeout,
};

const HELLO: &[u8] = b"hello\n";
const FLIGHT: usize = 256 * 1024;
const ANSWER: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(10);

pub struct Args {
    pub is_server: bool,
    pub is_tls13: bool,
    /// The file with the certificate.
    pub certificate: String,
    pub key: String,
    port: u16,
}

/// A TCP socket that a TLS stream does not close: that comes when it is dropped.
pub struct Tcp(TcpStream);

/// A TLS stack in one role.
pub trait Stack {
    type Stream: AsyncRead + AsyncWrite + Unpin;

    fn handshake(&self, tcp: Tcp) -> impl Future<Output = anyhow::Result<Self::Stream>>;

    fn tcp(stream: &mut Self::Stream) -> &mut Tcp;
}

/// Plays a scenario for each line of standard input.
pub async fn run<S: Stack>(
    version: &str,
    make: impl FnOnce(&Args) -> anyhow::Result<S>,
) -> anyhow::Result<()> {
    let args: Vec<_> = env::args().skip(1).collect();
    let [role, tls, certificate, key, port] = <[String; 5]>::try_from(args)
        .ok()
        .context("ROLE VERSION CERTIFICATE KEY PORT")?;
    let args = Args {
        is_server: role == "server",
        is_tls13: tls == "1.3",
        certificate,
        key,
        port: port.parse()?,
    };
    let stack = make(&args)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let own = match args.is_server {
        true => listener.local_addr()?.port(),
        false => 0,
    };
    println!("ready {own} {version}");
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let tcp = match args.is_server {
            true => listener.accept().await?.0,
            false => TcpStream::connect(("127.0.0.1", args.port)).await?,
        };
        let played = timeout(LIMIT, async {
            let stream = stack.handshake(Tcp(tcp)).await?;
            play::<S>(&line, stream).await
        });
        let (sent, got, end) = match played.await {
            Ok(Ok(played)) => played,
            Ok(Err(e)) => {
                eprintln!("{e:#}");
                (0, 0, "error")
            }
            Err(_) => (0, 0, "error:timeout"),
        };
        println!("sent={sent} got={got} end={end}");
    }
    Ok(())
}

/// Returns what was sent, what was read, and how reading has ended.
async fn play<S: Stack>(
    scenario: &str,
    mut tls: S::Stream,
) -> anyhow::Result<(usize, usize, &'static str)> {
    let mut hello = [0; HELLO.len()];
    tls.read_exact(&mut hello).await?;
    tls.write_all(HELLO).await?;
    tls.flush().await?;
    let mut result = (0, 0, "-");
    match scenario {
        "answer" => {
            (result.1, result.2) = read_to_end(&mut tls).await;
            close(&mut tls).await;
        }
        "close" => close(&mut tls).await,
        "flight" => {
            let (mut read, mut write) = tokio::io::split(tls);
            let (sent, (got, end)) = tokio::join!(send(&mut write, FLIGHT), read_to_end(&mut read));
            result = (sent, got, end);
            close(&mut read.unsplit(write)).await;
        }
        "half" => {
            let (got, end) = read_to_end(&mut tls).await;
            result = (send(&mut tls, ANSWER).await, got, end);
            close(&mut tls).await;
        }
        "cut" => {
            tls.read_exact(&mut hello).await?;
            let tcp = &mut S::tcp(&mut tls).0;
            tcp.shutdown().await?;
            read_to_end(tcp).await;
        }
        "abort" => {
            tls.read_exact(&mut hello).await?;
            S::tcp(&mut tls).0.set_zero_linger()?;
        }
        "plain" => {
            (result.1, result.2) = read_to_end(&mut tls).await;
            close(&mut tls).await;
            let tcp = &mut S::tcp(&mut tls).0;
            let mut ping = [0; 4];
            tcp.read_exact(&mut ping).await?;
            ensure!(&ping == b"ping");
            tcp.write_all(b"pong").await?;
        }
        other => anyhow::bail!("no scenario {other}"),
    }
    Ok(result)
}

/// What goes wrong here the other side sees.
async fn close(tls: &mut (impl AsyncWrite + Unpin)) {
    // s2n-tls takes some ten seconds for it after an error.
    let _ = timeout(Duration::from_secs(1), tls.shutdown()).await;
}

async fn send(tls: &mut (impl AsyncWrite + Unpin), bytes: usize) -> usize {
    let sent = async {
        tls.write_all(&vec![0; bytes]).await?;
        tls.flush().await
    };
    match sent.await {
        Ok(()) => bytes,
        Err(_) => 0,
    }
}

async fn read_to_end(from: &mut (impl AsyncRead + Unpin)) -> (usize, &'static str) {
    let mut got = 0;
    let mut buf = vec![0; 65_536];
    loop {
        match from.read(&mut buf).await {
            Ok(0) => return (got, "close_notify"),
            Ok(n) => got += n,
            Err(e) if is_reset(&e) => return (got, "reset"),
            Err(_) => return (got, "truncated"),
        }
    }
}

fn is_reset(error: &io::Error) -> bool {
    let kind = error.kind();
    kind == io::ErrorKind::ConnectionReset || kind == io::ErrorKind::BrokenPipe
}

impl AsyncRead for Tcp {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
