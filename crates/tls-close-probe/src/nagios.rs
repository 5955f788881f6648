//! The status line and the exit status, as Nagios and its kin take them.

use crate::{
    close::Answer, fail_on::FailOn, paint, paint::Painted, report::Report, verdict::Status,
};

/// The exit status of one server or of many; the worst comes last.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
pub(crate) enum State {
    Ok,
    Warning,
    Unknown,
    Critical,
}

impl State {
    pub(crate) fn of(report: &Report, fail_on: &[FailOn]) -> Self {
        match report.status {
            Status::Clean => Self::Ok,
            Status::Unclean => {
                let answer = report.close.as_ref().map(|close| close.answer);
                let named = answer.is_some_and(|a| fail_on.iter().any(|way| includes(*way, a)));
                match named {
                    true => Self::Warning,
                    false => Self::Ok,
                }
            }
            Status::Unreachable => Self::Critical,
            Status::Refused => Self::Unknown,
        }
    }

    pub(crate) fn worst(reports: &[Report], fail_on: &[FailOn]) -> Self {
        let states = reports.iter().map(|report| Self::of(report, fail_on));
        states.fold(Self::Ok, |worst, state| match state > worst {
            true => state,
            false => worst,
        })
    }

    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Warning => 1,
            Self::Critical => 2,
            Self::Unknown => 3,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    fn style(self) -> anstyle::Style {
        let status = match self {
            Self::Ok => Status::Clean,
            Self::Warning => Status::Unclean,
            Self::Critical | Self::Unknown => Status::Unreachable,
        };
        paint::of_status(status).bold()
    }
}

fn includes(way: FailOn, answer: Answer) -> bool {
    match way {
        FailOn::Unclean => answer != Answer::CloseNotify,
        FailOn::Fin => answer == Answer::Fin,
        FailOn::Reset => answer == Answer::Reset,
        FailOn::Silence => answer == Answer::TimedOut,
        FailOn::Flood => answer == Answer::DiscardLimit,
        FailOn::Error => answer == Answer::Failed,
    }
}

/// The first line of the output.
pub(crate) fn status_line(reports: &[Report], fail_on: &[FailOn]) -> String {
    let state = State::worst(reports, fail_on);
    let head = Painted(state.style(), format!("TLS CLOSE {}", state.name()));
    match reports {
        [report] => {
            let Report {
                server,
                status,
                verdict,
                ..
            } = report;
            // A bar would begin the performance data.
            let verdict = verdict.replace('|', "/");
            let status = Painted(paint::of_status(*status), status.name());
            format!("{head} - {server} {status}: {verdict}")
        }
        reports => {
            let statuses = [
                Status::Clean,
                Status::Unclean,
                Status::Refused,
                Status::Unreachable,
            ];
            let counts = statuses.map(|status| {
                let count = count(reports, status);
                format!("{count} {}", status.name())
            });
            let total = reports.len();
            format!("{head} - {total} servers: {}", counts.join(", "))
        }
    }
}

fn count(reports: &[Report], status: Status) -> usize {
    let same = reports.iter().filter(|report| report.status == status);
    same.count()
}

/// The performance data behind a bar: seconds of one server, counts of many. Nothing, if there is none.
pub(crate) fn performance_data(reports: &[Report]) -> String {
    let data = match reports {
        [report] => {
            let mut data = Vec::new();
            if let Some(facts) = &report.connection {
                data.push(format!("handshake={:.6}s", facts.handshake_ms / 1e3));
            }
            if let Some(close) = &report.close {
                data.push(format!("close={:.6}s", close.ms / 1e3));
                data.push(format!("discarded={}B", close.discarded_bytes));
            }
            data.join(" ")
        }
        reports => {
            let statuses = [
                Status::Clean,
                Status::Unclean,
                Status::Refused,
                Status::Unreachable,
            ];
            let counts = statuses.map(|s| format!("{}={}", s.name(), count(reports, s)));
            counts.join(" ")
        }
    };
    match data.as_str() {
        "" => data,
        _ => format!(" | {data}"),
    }
}
