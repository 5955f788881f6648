//! The timeline as a picture.

use maud::{Markup, html};

use crate::{
    report::Report,
    timeline::{Event, Side, What},
};

const WIDTH: u32 = 760;
const CLIENT: u32 = 110;
const SERVER: u32 = 700;
const TOP: u32 = 92;
const ROW: u32 = 30;

const STYLE: &str = "\
text{font:13px system-ui,sans-serif;fill:#1f2933}\
.title{font-size:16px;font-weight:600}.small{font-size:11px;fill:#616e7c}\
.life{stroke:#9aa5b1;stroke-width:1.5}.arrow{stroke-width:1.6;fill:none}\
.calm{stroke:#9aa5b1}.calm-head{fill:#9aa5b1}.data{stroke:#0b69a3}.data-head{fill:#0b69a3}\
.good{stroke:#18794e;stroke-width:2.4}.good-head{fill:#18794e}\
.end{stroke:#1f2933}.end-head{fill:#1f2933}.odd{stroke:#ad5700}.odd-head{fill:#ad5700}\
.bad{stroke:#c81e1e;stroke-width:2.4}.bad-head{fill:#c81e1e}";

/// A file of its own.
pub(crate) fn file(report: &Report) -> String {
    picture(report).into_string()
}

pub(crate) fn picture(report: &Report) -> Markup {
    let omitted = report.timeline_omitted;
    let rows = report.timeline.len() as u32 + u32::from(omitted > 0);
    let height = TOP + rows * ROW + 20;
    let verdict = format!("{}: {}", report.status.name(), report.verdict);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" width=(WIDTH) height=(height)
            viewBox={ "0 0 " (WIDTH) " " (height) } role="img" {
            title { "How " (report.server) " closes a TLS connection" }
            style { (STYLE) }
            rect width="100%" height="100%" fill="#fff" {}
            text class="title" x="20" y="28" { (report.server) }
            text class="small" x="20" y="48" { (cut(&verdict, 110)) }
            text x=(CLIENT) y=(TOP - 18) text-anchor="middle" { "client" }
            text x=(SERVER) y=(TOP - 18) text-anchor="middle" { "server" }
            text class="small" x="64" y=(TOP - 18) text-anchor="end" { "ms" }
            @for x in [CLIENT, SERVER] {
                line class="life" x1=(x) y1=(TOP - 10) x2=(x) y2=(height - 12) {}
            }
            @for (event, row) in report.timeline.iter().zip(0..) {
                (arrow(event, TOP + row * ROW + 20))
            }
            @if omitted > 0 {
                text class="small" x=((CLIENT + SERVER) / 2) y=(height - 24) text-anchor="middle" {
                    "and " (omitted) " more that are not shown"
                }
            }
        }
    }
}

fn arrow(event: &Event, y: u32) -> Markup {
    let middle = (CLIENT + SERVER) / 2;
    let class = class(event);
    let label = cut(&event.label(), 76);
    let bytes = match event.bytes {
        0 => String::new(),
        bytes => format!("  {bytes} B"),
    };
    let until = match event.until_ms > event.ms {
        true => format!("  until {:.3} ms", event.until_ms),
        false => String::new(),
    };
    // The tip, where the line ends before it, and the other end.
    let (tip, back, from) = match event.from {
        Side::Client => (SERVER - 2, SERVER - 11, CLIENT + 2),
        Side::Server | Side::Local => (CLIENT + 2, CLIENT + 11, SERVER - 2),
    };
    html! {
        text class="small" x="64" y=(y + 4) text-anchor="end" { (format!("{:.3}", event.ms)) }
        text x=(middle) y=(y - 5) text-anchor="middle" {
            (label)
            tspan class="small" { (bytes) (until) }
        }
        @if event.from == Side::Local {
            line class="arrow calm" stroke-dasharray="2 5" x1=(CLIENT) y1=(y) x2=(SERVER) y2=(y) {}
        } @else {
            line class={ "arrow " (class) } x1=(from) y1=(y) x2=(back) y2=(y) {}
            path class={ (class) "-head" } stroke="none"
                d={ "M" (tip) " " (y) "L" (back) " " (y - 5) "L" (back) " " (y + 5) "Z" } {}
        }
    }
}

fn class(event: &Event) -> &'static str {
    match event.what {
        What::CloseNotify => "good",
        What::ApplicationData => "data",
        What::Alert | What::Reset => "bad",
        What::Fin => "end",
        What::Plaintext | What::PartialRecord | What::GaveUp | What::Encrypted => "odd",
        _ => "calm",
    }
}

fn cut(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 3).chain("...".chars()).collect(),
        false => text.into(),
    }
}
