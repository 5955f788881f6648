//! The far end of a connection: a peer in one role and version, running.

pub(crate) mod daemon;
pub(crate) mod pipe;
pub(crate) mod proxy;
pub(crate) mod script;
pub(crate) mod web_client;

use std::path::Path;

use tokio::sync::oneshot;

use self::pipe::Connection;
use crate::{
    identity::Identity,
    peer::{Kind, Side},
    scenario::{Report, Scenario},
};

/// Where a peer is started.
#[derive(Clone, Copy)]
pub(crate) struct Setting<'a> {
    pub(crate) side: Side,
    pub(crate) identity: &'a Identity,
    /// Its own port if it is the server, else ours.
    pub(crate) port: u16,
    /// For files of its own.
    pub(crate) directory: &'a Path,
}

/// Which protocol is spoken over TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Both say hello, then the scenario.
    Hello,
    /// We ask a web server.
    Ask,
    /// We are the web server.
    Serve,
}

pub(crate) enum Far<'a> {
    Script(script::Running),
    Pipe(pipe::Session<'a>),
    Proxy(proxy::Running),
    Daemon(daemon::Running),
    WebClient(web_client::Session<'a>),
}

impl<'a> Far<'a> {
    pub(crate) async fn open(
        kind: &'a Kind,
        argv: &[String],
        setting: Setting<'a>,
    ) -> anyhow::Result<Self> {
        Ok(match kind {
            Kind::Script(_) => Self::Script(script::Running::start(argv, setting).await?),
            Kind::Pipe(pipe) => Self::Pipe(pipe::Session::new(pipe, setting)),
            Kind::Proxy(proxy) => Self::Proxy(proxy.start(setting).await?),
            Kind::Daemon(daemon) => Self::Daemon(daemon.start(setting).await?),
            Kind::WebClient(client) => Self::WebClient(web_client::Session::new(client, setting)),
        })
    }

    pub(crate) fn talk(&self) -> Talk {
        match self {
            Self::Daemon(daemon) => daemon.talk,
            Self::WebClient(_) => Talk::Serve,
            _ => Talk::Hello,
        }
    }

    /// Makes ready for a connection; returns the port to connect to, or 0 if it is the client.
    pub(crate) async fn begin(&mut self, connection: Connection) -> anyhow::Result<u16> {
        match self {
            Self::Script(script) => Ok(script.port),
            Self::Pipe(pipe) => pipe.begin(connection).await,
            Self::Proxy(proxy) => Ok(proxy.tls_port()),
            Self::Daemon(daemon) => Ok(daemon.port),
            Self::WebClient(client) => {
                client.begin(connection);
                Ok(0)
            }
        }
    }

    /// Plays its part. `closed` tells when our close_notify is out.
    pub(crate) async fn play(
        &mut self,
        scenario: Scenario,
        closed: oneshot::Receiver<()>,
    ) -> anyhow::Result<Report> {
        match self {
            Self::Script(script) => script.play(scenario).await,
            Self::Pipe(pipe) => pipe.play(scenario, closed).await,
            Self::Proxy(proxy) => proxy.play(scenario, closed).await,
            Self::Daemon(_) => Ok(Report::default()),
            Self::WebClient(client) => client.play(scenario).await,
        }
    }
}
