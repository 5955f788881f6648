//! A proxy that ends or begins TLS, with us on its plain side too.

use std::time::Duration;

use anyhow::Context;
use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};

use super::Setting;
use crate::{
    peer::Role,
    process::{Process, start_server},
    scenario::{ANSWER, FLIGHT, HELLO, Report, Scenario, payload},
};

/// How long the plain side waits for an end that the proxy need not pass on.
const SETTLE: Duration = Duration::from_millis(300);

pub(crate) struct Proxy {
    pub(crate) program: &'static str,
    /// The command that tells its version.
    pub(crate) version: &'static [&'static str],
    pub(crate) config: fn(Setting<'_>, Ports) -> String,
    pub(crate) args: fn(&str) -> Vec<String>,
}

/// Where a proxy listens, and where it connects to: TLS is on the outer side of a server and on
/// the inner side of a client.
#[derive(Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) listen: u16,
    pub(crate) target: u16,
}

pub(crate) struct Running {
    /// Killed when it is dropped.
    _process: Process,
    port: u16,
    /// Where a server connects to.
    plain: Option<TcpListener>,
}

impl Proxy {
    pub(crate) async fn start(&self, setting: Setting<'_>) -> anyhow::Result<Running> {
        let (plain, target) = match setting.side.role {
            Role::Server => {
                let plain = TcpListener::bind("127.0.0.1:0").await?;
                let port = plain.local_addr()?.port();
                (Some(plain), port)
            }
            Role::Client => (None, setting.port),
        };
        let (process, port) = start_server(|listen| {
            let file = setting.directory.join("proxy.conf");
            std::fs::write(&file, (self.config)(setting, Ports { listen, target }))?;
            Process::start(self.program, (self.args)(&file.display().to_string()))
        })
        .await?;
        Ok(Running {
            _process: process,
            port,
            plain,
        })
    }
}

impl Running {
    pub(crate) fn tls_port(&self) -> u16 {
        match self.plain {
            Some(_) => self.port,
            None => 0,
        }
    }

    pub(crate) async fn play(
        &mut self,
        scenario: Scenario,
        closed: oneshot::Receiver<()>,
    ) -> anyhow::Result<Report> {
        let mut tcp = match &self.plain {
            Some(plain) => plain.accept().await?.0,
            None => TcpStream::connect(("127.0.0.1", self.port)).await?,
        };
        let mut hello = [0; HELLO.len()];
        tcp.read_exact(&mut hello).await.context("its greeting")?;
        tcp.write_all(HELLO).await?;
        let mut got = 0;
        let mut end = None;
        match scenario {
            Scenario::Close => {}
            Scenario::ItsRst => {
                tcp.read_exact(&mut hello).await?;
                SockRef::from(&tcp).set_linger(Some(Duration::ZERO))?;
            }
            Scenario::Flight => {
                let (mut read, mut write) = tcp.split();
                let data = payload(FLIGHT);
                let (read, _) = tokio::join!(read_to_end(&mut read), write.write_all(&data));
                got = read.0;
                end = Some(read.1);
            }
            Scenario::Half => {
                let _ = closed.await;
                let _ = timeout(SETTLE, read_to_end(&mut tcp)).await;
                let _ = tcp.write_all(&payload(ANSWER)).await;
                let _ = tcp.shutdown().await;
                // Closed with unread bytes it would send RST.
                let _ = timeout(SETTLE, read_to_end(&mut tcp)).await;
            }
            _ => {
                let read = read_to_end(&mut tcp).await;
                got = read.0;
                end = Some(read.1);
            }
        }
        Ok(Report {
            sent: None,
            got: Some(got),
            end,
        })
    }
}

/// Returns how much has come and the proxy's word for the end: it passes a clean one on as FIN.
async fn read_to_end(tcp: &mut (impl AsyncReadExt + Unpin)) -> (usize, String) {
    let mut got = 0;
    let mut buf = vec![0; 65_536];
    loop {
        match tcp.read(&mut buf).await {
            Ok(0) => return (got, "close_notify".to_owned()),
            Ok(n) => got += n,
            Err(_) => return (got, "reset".to_owned()),
        }
    }
}
