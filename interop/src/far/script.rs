//! A program of ours in `peers/` that plays the scenarios with its TLS stack.

use std::path::Path;

use anyhow::Context;
use tokio::io::AsyncWriteExt;

use super::Setting;
use crate::{
    peer::Role,
    process::Process,
    scenario::{Report, Scenario},
};

/// How the program is built and run.
pub(crate) enum Script {
    Interpreted {
        program: &'static str,
        file: &'static str,
        /// Its first arguments.
        args: &'static [&'static str],
    },
    Go,
    Java,
    /// A package in `peers/rust`.
    Cargo {
        package: &'static str,
    },
}

impl Script {
    /// Builds it; returns how to start it.
    pub(crate) async fn build(&self, directory: &Path) -> anyhow::Result<Vec<String>> {
        let peers = concat!(env!("CARGO_MANIFEST_DIR"), "/peers");
        let directory = directory.display().to_string();
        match *self {
            Self::Interpreted {
                program,
                file,
                args,
            } => {
                let file = format!("{peers}/{file}");
                let args = args.iter().map(|&arg| arg.to_owned());
                Ok([program.to_owned(), file].into_iter().chain(args).collect())
            }
            Self::Go => {
                let output = format!("{directory}/peer");
                let source = format!("{peers}/go/main.go");
                Process::output("go", ["build", "-o", &output, &source]).await?;
                Ok(vec![output])
            }
            Self::Java => {
                let source = format!("{peers}/java/Peer.java");
                Process::output("javac", ["-d", &directory, &source]).await?;
                let args = ["java", "-XX:TieredStopAtLevel=1", "-cp", &directory, "Peer"];
                Ok(args.map(str::to_owned).to_vec())
            }
            Self::Cargo { package } => {
                let manifest = format!("{peers}/rust/Cargo.toml");
                // Beside our own: `target/release/..`.
                let own = std::env::current_exe()?;
                let target = own.ancestors().nth(2).context("no target directory")?;
                let target = target.display().to_string();
                let mut args = vec!["build", "--manifest-path", &manifest];
                args.extend(["--release", "--target-dir", &target, "--package", package]);
                Process::output(env!("CARGO"), args).await?;
                Ok(vec![format!("{target}/release/{package}")])
            }
        }
    }
}

pub(crate) struct Running {
    process: Process,
    /// How much of its output has been read.
    read: usize,
    pub(crate) port: u16,
    pub(crate) version: String,
}

impl Running {
    pub(crate) async fn start(argv: &[String], setting: Setting<'_>) -> anyhow::Result<Self> {
        let (program, first) = argv.split_first().context("an empty command")?;
        let certificate = match setting.side.role {
            Role::Server => setting.identity.certificate_file(),
            Role::Client => setting.identity.root_file(),
        };
        let mut args = first.to_vec();
        args.extend([
            setting.side.role.name().to_owned(),
            setting.side.version.number().to_owned(),
            certificate,
            setting.identity.key_file(),
            setting.port.to_string(),
        ]);
        let mut process = Process::start(program, args)?;
        let (line, read) = match process.stdout.line_at(0).await {
            Ok(ready) => ready,
            Err(_) => anyhow::bail!("{program}: {}", process.printed().await),
        };
        let ready = (line.strip_prefix("ready ")).and_then(|rest| rest.split_once(' '));
        let (port, version) = ready.with_context(|| format!("not ready: {line}"))?;
        Ok(Self {
            process,
            read,
            port: port.parse()?,
            version: version.to_owned(),
        })
    }

    pub(crate) async fn play(&mut self, scenario: Scenario) -> anyhow::Result<Report> {
        let stdin = self.process.stdin.as_mut().context("no standard input")?;
        let line = format!("{}\n", scenario.verb());
        stdin.write_all(line.as_bytes()).await?;
        let (line, read) = self.process.stdout.line_at(self.read).await?;
        self.read = read;
        let mut report = Report::default();
        for (name, value) in line.split(' ').filter_map(|word| word.split_once('=')) {
            match name {
                "sent" => report.sent = Some(value.parse()?),
                "got" => report.got = Some(value.parse()?),
                _ => report.end = Some(value.to_owned()),
            }
        }
        Ok(report)
    }
}
