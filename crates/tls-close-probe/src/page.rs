//! A page with the results of many servers.

use std::time::SystemTime;

use maud::{DOCTYPE, Markup, html};

use crate::{report::Report, svg, table, verdict::Status};

const STYLE: &str = "\
body{font:15px/1.5 system-ui,sans-serif;color:#1f2933;max-width:60rem;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.5rem;margin-bottom:0}table{border-collapse:collapse;width:100%;margin:1.5rem 0}\
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid #e4e7eb;vertical-align:top}\
th{font-weight:600;color:#616e7c;white-space:nowrap}td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}\
.status{font-weight:600}.clean{color:#18794e}.unclean{color:#ad5700}\
.refused,.unreachable{color:#c81e1e}.counts span{margin-right:1.2rem}\
details{border:1px solid #e4e7eb;border-radius:6px;margin:.6rem 0;padding:.5rem .9rem}\
summary{cursor:pointer}svg{max-width:100%;height:auto}footer,.when{color:#616e7c;font-size:.85rem}";

pub(crate) fn page(reports: &[Report]) -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now());
    let statuses = [
        Status::Clean,
        Status::Unclean,
        Status::Refused,
        Status::Unreachable,
    ];
    let markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "How TLS connections are closed" }
                style { (STYLE) }
            }
            body {
                h1 { "How TLS connections are closed" }
                p.when { (now) ", " (reports.len()) " servers" }
                p.counts {
                    @for status in statuses {
                        span class={ "status " (status.name()) } {
                            (reports.iter().filter(|report| report.status == status).count())
                            " " (status.name())
                        }
                    }
                }
                (overview(reports))
                @for (number, report) in reports.iter().enumerate() {
                    (details(number, report))
                }
                footer { "tls-close-probe " (env!("CARGO_PKG_VERSION")) }
            }
        }
    };
    markup.into_string()
}

fn overview(reports: &[Report]) -> Markup {
    html! {
        table {
            thead {
                tr {
                    th { "server" }
                    th { "status" }
                    th { "TLS" }
                    th.number { "close ms" }
                    th { "verdict" }
                }
            }
            tbody {
                @for (number, report) in reports.iter().enumerate() {
                    @let [server, status, version, ms, verdict] = table::row(report);
                    tr {
                        td { a href={ "#server-" (number) } { (server) } }
                        td class={ "status " (status) } { (status) }
                        td { (version) }
                        td.number { (ms) }
                        td { (verdict) }
                    }
                }
            }
        }
    }
}

fn details(number: usize, report: &Report) -> Markup {
    html! {
        details id={ "server-" (number) } open[report.status != Status::Clean] {
            summary {
                strong { (report.server) } " "
                span class={ "status " (report.status.name()) } { (report.status.name()) }
            }
            p { (report.verdict) }
            @for advice in &report.advice {
                p { em { (advice) } }
            }
            @if !report.timeline.is_empty() {
                (svg::picture(report))
            }
        }
    }
}
