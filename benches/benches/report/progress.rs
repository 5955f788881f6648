//! A bar on the terminal: what is measured now, and how long all of it may take.

use indicatif::{ProgressBar, ProgressStyle};

const TEMPLATE: &str = "{bar:30} {pos}/{len}, {elapsed} of about {duration}: {msg}";

/// Counts what is measured. Shows it on standard error, if that is a terminal.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    plans: bool,
}

impl Progress {
    /// Creates a progress that only counts what there is to measure.
    pub(crate) fn planning() -> Self {
        Self {
            bar: ProgressBar::hidden().with_message("planning"),
            plans: true,
        }
    }

    /// Begins, with as many steps as were planned.
    pub(crate) fn begin(&self) -> Self {
        let style = ProgressStyle::with_template(TEMPLATE).expect("a template");
        let bar = ProgressBar::new(self.bar.length().unwrap_or(0)).with_style(style);
        Self { bar, plans: false }
    }

    /// Adds `steps` to the plan. Returns `false` if this is the time to take them.
    pub(crate) fn plans(&self, steps: u64) -> bool {
        if self.plans {
            self.bar.inc_length(steps);
        }
        self.plans
    }

    /// One step begins.
    pub(crate) fn step(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        self.bar.inc(1);
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
