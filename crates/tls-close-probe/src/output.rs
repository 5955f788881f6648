//! What is printed of the reports, and the files that are written.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anstream::AutoStream;
use anyhow::Context;
use console::Term;

use crate::{
    args::Args,
    nagios::{performance_data, status_line},
    page,
    report::Report,
    svg,
    table::Results,
    text::{Details, Text},
};

pub(crate) struct Output<'a> {
    args: &'a Args,
    /// There is more than one server or more than one round.
    lines: bool,
    svg: Option<Destination<'a>>,
    html: Option<Destination<'a>>,
}

/// A file that is open before the probing, so that nobody waits for a result that cannot be written.
struct Destination<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Output<'a> {
    pub(crate) fn new(args: &'a Args, servers: usize) -> anyhow::Result<Self> {
        let open = |path: &'a Option<PathBuf>| path.as_deref().map(Destination::open).transpose();
        Ok(Self {
            args,
            lines: servers > 1 || args.watch.is_some(),
            svg: open(&args.svg)?,
            html: open(&args.html)?,
        })
    }

    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        print(text, self.args.color.into())
    }

    /// Prints the report of one server, where that does not wait for the others.
    pub(crate) fn each(&self, report: &Report) -> anyhow::Result<()> {
        if !self.args.json {
            return Ok(());
        }
        let text = match self.lines {
            true => serde_json::to_string(report)?,
            false => serde_json::to_string_pretty(report)?,
        };
        self.print(&format!("{text}\n"))
    }

    /// Prints what is to be said of all servers of a round.
    pub(crate) fn round(&self, reports: &[Report]) -> anyhow::Result<()> {
        let args = self.args;
        if args.json {
            return Ok(());
        }
        let status = status_line(reports, &args.fail_on);
        if args.nagios {
            let data = performance_data(reports);
            return self.print(&format!("{status}{data}\n"));
        }
        let results = Results {
            reports,
            columns: columns(),
        };
        let text = match reports {
            [report] => {
                let details = Details(report).to_string();
                match details.trim_start_matches('\n') {
                    "" => format!("{status}\n"),
                    details => format!("{status}\n\n{details}"),
                }
            }
            _ if args.verbose => {
                let texts = reports.iter().map(|report| format!("\n{}", Text(report)));
                format!("{status}\n\n{}{}", results, texts.collect::<String>())
            }
            _ => format!("{status}\n\n{}", results),
        };
        self.print(&text)
    }

    pub(crate) fn files(&self, reports: &[Report]) -> anyhow::Result<()> {
        if let (Some(svg), [report]) = (&self.svg, reports) {
            svg.write(&svg::file(report))?;
        }
        if let Some(html) = &self.html {
            html.write(&page::page(reports))?;
        }
        Ok(())
    }
}

/// Returns the width of the terminal, if standard output is one.
fn columns() -> Option<usize> {
    let size = Term::stdout().size_checked()?;
    Some(size.1.into())
}

impl<'a> Destination<'a> {
    /// Opens or creates the file. What is in it stays until there is something to write.
    fn open(path: &'a Path) -> anyhow::Result<Self> {
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false).open(path);
        let file = file.with_context(|| format!("failed to write {}", path.display()))?;
        Ok(Self { path, file })
    }

    fn write(&self, text: &str) -> anyhow::Result<()> {
        let mut file = &self.file;
        let written = file.metadata().and_then(|metadata| {
            // A pipe or a terminal has no length.
            if metadata.is_file() {
                file.set_len(0)?;
            }
            file.write_all(text.as_bytes())
        });
        written.with_context(|| format!("failed to write {}", self.path.display()))
    }
}

/// Prints to standard output. A reader that has seen enough is no error.
pub(crate) fn print(text: &str, color: anstream::ColorChoice) -> anyhow::Result<()> {
    let mut stdout = AutoStream::new(io::stdout(), color);
    let printed = stdout.write_all(text.as_bytes());
    match printed.and_then(|()| stdout.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("failed to print the report"),
    }
}
