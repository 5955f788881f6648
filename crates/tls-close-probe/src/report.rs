//! The report of one server, as `--json` prints it.

use serde::Serialize;

use crate::{
    close::Close, connect::Facts, converse::Conversation, failure::Failure, timeline::Event,
    verdict::Status,
};

/// `report.schema.json` describes it: a field is never left out, and `null` where nothing is known.
#[derive(Clone, Serialize)]
pub(crate) struct Report {
    /// When the probe began, in UTC.
    pub(crate) time: String,
    /// `host:port`, as it was named.
    pub(crate) server: String,
    pub(crate) status: Status,
    pub(crate) verdict: String,
    pub(crate) advice: Vec<String>,
    /// Why there is no TLS connection.
    pub(crate) failure: Option<Failure>,
    pub(crate) connection: Option<Facts>,
    pub(crate) conversation: Option<Conversation>,
    pub(crate) close: Option<Close>,
    pub(crate) resumption: Option<Resumption>,
    pub(crate) timeline: Vec<Event>,
    /// How much was left out of the timeline.
    pub(crate) timeline_omitted: u64,
}

/// What a second connection did.
#[derive(Clone, Serialize)]
pub(crate) struct Resumption {
    /// Whether it resumed the session of the first.
    pub(crate) resumed: Option<bool>,
    /// Why there was no second connection.
    pub(crate) error: Option<String>,
}
