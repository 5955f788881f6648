//! A program that passes its standard input and output through TLS; a new one for each connection.

use std::time::Duration;

use anyhow::Context;
use tokio::{
    io::AsyncWriteExt,
    sync::oneshot,
    time::{sleep, timeout},
};

use super::Setting;
use crate::{
    peer::Role,
    process::Process,
    scenario::{ANSWER, FLIGHT, HELLO, Report, Scenario, count_payload, payload},
};

/// What such a program needs to take notice of what has come.
const SETTLE: Duration = Duration::from_millis(300);

/// When a program does not end by itself: longer than we wait for its answer.
const OBSTINATE: Duration = Duration::from_secs(5);

pub(crate) struct Pipe {
    pub(crate) program: &'static str,
    /// The command that tells its version.
    pub(crate) version: &'static [&'static str],
    pub(crate) args: fn(Setting<'_>, Connection) -> Vec<String>,
    /// What a server prints before its address.
    pub(crate) listens: &'static str,
    /// What it prints, and the word for that end. The first that is found counts.
    pub(crate) ends: &'static [(&'static str, &'static str)],
}

/// Which connection a process is started for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connection {
    Only,
    /// The first of two; the second is to resume it. A server sees both.
    First,
    Second,
}

pub(crate) struct Session<'a> {
    pipe: &'a Pipe,
    setting: Setting<'a>,
    process: Option<Process>,
    port: u16,
}

impl<'a> Session<'a> {
    pub(crate) fn new(pipe: &'a Pipe, setting: Setting<'a>) -> Self {
        Self {
            pipe,
            setting,
            process: None,
            port: 0,
        }
    }

    pub(crate) async fn begin(&mut self, connection: Connection) -> anyhow::Result<u16> {
        let is_server = self.setting.side.role == Role::Server;
        // Only the process that has given a session away can resume it.
        if connection != Connection::Second || !is_server {
            let args = (self.pipe.args)(self.setting, connection);
            let process = self
                .process
                .insert(Process::start(self.pipe.program, args)?);
            if is_server {
                let address = process.stdout.line(self.pipe.listens).await?;
                let port = address.rsplit(':').next().context("no port")?;
                self.port = port.trim().parse()?;
            }
        }
        Ok(self.port)
    }

    pub(crate) async fn play(
        &mut self,
        scenario: Scenario,
        closed: oneshot::Receiver<()>,
    ) -> anyhow::Result<Report> {
        let process = self.process.as_mut().context("not begun")?;
        process.stdout.line("hello").await?;
        let stdin = process.stdin.as_mut().context("no standard input")?;
        stdin.write_all(HELLO).await?;
        match scenario {
            Scenario::Flight => {
                // It may stop reading when we have closed.
                let _ = stdin.write_all(&payload(FLIGHT)).await;
            }
            Scenario::Half => {
                let _ = closed.await;
                sleep(SETTLE).await;
                let _ = stdin.write_all(&payload(ANSWER)).await;
                process.stdin = None;
            }
            Scenario::Close => process.stdin = None,
            Scenario::ItsFin => {
                // Not before it has read everything, or its system would send RST.
                sleep(SETTLE).await;
                process.child.start_kill()?;
            }
            Scenario::Resume if self.setting.side.role == Role::Server => {
                return Ok(Report::default());
            }
            _ => {}
        }
        // Some end only when their input does, too.
        if timeout(OBSTINATE, process.child.wait()).await.is_err() {
            process.stdin = None;
            process.child.wait().await?;
        }
        let stdout = process.stdout.rest().await;
        let printed = process.printed().await;
        let end = self
            .pipe
            .ends
            .iter()
            .find(|(text, _)| printed.contains(text));
        Ok(Report {
            sent: None,
            got: Some(count_payload(&stdout)),
            end: end.map(|&(_, word)| word.to_owned()),
        })
    }
}
