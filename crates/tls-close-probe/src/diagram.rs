//! The timeline as a sequence diagram on the terminal.

use std::fmt;

use crate::{
    paint::{self, BOLD, DIM, Painted},
    report::Report,
    timeline::{Event, Side},
};

/// Between the two lines of life.
const WIDTH: usize = 60;

pub(crate) struct Diagram<'a>(pub(crate) &'a Report);

impl fmt::Display for Diagram<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            timeline,
            timeline_omitted,
            ..
        } = self.0;
        let ms = Painted(DIM, format!("{:>10}", "ms"));
        let gap = WIDTH - "client".len() - "server".len() + 2;
        writeln!(
            f,
            "{ms}  {}{:gap$}{}",
            Painted(BOLD, "client"),
            "",
            Painted(BOLD, "server")
        )?;
        for event in timeline {
            let time = Painted(DIM, format!("{:>10.3}", event.ms));
            let style = paint::of_event(event);
            writeln!(f, "{time}  │{}│", Painted(style, arrow(event)))?;
        }
        if *timeline_omitted > 0 {
            writeln!(
                f,
                "{:>10}  and {timeline_omitted} more that are not shown",
                ""
            )?;
        }
        Ok(())
    }
}

/// What stands between the lines of life, `WIDTH` columns wide.
fn arrow(event: &Event) -> String {
    let text = cut(&text(event), WIDTH - 8);
    let columns = text.chars().count();
    match event.from {
        Side::Client => {
            let left = 2;
            let right = WIDTH - left - columns - 3;
            format!("{} {text} {}▶", "─".repeat(left), "─".repeat(right))
        }
        Side::Server => {
            let right = 2;
            let left = WIDTH - right - columns - 3;
            format!("◀{} {text} {}", "─".repeat(left), "─".repeat(right))
        }
        Side::Local => format!("{:^WIDTH$}", format!("· {text} ·")),
    }
}

fn text(event: &Event) -> String {
    let label = event.label();
    let bytes = match event.bytes {
        0 => String::new(),
        bytes => format!(", {bytes} B"),
    };
    match event.until_ms > event.ms {
        true => format!("{label}{bytes}, until {:.3}", event.until_ms),
        false => format!("{label}{bytes}"),
    }
}

fn cut(text: &str, columns: usize) -> String {
    match text.chars().count() > columns {
        true => text
            .chars()
            .take(columns - 3)
            .chain("...".chars())
            .collect(),
        false => text.into(),
    }
}
