//! What is the same for all servers of a run.

use std::time::Duration;

use anyhow::Context;
use rustls::{ClientConfig, pki_types::ServerName};
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
        if let Some(name) = &args.sni {
            ServerName::try_from(name.as_str())
                .with_context(|| format!("invalid server name `{name}` in --sni"))?;
        }
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
