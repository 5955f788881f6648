//! How figures are written.

use comfy_table::{Row, Table, presets::ASCII_MARKDOWN};

use crate::stopwatch::Spread;

pub(crate) fn table(header: impl Into<Row>) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}

/// Nanoseconds in the unit that fits.
pub(crate) fn duration(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e6 => format!("{:.2} µs", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}

pub(crate) fn ratio(ratio: Spread) -> String {
    let Spread { median, min, max } = ratio;
    match median {
        ..0.01 => format!("{median:.4} ({min:.4} to {max:.4})"),
        _ => format!("{median:.2} ({min:.2} to {max:.2})"),
    }
}
