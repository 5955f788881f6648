//! Uploads 1 MB over TLS and closes, in three ways: the naive ones and the graceful one.
//!
//! `cargo run --release --example graceful_close`
//!
//! A client that only uploads never reads, so the session tickets that a TLS 1.3 server sends after
//! the handshake lie in its socket when it is dropped. The kernel answers unread bytes with a reset
//! instead of a FIN, and drops what is still in the send buffer. The client gets no error.

mod support;

use std::{io, process::ExitCode, sync::Arc};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use rustls::{HandshakeKind, SupportedProtocolVersion};
use support::{configs_with_versions, localhost};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, rustls, server};
use tokio_tls_shutdown::{ShutdownExt, is_missing_close_notify};

// How to close. ---------------------------------------------------------------------------------

/// Naive: dropping sends no `close_notify`, and loses what is still buffered.
async fn upload_and_drop(mut tls: client::TlsStream<TcpStream>, file: &[u8]) -> io::Result<()> {
    tls.write_all(file).await
}

/// Naive: sends `close_notify` and FIN, and does not wait for the server.
async fn upload_and_shutdown(mut tls: client::TlsStream<TcpStream>, file: &[u8]) -> io::Result<()> {
    tls.write_all(file).await?;
    tls.shutdown().await
}

/// Graceful: a server that answers our `close_notify` has received the whole upload.
async fn upload_and_close(mut tls: client::TlsStream<TcpStream>, file: &[u8]) -> io::Result<()> {
    tls.write_all(file).await?;
    tls.shutdown_bidirectional().await?.require_clean()?;
    Ok(())
}

/// The server, the same for all three: reads to the client's `close_notify`, and answers it.
async fn receive(mut tls: server::TlsStream<TcpStream>) -> (usize, io::Result<()>) {
    let mut received = 0;
    let mut chunk = vec![0; 16 * 1024];
    let end = loop {
        match tls.read(&mut chunk).await {
            Ok(0) => break Ok(()),
            Ok(n) => received += n,
            Err(e) => break Err(e),
        }
    };
    if end.is_ok() {
        // A naive client may be gone by now: what it has sent is here all the same.
        let _ = tls.close_notify().await;
    }
    (received, end)
}

// What comes of it. -----------------------------------------------------------------------------

const RUNS: usize = 20;
const FILE: usize = 1_000_000;

#[derive(Clone, Copy, PartialEq)]
enum Way {
    Drop,
    Shutdown,
    Graceful,
}

impl Way {
    const ALL: [Self; 3] = [Self::Drop, Self::Shutdown, Self::Graceful];

    fn name(self) -> &'static str {
        match self {
            Self::Drop => "write_all, drop",
            Self::Shutdown => "shutdown().await, drop",
            Self::Graceful => "shutdown_bidirectional().await",
        }
    }

    async fn upload(self, tls: client::TlsStream<TcpStream>, file: &[u8]) -> io::Result<()> {
        match self {
            Self::Drop => upload_and_drop(tls, file).await,
            Self::Shutdown => upload_and_shutdown(tls, file).await,
            Self::Graceful => upload_and_close(tls, file).await,
        }
    }
}

/// What `RUNS` uploads came to.
#[derive(Default)]
struct Tally {
    told_ok: usize,
    whole: usize,
    bytes: usize,
    close_notify: usize,
    fin: usize,
    reset: usize,
    other: usize,
    resumed: usize,
}

impl Tally {
    async fn measure(
        version: &'static SupportedProtocolVersion,
        way: Way,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let (client, server) = configs_with_versions(&[version])?;
        let connector = TlsConnector::from(Arc::new(client));
        let acceptor = TlsAcceptor::from(Arc::new(server));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let serve = tokio::spawn(async move {
            let mut received = Vec::new();
            for _ in 0..RUNS {
                let (tcp, _) = listener.accept().await?;
                tcp.set_nodelay(true)?;
                received.push(match acceptor.accept(tcp).await {
                    Ok(tls) => receive(tls).await,
                    Err(e) => (0, Err(e)),
                });
            }
            io::Result::Ok(received)
        });

        let mut tally = Self::default();
        let file = vec![b'x'; FILE];
        for _ in 0..RUNS {
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            let tls = connector.connect(localhost(), tcp).await?;
            let resumed = tls.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed);
            tally.resumed += usize::from(resumed);
            tally.told_ok += usize::from(way.upload(tls, &file).await.is_ok());
        }
        for (bytes, end) in serve.await?? {
            tally.bytes += bytes;
            tally.whole += usize::from(bytes == FILE);
            *match end {
                Ok(()) => &mut tally.close_notify,
                Err(e) if is_missing_close_notify(&e) => &mut tally.fin,
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => &mut tally.reset,
                Err(_) => &mut tally.other,
            } += 1;
        }
        Ok(tally)
    }

    fn ends(&self) -> String {
        let ends = [
            (self.close_notify, "close_notify"),
            (self.fin, "FIN without"),
            (self.reset, "reset"),
            (self.other, "another error"),
        ];
        let seen = ends.iter().filter(|(count, _)| *count > 0);
        let seen: Vec<_> = seen.map(|(count, end)| format!("{count} {end}")).collect();
        seen.join(", ")
    }

    fn row(&self, version: &str, way: Way) -> [String; 7] {
        let percent = 100.0 * self.bytes as f64 / (RUNS * FILE) as f64;
        [
            version.into(),
            way.name().into(),
            format!("{} of {RUNS}", self.told_ok),
            format!("{} of {RUNS}", self.whole),
            // Not rounded up: 100 % says that nothing is missing.
            format!("{:.1} %", (percent * 10.0).floor() / 10.0),
            self.ends(),
            format!("{} of {}", self.resumed, RUNS - 1),
        ]
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header([
        "TLS",
        "way of closing",
        "client: Ok",
        "whole uploads",
        "delivered",
        "the server saw",
        "resumed",
    ]);
    for column in [2, 3, 4, 6] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut failed = 0;
    for (name, version) in [
        ("1.3", &rustls::version::TLS13),
        ("1.2", &rustls::version::TLS12),
    ] {
        for way in Way::ALL {
            let tally = Tally::measure(version, way).await?;
            if way == Way::Graceful {
                failed += RUNS - tally.whole.min(tally.told_ok);
            }
            table.add_row(tally.row(name, way));
        }
    }
    println!("{RUNS} one-way uploads of {FILE} bytes each, over loopback TCP with TCP_NODELAY:");
    println!("{table}");
    if failed > 0 {
        eprintln!("{failed} graceful closes failed or lost a part of the upload");
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
