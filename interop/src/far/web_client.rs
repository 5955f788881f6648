//! A web client: a new one for each connection, but for the two that are to share a session.

use anyhow::Context;

use super::{Setting, pipe::Connection};
use crate::{
    process::Process,
    scenario::{FLIGHT, Report, Scenario, count_payload, payload},
};

pub(crate) struct WebClient {
    pub(crate) program: &'static str,
    /// The command that tells its version.
    pub(crate) version: &'static [&'static str],
    /// Makes a request for each URL; posts a file if there is one.
    pub(crate) args: fn(Setting<'_>, urls: &[String], post: Option<&str>) -> Vec<String>,
}

pub(crate) struct Session<'a> {
    client: &'a WebClient,
    setting: Setting<'a>,
    process: Option<Process>,
}

impl<'a> Session<'a> {
    pub(crate) fn new(client: &'a WebClient, setting: Setting<'a>) -> Self {
        Self {
            client,
            setting,
            process: None,
        }
    }

    pub(crate) fn begin(&mut self, connection: Connection) {
        // The first has asked for both.
        if connection != Connection::Second {
            self.process = None;
        }
    }

    pub(crate) async fn play(&mut self, scenario: Scenario) -> anyhow::Result<Report> {
        let url = format!("https://localhost:{}/", self.setting.port);
        if self.process.is_none() {
            let urls = match scenario {
                Scenario::Resume => vec![format!("{url}1"), format!("{url}2")],
                _ => vec![url],
            };
            let file = self.setting.directory.join("upload");
            std::fs::write(&file, payload(FLIGHT))?;
            let file = file.display().to_string();
            let post = (scenario == Scenario::Flight).then_some(&*file);
            let args = (self.client.args)(self.setting, &urls, post);
            self.process = Some(Process::start(self.client.program, args)?);
            if scenario == Scenario::Resume {
                return Ok(Report::default());
            }
        }
        let process = self.process.as_mut().context("not begun")?;
        let status = process.child.wait().await?;
        let got = count_payload(&process.stdout.rest().await);
        let end = match status.success() {
            true => "close_notify".to_owned(),
            false => format!("exit:{}", status.code().unwrap_or(-1)),
        };
        Ok(Report {
            sent: None,
            got: Some(got),
            end: Some(end),
        })
    }
}
