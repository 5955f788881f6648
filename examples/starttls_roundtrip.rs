//! Plaintext, TLS, plaintext again and TLS again, all on one TCP socket.
//!
//! `cargo run --example starttls_roundtrip`
//!
//! A line protocol in the way of SMTP, FTP and LDAP: `STARTTLS` turns TLS on, a bidirectional close
//! turns it off. The server sends a line right after its `close_notify`, so both often arrive in one
//! segment: a stream that reads past `close_notify` would lose the line.

mod support;

use std::{error::Error, io, sync::Arc};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tls_shutdown::{GracefulStream, RecordAligned, ShutdownExt, tokio_rustls};

type Clear = BufReader<RecordAligned<TcpStream>>;

/// A socket that is in the clear.
fn clear(tcp: TcpStream) -> Clear {
    BufReader::new(RecordAligned::new(tcp).into_plaintext())
}

/// The same socket, about to speak TLS. The peer's first record may have been read already.
fn aligned(clear: Clear) -> RecordAligned<TcpStream> {
    let buffered = clear.buffer().to_vec();
    let (tcp, ahead) = clear.into_inner().into_parts();
    RecordAligned::with_prefix(tcp, [buffered, ahead].concat())
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), line: &str) -> io::Result<()> {
    stream.write_all(format!("{line}\n").as_bytes()).await?;
    stream.flush().await
}

/// Reads a line, or nothing at the end.
async fn receive(stream: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Option<String>> {
    let mut line = String::new();
    let n = stream.read_line(&mut line).await?;
    Ok((n > 0).then(|| line.trim_end().to_owned()))
}

// The client. -----------------------------------------------------------------------------------

/// Sends a line and expects this answer to it.
async fn ask<S>(stream: &mut S, channel: &str, line: &str, answer: &str) -> io::Result<()>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    println!("{channel:5} client: {line}");
    send(stream, line).await?;
    expect(stream, channel, answer).await
}

async fn expect<S>(stream: &mut S, channel: &str, answer: &str) -> io::Result<()>
where
    S: AsyncBufRead + Unpin,
{
    let line = receive(stream).await?;
    println!("{channel:5} server: {}", line.as_deref().unwrap_or("(end)"));
    match line {
        Some(line) if line == answer => Ok(()),
        line => Err(io::Error::other(format!("{line:?} instead of {answer:?}"))),
    }
}

async fn client(tcp: TcpStream, connector: TlsConnector) -> Result<(), Box<dyn Error>> {
    let mut stream = clear(tcp);
    for _ in 0..2 {
        ask(&mut stream, "clear", "who reads this?", "everybody").await?;
        ask(&mut stream, "clear", "STARTTLS", "go ahead").await?;

        let tls = connector
            .connect(support::localhost(), aligned(stream))
            .await?;
        let mut tls = BufReader::new(GracefulStream::new(tls));
        ask(&mut tls, "TLS", "and this?", "you and me").await?;

        let mut tls = tls.into_inner();
        let closed = tls.shutdown_bidirectional().await?;
        println!("TLS   {}", closed.peer());
        closed.require_clean()?;
        stream = BufReader::new(tls.into_transport()?);
        expect(&mut stream, "clear", "in the clear again").await?;
    }
    ask(&mut stream, "clear", "QUIT", "bye").await?;
    Ok(())
}

// The server. -----------------------------------------------------------------------------------

/// Answers lines up to `STARTTLS` (then it returns true), `QUIT` or the end.
async fn serve_lines<S>(stream: &mut S, reader: &str) -> io::Result<bool>
where
    S: AsyncBufRead + AsyncWrite + Unpin,
{
    while let Some(line) = receive(stream).await? {
        match line.as_str() {
            "STARTTLS" => {
                send(stream, "go ahead").await?;
                return Ok(true);
            }
            "QUIT" => {
                send(stream, "bye").await?;
                break;
            }
            _ => send(stream, reader).await?,
        }
    }
    Ok(false)
}

async fn server(tcp: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
    let mut stream = clear(tcp);
    while serve_lines(&mut stream, "everybody").await? {
        let tls = acceptor.accept(aligned(stream)).await?;
        let mut tls = BufReader::new(GracefulStream::new(tls));
        serve_lines(&mut tls, "you and me").await?;

        let mut tls = tls.into_inner();
        tls.shutdown_bidirectional().await?.require_clean()?;
        stream = BufReader::new(tls.into_transport().map_err(io::Error::other)?);
        send(&mut stream, "in the clear again").await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let (client_config, server_config) = support::configs()?;
    let connector = TlsConnector::from(Arc::new(client_config));
    let acceptor = TlsAcceptor::from(Arc::new(server_config));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let connect = TcpStream::connect(listener.local_addr()?);
    let (connected, accepted) = tokio::try_join!(connect, listener.accept())?;
    let served = tokio::spawn(server(accepted.0, acceptor));
    client(connected, connector).await?;
    served.await??;
    println!("all of it came over one TCP socket, and no byte was lost");
    Ok(())
}
