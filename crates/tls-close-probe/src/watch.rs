//! `--watch`: probes again and again.

use std::{collections::HashMap, time::SystemTime};

use tokio::time::sleep;

use crate::{
    args::Args,
    many::probe_all,
    nagios::{State, performance_data, status_line},
    options::Options,
    output::Output,
    report::Report,
    target::Target,
    verdict::Status,
};

/// Probes until the last round, or until it is interrupted; returns the worst state of the rounds
/// that were finished.
pub(crate) async fn watch(
    targets: &[Target],
    options: &Options,
    args: &Args,
    output: &Output<'_>,
) -> anyhow::Result<State> {
    let Some(pause) = args.watch else {
        return Ok(State::Ok);
    };
    let mut worst = State::Ok;
    let mut before = HashMap::new();
    let mut round = 0;
    let mut stop = std::pin::pin!(stopped()?);
    loop {
        let probed = probe_all(targets, options, args.jobs.into(), |report, bar| {
            bar.suspend(|| output.each(report))
        });
        let reports = tokio::select! {
            reports = probed => reports?,
            _ = &mut stop => return Ok(worst),
        };
        let state = State::worst(&reports, &args.fail_on);
        if state > worst {
            worst = state;
        }
        if !args.json {
            output.print(&lines(&reports, args, &mut before))?;
        }
        round += 1;
        if args.rounds == Some(round) {
            return Ok(worst);
        }
        tokio::select! {
            () = sleep(pause) => {}
            _ = &mut stop => return Ok(worst),
        }
    }
}

/// Ends with the first Ctrl-C or SIGTERM, which end the program no more by themselves.
#[cfg(unix)]
fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends with the first Ctrl-C.
#[cfg(not(unix))]
fn stopped() -> anyhow::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// One line of the round, and one of each server whose status is not that of the round before.
fn lines(reports: &[Report], args: &Args, before: &mut HashMap<String, Status>) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let mut text = format!("{now} {}", status_line(reports, &args.fail_on));
    if args.nagios {
        text += &performance_data(reports);
    }
    text.push('\n');
    for report in reports {
        let was = before.insert(report.server.clone(), report.status);
        match was {
            Some(was) if was != report.status => {
                let Report {
                    server, verdict, ..
                } = report;
                let (was, is) = (was.name(), report.status.name());
                text += &format!("{now} {server} changed from {was} to {is}: {verdict}\n");
            }
            _ => {}
        }
    }
    text
}
