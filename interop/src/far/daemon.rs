//! A server that needs nobody to play its part: it echoes, or serves a file.

use super::{Setting, Talk};
use crate::process::{Process, start_server};

pub(crate) struct Daemon {
    pub(crate) program: &'static str,
    /// The command that tells its version.
    pub(crate) version: &'static [&'static str],
    pub(crate) talk: Talk,
    /// Commands to be run before.
    pub(crate) before: fn(Setting<'_>) -> Vec<Vec<String>>,
    pub(crate) args: fn(Setting<'_>) -> Vec<String>,
}

pub(crate) struct Running {
    /// Killed when it is dropped.
    _process: Process,
    pub(crate) port: u16,
    pub(crate) talk: Talk,
}

impl Daemon {
    pub(crate) async fn start(&self, setting: Setting<'_>) -> anyhow::Result<Running> {
        for command in (self.before)(setting) {
            if let Some((program, args)) = command.split_first() {
                Process::output(program, args).await?;
            }
        }
        let (process, port) = start_server(|port| {
            let setting = Setting { port, ..setting };
            Process::start(self.program, (self.args)(setting))
        })
        .await?;
        Ok(Running {
            _process: process,
            port,
            talk: self.talk,
        })
    }
}
