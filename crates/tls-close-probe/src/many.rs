//! Probes many servers in parallel.

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use futures_util::{StreamExt, stream};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{options::Options, probe::probe, report::Report, target::Target};

/// Probes all, `jobs` at a time, and passes each report to `each` as soon as it is there. Returns
/// them in the order of the servers.
pub(crate) async fn probe_all(
    targets: &[Target],
    options: &Options,
    jobs: usize,
    mut each: impl FnMut(&Report, &ProgressBar) -> anyhow::Result<()>,
) -> anyhow::Result<Vec<Report>> {
    let bar = bar(targets.len());
    let mut reports: Vec<Option<Report>> = targets.iter().map(|_| None).collect();
    let probes = targets
        .iter()
        .enumerate()
        .map(|(number, target)| async move { (number, probe(target, options).await) });
    let mut probes = stream::iter(probes).buffer_unordered(jobs);
    while let Some((number, report)) = probes.next().await {
        bar.set_message(report.server.clone());
        bar.inc(1);
        each(&report, &bar)?;
        reports[number] = Some(report);
    }
    bar.finish_and_clear();
    Ok(reports.into_iter().flatten().collect())
}

/// On standard error, if that is a terminal and there is more than one server.
fn bar(servers: usize) -> ProgressBar {
    if servers < 2 || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(Some(servers as u64), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:30.cyan} {pos}/{len} {elapsed} {wide_msg:.dim}");
    if let Ok(style) = style {
        bar.set_style(style.progress_chars("━╸─"));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
