//! What the examples that serve share: when to stop, a client to show it with, and the report.

use std::{error::Error, io, net::SocketAddr, sync::Arc};

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{ClientConfig, ServerConfig},
};
use tokio_tls_shutdown::{DrainReport, tokio_rustls};

/// Serves until Ctrl-C, on a certificate made on the spot.
#[derive(Parser)]
pub(crate) struct Args {
    /// Where to listen.
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// Be the client too, on a free port, and stop after that.
    #[arg(long)]
    demo: bool,
}

impl Args {
    pub(crate) async fn listen(&self) -> io::Result<TcpListener> {
        let mut address = self.listen;
        if self.demo {
            address.set_port(0);
        }
        let listener = TcpListener::bind(address).await?;
        println!("https://localhost:{}/", listener.local_addr()?.port());
        Ok(listener)
    }

    /// Waits for Ctrl-C, or runs `demo` and returns what that holds open.
    pub(crate) async fn until_stopped<T>(
        &self,
        demo: impl Future<Output = Result<T, Box<dyn Error>>>,
    ) -> Result<Option<T>, Box<dyn Error>> {
        if self.demo {
            return demo.await.map(Some);
        }
        tokio::signal::ctrl_c().await?;
        Ok(None)
    }
}

/// The configurations of [`configs`](super::configs), with these protocols in both.
pub(crate) fn configs(
    protocols: &[&str],
) -> Result<(Arc<ClientConfig>, Arc<ServerConfig>), Box<dyn Error>> {
    let (mut client, mut server) = super::configs()?;
    let protocols: Vec<_> = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    client.alpn_protocols = protocols.clone();
    server.alpn_protocols = protocols;
    Ok((Arc::new(client), Arc::new(server)))
}

/// Connects a plain client.
pub(crate) async fn connect(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
) -> io::Result<TlsStream<TcpStream>> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let connector = TlsConnector::from(Arc::clone(config));
    connector.connect(super::localhost(), tcp).await
}

/// Sends a request, and reads until `part` of the response is there.
pub(crate) async fn get(
    config: &Arc<ClientConfig>,
    address: SocketAddr,
    path: &str,
    part: &str,
) -> io::Result<TlsStream<TcpStream>> {
    let mut tls = connect(config, address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    tls.write_all(request.as_bytes()).await?;
    let mut seen = Vec::new();
    while !seen.windows(part.len()).any(|end| end == part.as_bytes()) {
        if tls.read_buf(&mut seen).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(tls)
}

/// Reads to close_notify and answers it. Returns what was read.
pub(crate) async fn rest(mut tls: TlsStream<TcpStream>) -> io::Result<String> {
    let mut rest = String::new();
    tls.read_to_string(&mut rest).await?;
    tls.shutdown().await?;
    Ok(rest)
}

/// Prints what a drain has come to.
pub(crate) fn print(report: &DrainReport) {
    let closed = &report.closed;
    let mut table = Table::new();
    table
        .load_preset(UTF8_FULL_CONDENSED)
        .set_header(["connections", ""]);
    for (how, count) in [
        ("open when the drain began", report.open_before as u64),
        ("close_notify from both", closed.clean),
        ("close_notify from us alone", closed.one_way),
        ("FIN without close_notify", closed.eof),
        ("reset before our close_notify", closed.reset),
        (
            "reset after our close_notify",
            closed.reset_after_close_notify,
        ),
        ("timed out", closed.timed_out),
        ("more than the discard limit", closed.discard_limit),
        ("failed", closed.failed),
        ("dropped without a close", closed.dropped),
        ("aborted at the deadline", closed.aborted),
        ("still open", report.still_open as u64),
    ] {
        table.add_row([how.to_owned(), count.to_string()]);
    }
    if let Some(counts) = table.column_mut(1) {
        counts.set_cell_alignment(CellAlignment::Right);
    }
    println!("{table}");
}
