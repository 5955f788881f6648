//! Plays the scenarios with one side of one peer, and says what came of each.

use std::{os::fd::AsFd, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, bail, ensure};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::oneshot,
    time::timeout,
};
use tokio_tls_shutdown::RecordAligned;

use crate::{
    far::{Far, Setting, Talk, pipe::Connection},
    http,
    identity::Identity,
    library::Library,
    ours,
    peer::{Peer, Side},
    scenario::{ANSWER, End, FLIGHT, Ours, Report, Scenario},
    stack::{Openssl, Rustls, Stack, Tls},
};

/// How long one scenario may take.
const LIMIT: Duration = Duration::from_secs(10);
/// Not tried.
const NOT_TRIED: &str = "-";

pub(crate) struct Cell {
    pub(crate) scenario: Scenario,
    pub(crate) expected: &'static str,
    pub(crate) observed: String,
}

impl Cell {
    pub(crate) fn is_as_expected(&self) -> bool {
        self.expected.split(" or ").any(|one| one == self.observed)
    }
}

pub(crate) struct Row {
    /// What we run on.
    pub(crate) library: Library,
    pub(crate) side: Side,
    pub(crate) cells: Vec<Cell>,
    /// What a peer of ours says of its stack.
    pub(crate) version: Option<String>,
}

/// Our two roles, towards one side of a peer.
struct Driver<S> {
    listener: TcpListener,
    stack: S,
}

/// What the rows of a peer have in common.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) peer: &'static Peer,
    /// How it is started, where it was built.
    pub(crate) argv: Vec<String>,
    pub(crate) identity: Arc<Identity>,
    /// For its files.
    pub(crate) directory: PathBuf,
}

/// Plays a row of the table of one library.
pub(crate) async fn play_row(
    library: Library,
    stage: Stage,
    side: Side,
    expected: [&'static str; Scenario::ALL.len()],
) -> anyhow::Result<Row> {
    let (cells, version) = match library {
        Library::Rustls => play_cells::<Rustls>(library, stage, side, expected).await?,
        Library::Openssl => play_cells::<Openssl>(library, stage, side, expected).await?,
    };
    Ok(Row {
        library,
        side,
        cells,
        version,
    })
}

async fn play_cells<S: Stack>(
    library: Library,
    stage: Stage,
    side: Side,
    expected: [&'static str; Scenario::ALL.len()],
) -> anyhow::Result<(Vec<Cell>, Option<String>)>
where
    Tls<S, TcpStream>: AsFd,
    Tls<S, RecordAligned<TcpStream>>: AsFd,
{
    let Stage {
        peer,
        argv,
        identity,
        directory,
    } = stage;
    let directory = directory.join(format!("{library} {side}").replace(' ', "-"));
    std::fs::create_dir_all(&directory)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let setting = Setting {
        side,
        identity: &identity,
        port: listener.local_addr()?.port(),
        directory: &directory,
    };
    let driver = Driver {
        listener,
        stack: S::new(&identity, side.version)?,
    };

    let mut cells = Vec::new();
    let mut far: Option<Far<'_>> = None;
    let mut version = None;
    for (scenario, expected) in Scenario::ALL.into_iter().zip(expected) {
        let mut observed = NOT_TRIED.to_owned();
        if expected != NOT_TRIED {
            let playing = async {
                let far = match &mut far {
                    Some(far) => far,
                    none => none.insert(Far::open(&peer.kind, &argv, setting).await?),
                };
                if let Far::Script(script) = far {
                    version = Some(script.version.clone());
                }
                driver.play(scenario, far).await
            };
            observed = match timeout(LIMIT, playing).await {
                Ok(Ok(observed)) => observed,
                failed => {
                    // It may be in the middle of something.
                    far = None;
                    match failed {
                        Ok(Err(e)) => format!("failed: {e:#}"),
                        _ => "failed: not done in time".to_owned(),
                    }
                }
            };
        }
        cells.push(Cell {
            scenario,
            expected,
            observed,
        });
    }
    Ok((cells, version))
}

impl<S: Stack> Driver<S>
where
    Tls<S, TcpStream>: AsFd,
    Tls<S, RecordAligned<TcpStream>>: AsFd,
{
    /// Plays one scenario; returns what belongs in its cell, or an error if we have done wrong.
    async fn play(&self, scenario: Scenario, far: &mut Far<'_>) -> anyhow::Result<String> {
        // A session that is resumed must be of the connection before.
        let client = self.stack.client()?;
        let first = match scenario {
            Scenario::Resume => Connection::First,
            _ => Connection::Only,
        };
        let (ours, report, mut resumed) = self.connection(scenario, far, &client, first).await?;
        judge(scenario, ours, &report)?;
        if first == Connection::First {
            let second = Connection::Second;
            resumed = self.connection(scenario, far, &client, second).await?.2;
        }
        Ok(match scenario {
            Scenario::Answer | Scenario::Close | Scenario::ItsFin | Scenario::ItsRst => {
                ours.end.to_string()
            }
            Scenario::Flight => {
                let to_us = part(ours.got, FLIGHT);
                match report.got.map(|got| part(got, FLIGHT)) {
                    Some(to_it) if to_it != to_us => format!("{to_us} to us, {to_it} to it"),
                    _ => to_us.to_owned(),
                }
            }
            Scenario::Half => part(ours.got, ANSWER).to_owned(),
            Scenario::OurFin | Scenario::OurRst => match report.end.as_deref() {
                Some("close_notify") => "taken for close_notify".to_owned(),
                Some(_) => "noticed".to_owned(),
                None => "not told".to_owned(),
            },
            Scenario::Resume if resumed => "resumed".to_owned(),
            Scenario::Resume => "full handshake".to_owned(),
            Scenario::Plain => "works".to_owned(),
        })
    }

    async fn connection(
        &self,
        scenario: Scenario,
        far: &mut Far<'_>,
        client: &S::Client,
        connection: Connection,
    ) -> anyhow::Result<(Ours, Report, bool)> {
        let port = far.begin(connection).await?;
        let talk = far.talk();
        let (closed, is_closed) = oneshot::channel();
        let (ours, report) = tokio::try_join!(
            self.our_part(scenario, talk, client, port, closed),
            far.play(scenario, is_closed)
        )?;
        Ok((ours.0, report, ours.1))
    }

    async fn our_part(
        &self,
        scenario: Scenario,
        talk: Talk,
        client: &S::Client,
        port: u16,
        closed: oneshot::Sender<()>,
    ) -> anyhow::Result<(Ours, bool)> {
        macro_rules! play {
            ($tls:ident) => {{
                let mut $tls = $tls.context("handshake")?;
                let resumed = $tls.is_resumed();
                let ours = match talk {
                    Talk::Hello => ours::play(scenario, &mut $tls, closed).await?,
                    Talk::Ask => http::ask(scenario, &mut $tls).await?,
                    Talk::Serve => http::serve(scenario, &mut $tls).await?,
                };
                (ours, resumed, $tls)
            }};
        }
        macro_rules! play_and_reuse {
            ($tls:ident) => {{
                let (ours, resumed, tls) = play!($tls);
                ours::reuse(&mut S::into_transport(tls)?).await?;
                (ours, resumed)
            }};
        }
        let plain = scenario == Scenario::Plain;
        Ok(if port != 0 {
            let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
            tcp.set_nodelay(true)?;
            if plain {
                let io = RecordAligned::new(tcp);
                let tls = S::connect(client, io).await;
                play_and_reuse!(tls)
            } else {
                let tls = S::connect(client, tcp).await;
                let (ours, resumed, _tls) = play!(tls);
                (ours, resumed)
            }
        } else {
            let (tcp, _) = self.listener.accept().await?;
            tcp.set_nodelay(true)?;
            if plain {
                let tls = self.stack.accept(RecordAligned::new(tcp)).await;
                play_and_reuse!(tls)
            } else {
                let tls = self.stack.accept(tcp).await;
                let (ours, resumed, _tls) = play!(tls);
                (ours, resumed)
            }
        })
    }
}

/// What must hold whatever the peer does.
fn judge(scenario: Scenario, ours: Ours, report: &Report) -> anyhow::Result<()> {
    let said = report.end.as_deref();
    match scenario {
        // A proxy is free to make a close of its own out of it.
        Scenario::ItsFin | Scenario::ItsRst => ensure!(
            report.sent.is_none() || ours.end != End::CloseNotify,
            "it sent no close_notify, and we saw one"
        ),
        Scenario::Answer | Scenario::Half | Scenario::Resume | Scenario::Plain => ensure!(
            said.is_none_or(|said| said == "close_notify"),
            "it has not seen our close_notify: {}",
            said.unwrap_or_default()
        ),
        _ => {}
    }
    if let (Some(sent), End::CloseNotify) = (report.sent, ours.end) {
        ensure!(
            ours.got >= sent,
            "it sent {sent} bytes and a close_notify, and we got {} of them",
            ours.got
        );
    }
    if let (Scenario::Flight, Some(got), Some("close_notify")) = (scenario, report.got, said) {
        ensure!(
            got == FLIGHT,
            "it got {got} of our {FLIGHT} bytes and a close_notify"
        );
    }
    if let (Scenario::Plain, end) = (scenario, ours.end) {
        if end != End::CloseNotify {
            bail!("a close that ended with {end}");
        }
    }
    Ok(())
}

fn part(got: usize, of: usize) -> &'static str {
    match got {
        0 => "none",
        _ if got < of => "cut",
        _ => "whole",
    }
}
