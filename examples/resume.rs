//! Ten connections of a client that only writes, and which of them resume the session of the
//! previous one.
//!
//! `cargo run --release --features session-cache --example resume`

mod support;

use std::{error::Error, io, sync::Arc};

use comfy_table::{CellAlignment, Table, presets::UTF8_FULL_CONDENSED};
use rustls::SupportedProtocolVersion;
use support::{configs_with_versions, localhost};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_tls_shutdown::{
    GracefulAcceptor, GracefulConnector, ShutdownExt,
    resumption::{ClientSessions, SessionStats},
    tokio_rustls::rustls,
};

const CONNECTIONS: usize = 10;

#[derive(Clone, Copy)]
enum Way {
    Drop,
    Shutdown,
    Bidirectional,
}

impl Way {
    const ALL: [Self; 3] = [Self::Drop, Self::Shutdown, Self::Bidirectional];

    fn name(self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Shutdown => "shutdown().await",
            Self::Bidirectional => "shutdown_bidirectional().await",
        }
    }
}

/// Reads to the end of each connection, and closes it.
async fn serve(listener: TcpListener, acceptor: GracefulAcceptor) -> io::Result<()> {
    loop {
        let (tcp, _) = listener.accept().await?;
        tcp.set_nodelay(true)?;
        // A client that just leaves may reset the connection: that is its own loss.
        if let Ok(mut tls) = acceptor.accept(tcp).await {
            let _ = tls.read_to_end(&mut Vec::new()).await;
            let _ = tls.shutdown().await;
        }
    }
}

/// Returns for each connection whether it has resumed, and what became of the sessions.
async fn connect_again_and_again(
    version: &'static SupportedProtocolVersion,
    way: Way,
) -> Result<(Vec<bool>, SessionStats), Box<dyn Error>> {
    let (client, server) = configs_with_versions(&[version])?;
    let sessions = ClientSessions::in_memory(16);
    let connector = GracefulConnector::new(Arc::new(client)).with_sessions(sessions.clone());
    let acceptor = GracefulAcceptor::new(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serve = tokio::spawn(serve(listener, acceptor));

    let mut resumed = Vec::new();
    for _ in 0..CONNECTIONS {
        let tcp = TcpStream::connect(address).await?;
        tcp.set_nodelay(true)?;
        let mut tls = connector.connect(localhost(), tcp).await?;
        resumed.push(tls.is_resumed());
        tls.write_all(b"one line for the log\n").await?;
        match way {
            Way::Drop => {}
            Way::Shutdown => tls.shutdown().await?,
            Way::Bidirectional => tls.shutdown_bidirectional().await?.require_clean()?,
        }
    }
    serve.abort();
    Ok((resumed, sessions.stats()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header([
        "TLS",
        "way of closing",
        "1 2 3 4 5 6 7 8 9 10",
        "resumed",
        "sessions received",
        "evicted",
    ]);
    for column in 3..6 {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for (name, version) in [
        ("1.3", &rustls::version::TLS13),
        ("1.2", &rustls::version::TLS12),
    ] {
        for way in Way::ALL {
            let (resumed, stats) = connect_again_and_again(version, way).await?;
            let each = resumed
                .iter()
                .map(|&resumed| if resumed { "r" } else { "-" });
            let count = resumed.iter().filter(|&&resumed| resumed).count();
            table.add_row([
                name.to_owned(),
                way.name().to_owned(),
                each.collect::<Vec<_>>().join(" "),
                format!("{count} of {}", CONNECTIONS - 1),
                stats.received.to_string(),
                (stats.evicted_dropped + stats.evicted_failed).to_string(),
            ]);
        }
    }
    println!(
        "{CONNECTIONS} connections of a client that only writes; r: resumed, -: full handshake"
    );
    println!("{table}");
    Ok(())
}
