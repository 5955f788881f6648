//! The table as Markdown.

use std::fmt::Write;

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use crate::{Result, library::Library, scenario::Scenario};

const HEAD: &str = "\
# Closing against other TLS stacks

What `cargo run --release -p tokio-tls-shutdown-interop` has seen. The run fails if a cell is not
as its source expects, and if one of these does not hold in every scenario: the close ends in time
and with a typed outcome; all that a peer has sent before its close_notify arrives; nothing but an
authenticated close_notify counts as a clean close.

\"server\" and \"client\" are the role of the peer; we are the other one. Each connection begins with
a greeting in both directions. A dash is a thing that the program cannot do or cannot tell.

| column | what happens | what the cell says |
|---|---|---|
| answer to our close_notify | `shutdown_bidirectional()` on a quiet connection | what comes back: close_notify, FIN alone, RST, or nothing within 3 s |
| its own close | it closes in the way that is usual with it, and we read | how that looks to us |
| 256 KiB both ways | both sides send at once; our close_notify is right behind our data | how much arrives: whole, cut or none |
| 64 KiB after our close_notify | `close_notify()`; it sends only when it has seen that | how much arrives |
| our FIN alone | `ClosePolicy::Quiet` | whether it can tell that from a close |
| our RST | | the same |
| its FIN alone, its RST | it ends the transport without close_notify | what we call it |
| next connection | a second connection after a bidirectional close | whether the session is resumed; with rustls our server gives TLS 1.2 clients session ids and no tickets, with OpenSSL both |
| plaintext afterwards | a bidirectional close, then the socket is used without TLS | whether that works |
";

/// The first word of a program's own account of itself that looks like a version.
pub(crate) fn version_in(printed: &str) -> String {
    let is_version =
        |word: &&str| word.contains('.') && word.starts_with(|first: char| first.is_ascii_digit());
    let mut words = printed.split(|c: char| c.is_whitespace() || "/,()".contains(c));
    words.find(is_version).unwrap_or_default().to_owned()
}

pub(crate) fn write(results: &[Result]) -> String {
    let mut text = HEAD.to_owned();
    for library in Library::ALL {
        let table = table(results, library);
        if !table.is_empty() {
            let _ = write!(text, "\n## Our side: {library}\n\n{table}\n");
        }
    }
    for result in results.iter().filter(|result| result.missing.is_some()) {
        let reason = result.peer.may_be_missing.unwrap_or("not installed");
        let _ = writeln!(text, "\nMissing: {}: {reason}", result.peer.name);
    }
    text
}

fn table(results: &[Result], library: Library) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN);
    let titles = Scenario::ALL.map(Scenario::title);
    table.set_header(["peer", "role", "TLS"].iter().chain(&titles));
    for result in results {
        let name = match &*result.version {
            "" => result.peer.name.to_owned(),
            version => format!("{} ({version})", result.peer.name),
        };
        for (side, _) in result.peer.rows(library) {
            let mut rows = result.rows.iter();
            let Some(row) = rows.find(|row| row.library == library && row.side == side) else {
                continue;
            };
            let head = [&*name, side.role.name(), side.version.number()];
            let cells = row.cells.iter().map(|cell| match cell.is_as_expected() {
                // Where two are expected, which one it is this time does not matter.
                true => cell.expected,
                false => &cell.observed,
            });
            table.add_row(head.into_iter().chain(cells));
        }
    }
    table
}
