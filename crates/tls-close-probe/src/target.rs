//! Which servers to probe.

use std::{io, net::Ipv6Addr};

use anyhow::Context;

use crate::args::Args;

const HTTPS: u16 = 443;

/// A server as it was named.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl Target {
    fn parse(text: &str, default_port: u16) -> anyhow::Result<Self> {
        let (host, port) = host_and_port(text, default_port).with_context(|| {
            format!("invalid server `{text}`: not HOST, HOST:PORT or [IPV6]:PORT")
        })?;
        Ok(Self {
            host: host.into(),
            port,
        })
    }

    /// `host:port`, with brackets around an IPv6 address.
    pub(crate) fn name(&self) -> String {
        match self.host.contains(':') {
            true => format!("[{}]:{}", self.host, self.port),
            false => format!("{}:{}", self.host, self.port),
        }
    }
}

/// Collects the servers of the command line, of standard input and of the file.
pub(crate) fn targets(args: &Args) -> anyhow::Result<Vec<Target>> {
    let default_port = args.starttls.map_or(HTTPS, |protocol| protocol.port());
    let mut targets = Vec::new();
    for server in &args.servers {
        match server.as_str() {
            "-" => add_lines(&mut targets, &standard_input()?, default_port)?,
            server => targets.push(Target::parse(server, default_port)?),
        }
    }
    if let Some(path) = &args.file {
        let text = match path.to_str() {
            Some("-") => standard_input()?,
            _ => std::fs::read_to_string(path)
                .with_context(|| format!("failed to read {}", path.display()))?,
        };
        add_lines(&mut targets, &text, default_port)?;
    }
    anyhow::ensure!(!targets.is_empty(), "no servers: the list is empty");
    Ok(targets)
}

fn standard_input() -> anyhow::Result<String> {
    io::read_to_string(io::stdin()).context("failed to read the servers from standard input")
}

fn add_lines(targets: &mut Vec<Target>, text: &str, default_port: u16) -> anyhow::Result<()> {
    for (number, line) in text.lines().enumerate() {
        let server = line.split('#').next().unwrap_or_default().trim();
        if !server.is_empty() {
            let target = Target::parse(server, default_port);
            targets.push(target.with_context(|| format!("line {}", number + 1))?);
        }
    }
    Ok(())
}

fn host_and_port(server: &str, default_port: u16) -> Option<(&str, u16)> {
    if server.parse::<Ipv6Addr>().is_ok() {
        return Some((server, default_port));
    }
    let (host, port) = match server.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = rest.split_once(']')?;
            host.parse::<Ipv6Addr>().ok()?;
            (host, port)
        }
        None => server.split_at(server.find(':').unwrap_or(server.len())),
    };
    let port = match port.strip_prefix(':') {
        Some(port) => port.parse().ok().filter(|port| *port > 0)?,
        None if port.is_empty() => default_port,
        None => return None,
    };
    (!host.is_empty()).then_some((host, port))
}
