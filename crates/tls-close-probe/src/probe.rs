//! Probes one server.

use std::{sync::Arc, time::SystemTime};

use tokio::time::Instant;

use crate::{
    close::{self, Close},
    connect::{self, Connected, Facts},
    converse::{self, Conversation},
    failure::Failure,
    options::Options,
    report::{Report, Resumption},
    target::Target,
    timeline::Timeline,
    verdict::{self, Status},
};

/// What was seen of a connection.
struct Seen {
    facts: Facts,
    conversation: Conversation,
    close: Close,
    resumption: Resumption,
}

pub(crate) async fn probe(target: &Target, options: &Options) -> Report {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let timeline = Arc::new(Timeline::new(Instant::now()));
    let outcome = connections(target, options, &timeline).await;
    let (timeline, timeline_omitted) = timeline.events();
    let mut report = Report {
        time,
        server: target.name(),
        status: Status::Clean,
        verdict: String::new(),
        advice: Vec::new(),
        failure: None,
        connection: None,
        conversation: None,
        close: None,
        resumption: None,
        timeline,
        timeline_omitted,
    };
    let verdict = match outcome {
        Ok(seen) => {
            let verdict = verdict::of_close(&seen.facts, &seen.conversation, &seen.close);
            report.connection = Some(seen.facts);
            report.conversation = Some(seen.conversation);
            report.close = Some(seen.close);
            report.resumption = Some(seen.resumption);
            verdict
        }
        Err(failure) => {
            let verdict = verdict::of_failure(&failure);
            report.failure = Some(failure);
            verdict
        }
    };
    report.status = verdict.status;
    report.verdict = verdict.words;
    report.advice = verdict.advice;
    report
}

async fn connections(
    target: &Target,
    options: &Options,
    timeline: &Arc<Timeline>,
) -> Result<Seen, Failure> {
    // The sessions of one probe are its own.
    let mut config = options.config.clone();
    config.resumption = Default::default();
    let Connected { mut stream, facts } =
        connect::connect(target, options, &config, timeline).await?;
    let conversation = converse::converse(&mut stream, &options.request, options.timeout).await;
    let close = close::close(stream, options.timeout, timeline).await;

    let unseen = Arc::new(Timeline::new(Instant::now()));
    let second = connect::connect(target, options, &config, &unseen).await;
    let resumption = match second {
        Ok(second) => {
            let resumed = second.facts.resumed;
            close::close_politely(second.stream).await;
            Resumption {
                resumed: Some(resumed),
                error: None,
            }
        }
        Err(failure) => Resumption {
            resumed: None,
            error: Some(failure.message),
        },
    };
    Ok(Seen {
        facts,
        conversation,
        close,
        resumption,
    })
}
