//! The results of many servers, one a line.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use crate::{close::Answer, paint, paint::Painted, report::Report};

pub(crate) struct Results<'a> {
    pub(crate) reports: &'a [Report],
    /// Longer lines are cut.
    pub(crate) columns: Option<usize>,
}

impl Results<'_> {
    fn cut(&self, line: &str) -> String {
        let line = line.trim_end();
        match self.columns {
            Some(columns) if line.chars().count() > columns => {
                let kept = columns.saturating_sub(3);
                line.chars().take(kept).chain("...".chars()).collect()
            }
            _ => line.into(),
        }
    }
}

impl fmt::Display for Results<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new();
        table.load_preset(presets::NOTHING);
        table.set_header(["server", "status", "TLS", "close ms", "verdict"]);
        for report in self.reports {
            table.add_row(row(report));
        }
        if let Some(column) = table.column_mut(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        // No cell has a line break, so that each line is a report.
        let mut lines = table.lines();
        if let Some(header) = lines.next() {
            writeln!(f, "{}", Painted(paint::DIM, self.cut(&header)))?;
        }
        for (line, report) in lines.zip(self.reports) {
            let style = paint::of_status(report.status);
            writeln!(f, "{}", Painted(style, self.cut(&line)))?;
        }
        Ok(())
    }
}

/// The cells that table and page have of a report.
pub(crate) fn row(report: &Report) -> [String; 5] {
    let version = report.connection.as_ref();
    let version = version.map(|facts| facts.tls_version.number().to_owned());
    // What has failed was no close, so that its time means nothing.
    let close = report.close.as_ref();
    let close = close.filter(|close| close.answer != Answer::Failed);
    let ms = close.map(|close| format!("{:.3}", close.ms));
    [
        report.server.clone(),
        report.status.name().into(),
        version.unwrap_or_else(|| "-".into()),
        ms.unwrap_or_else(|| "-".into()),
        report.verdict.replace(['\n', '\r'], " "),
    ]
}
