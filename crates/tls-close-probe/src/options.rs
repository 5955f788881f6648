//! What is the same for all servers of a run.

use std::time::Duration;

use rustls::ClientConfig;
use tokio_tls_shutdown::tokio_rustls::rustls;

use crate::{args::Args, starttls::Starttls, trust};

pub(crate) struct Options {
    /// To be cloned for each server, so that each has its sessions.
    pub(crate) config: ClientConfig,
    pub(crate) request: Vec<u8>,
    pub(crate) sni: Option<String>,
    pub(crate) starttls: Option<Starttls>,
    pub(crate) has_certificate: bool,
    /// Of each step.
    pub(crate) timeout: Duration,
}

impl Options {
    pub(crate) fn new(args: &Args) -> anyhow::Result<Self> {
        Ok(Self {
            config: trust::config(args)?,
            request: args.request()?,
            sni: args.sni.clone(),
            starttls: args.starttls,
            has_certificate: args.cert.is_some(),
            timeout: args.timeout,
        })
    }
}
