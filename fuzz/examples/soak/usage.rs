//! What the process uses, as Linux has it.

use std::{fmt, fs};

use anyhow::{Context, Result};

#[derive(Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) descriptors: usize,
    pub(crate) resident_kib: u64,
}

impl Usage {
    pub(crate) fn now() -> Result<Self> {
        let status = fs::read_to_string("/proc/self/status")?;
        let resident = (status.lines())
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .context("no VmRSS in /proc/self/status")?;
        Ok(Self {
            descriptors: fs::read_dir("/proc/self/fd")?.count(),
            resident_kib: resident.trim().parse()?,
        })
    }

    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            descriptors: self.descriptors.max(other.descriptors),
            resident_kib: self.resident_kib.max(other.resident_kib),
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = self.resident_kib / 1024;
        write!(f, "{} file descriptors, {mib} MiB", self.descriptors)
    }
}
