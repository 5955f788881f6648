//! `RESULTS.md`.

use std::fmt::Write as _;

use comfy_table::Table;
use tokio_tls_shutdown_benches::contender::Close;

use crate::{
    closes::{RECIPE, RECIPE_IN_TIME},
    counts::{CONTENDERS, Counts, IN_BUILDS, Instructions},
    format::{duration, ratio, table},
    goals::{goals, goals_table},
    machine,
    mass::Mass,
    stopwatch::{Group, ROUNDS, Spread},
    work::{HANDSHAKE, OURS, PLAIN, TOGETHER, WITHOUT, Work},
};

pub(crate) fn results(counts: &Counts, closes: &[Group], work: &Work, mass: &[Mass]) -> String {
    let mut out = format!(
        "# Results\n\n\
         Written by `cargo bench -p tokio-tls-shutdown-benches`. {}; {}.\n\n\
         TLS 1.3 with AES-128-GCM where nothing else is said, one thread, release build. Times are \
         medians of {ROUNDS} rounds in which all take turns, with the fastest and the slowest \
         round; a ratio is taken in each round by itself. Handshakes are not part of a close.\n",
        machine::describe(),
        versions(),
    );
    out.push_str(&price(closes));
    section(
        &mut out,
        "Goals",
        &goals_table(&goals(counts, closes, work, mass)),
    );

    out.push_str(
        "\n## Time of a close\n\n\
         `shutdown()` of tokio-rustls, tokio-openssl, s2n-tls-tokio and rustls-tokio-stream also \
         sends FIN, which over TCP is a system call more. \"rustls alone\" has no transport at \
         all: it is the floor. \"By hand\" is `send_close_notify()` and `flush()`, which also looks \
         whether the session has failed, then `read()` to the end, with a bound and a count of what \
         is discarded, and how the peer has ended is told; without a deadline.\n",
    );
    for group in closes {
        timings(&mut out, group, group.times[0].name);
    }

    section(&mut out, "Instructions of a close", &instructions(counts));
    out.push_str(
        "\nCounted by callgrind over `tokio::io::duplex`, in user space, after a first close. \
         Both ends together where both close.\n\n\
         What a close one way takes beyond what is needed by hand, and why it stays: 53 for a future \
         that holds a deadline, a bound and an outcome, built and dropped; 35 for an empty write, by \
         which tokio-rustls finishes early data that may be open; 43 for a look at where the session \
         stands, so that a failed one is an error and a peer that has closed is told; 60 for the \
         state of both sides and the result. Where the peer is waited for, 50 more ask rustls once \
         whether the transport has ended, so that it is not read again behind its end. By hand a \
         timer is created in any case; here only where a close has to wait.\n",
    );
    section(
        &mut out,
        "Instructions of a close in other builds",
        &builds(counts),
    );
    out.push_str(
        "\nTLS 1.3. With fat LTO what is written by hand is inlined as a whole, its close into its \
         timeout; the machine that closes here serves every stream and policy, and is not.\n",
    );
    section(
        &mut out,
        "System calls of a bidirectional close",
        &syscalls(counts),
    );
    out.push_str(
        "\nCounted by strace over loopback TCP, both ends together. The floor is 2 writes and 2 \
         reads. tokio wakes its driver where a deadline is the next one of the runtime.\n",
    );
    section(&mut out, "Allocations of a close", &allocations(counts));
    out.push_str("\nOf one end, whose transport allocates nothing.\n");

    out.push_str("\n## Around a close\n");
    timings(&mut out, &work.drain, OURS);
    timings(&mut out, &work.last_data, TOGETHER);
    for group in &work.aligned {
        timings(&mut out, group, WITHOUT);
    }
    out.push_str(
        "\n`RecordAligned` gives rustls one record for each read, because any record may be the \
         close_notify behind which the bytes are not TLS: short records, of which rustls otherwise \
         reads many at once, cost a call each. Over TCP these are without TCP_NODELAY. With it, \
         records of less than a segment make the comparison one of two kinds of TCP: where the \
         reader keeps up, each is a segment of its own, and the kernel has to merge them in the \
         receive buffer (`TcpExtPruneCalled`: 30 in each 32 MiB of records of 1,400 bytes, with \
         13,000 segments); where it falls behind, the sender's kernel joins them (950 segments). \
         Which of both comes about differs from run to run, with `RecordAligned` and without.\n",
    );
    timings(&mut out, &work.ping_pong, PLAIN);
    timings(&mut out, &work.handshakes, HANDSHAKE);

    section(
        &mut out,
        "Many connections that close at once",
        &mass_table(mass),
    );
    out.push_str(
        "\nBoth ends of each close both ways, each connection in a task of its own, all on one \
         thread, over `tokio::io::duplex`. Time for one connection.\n",
    );
    section(&mut out, "Memory", &memory(counts));
    out.push_str(
        "\n`tests/memory.rs` asserts the budgets. What a transport holds is not counted. Sessions \
         have no budget: a connection holds what rustls has put into its store.\n",
    );
    out
}

/// What a user pays, in one sentence.
fn price(closes: &[Group]) -> String {
    let differences = closes.iter().map(|group| {
        let ours = group.get(OURS);
        let than = |other| {
            let other = group.get(other);
            let nanos = ours.spread().median - other.spread().median;
            format!("{nanos:+.0} ns ({} times)", ratio(ours.ratio_to(other)))
        };
        format!(
            "{}: {}, and {}",
            group.name,
            than(RECIPE),
            than(RECIPE_IN_TIME)
        )
    });
    let differences: Vec<_> = differences.collect();
    format!(
        "\nWhat a close with its deadline takes beyond the same by hand, which cannot time out, and \
         beyond the same by hand in a `timeout`: {}.\n",
        differences.join("; ")
    )
}

fn versions() -> String {
    let packages = [
        "rustls",
        "tokio-rustls",
        "tokio",
        "tokio-openssl",
        "s2n-tls-tokio",
        "rustls-tokio-stream",
    ];
    let versions = packages.map(|name| format!("{name} {}", machine::version_of(name)));
    versions.join(", ")
}

fn section(out: &mut String, title: &str, table: &Table) {
    let _ = write!(out, "\n## {title}\n\n{table}\n");
}

fn timings(out: &mut String, group: &Group, base: &str) {
    let ratio_header = format!("times {base}");
    let mut table = table(["", "median", "fastest", "slowest", &ratio_header]);
    for times in &group.times {
        let Spread { median, min, max } = times.spread();
        table.add_row([
            times.name.to_owned(),
            duration(median),
            duration(min),
            duration(max),
            ratio(times.ratio_to(group.get(base))),
        ]);
    }
    let _ = write!(out, "\n### {}\n\n{table}\n", group.name);
}

/// What a contender of `one_close` is called in a table.
fn title(contender: &str) -> &'static str {
    match contender {
        "raw" => "rustls alone",
        "graceful" => "tokio-tls-shutdown",
        "unbounded" => "the same, `no_deadline()`",
        "wrapped" => "a `GracefulStream`",
        "tracked" => "the same, tracked",
        "recipe" => "by hand",
        "recipe-in-time" => "by hand, in a timeout",
        "plain" => "tokio-rustls `shutdown()`",
        "openssl" => "tokio-openssl",
        "graceful-openssl" => "ours on tokio-openssl",
        "s2n" => "s2n-tls-tokio",
        "graceful-s2n" => "ours on s2n-tls-tokio",
        _ => "ours on rustls 0.24",
    }
}

fn instructions(counts: &Counts) -> Table {
    let mut header = vec![String::new()];
    let rows = &counts.instructions;
    header.extend(
        rows.iter()
            .map(|row| format!("{}, {}", row.version, row.close)),
    );
    let mut table = table(header);
    for (name, _) in CONTENDERS {
        let mut cells = vec![title(name).to_owned()];
        cells.extend(rows.iter().map(|row| {
            let count = row.counts.get(name);
            count.map_or_else(|| "–".to_owned(), u64::to_string)
        }));
        table.add_row(cells);
    }
    table
}

fn syscalls(counts: &Counts) -> Table {
    let mut table = table([
        "",
        "writes",
        "reads",
        "of them in vain",
        "shutdown",
        "epoll_wait",
        "wakes of the driver",
    ]);
    for calls in &counts.syscalls {
        let numbers = [
            calls.writes,
            calls.reads,
            calls.empty_reads,
            calls.shutdowns,
            calls.waits,
            calls.wakes,
        ];
        let mut row = vec![calls.name.to_owned()];
        row.extend(numbers.iter().map(ToString::to_string));
        table.add_row(row);
    }
    table
}

fn allocations(counts: &Counts) -> Table {
    let mut table = table(["", "close", "by", "allocations", "bytes"]);
    for row in &counts.heap.allocations {
        table.add_row([
            row.version.clone(),
            row.close.clone(),
            row.name.clone(),
            row.count.to_string(),
            row.bytes.to_string(),
        ]);
    }
    table
}

fn mass_table(mass: &[Mass]) -> Table {
    let mut table = table([
        "connections",
        "tokio-tls-shutdown",
        "by hand",
        "by hand, in a timeout",
        "ours to the last one",
    ]);
    for row in mass {
        table.add_row([
            row.connections.to_string(),
            duration(row.ours.spread().median),
            duration(row.by_hand.spread().median),
            duration(row.in_time.spread().median),
            ratio(row.ours.ratio_to(&row.in_time)),
        ]);
    }
    table
}

fn memory(counts: &Counts) -> Table {
    let mut table = table(["", "bytes", "budget"]);
    for row in &counts.heap.memory {
        let budget = row
            .budget
            .map_or_else(String::new, |budget| budget.to_string());
        table.add_row([row.name.clone(), row.bytes.to_string(), budget]);
    }
    table
}

/// Beside those of the build of all other figures.
fn builds(counts: &Counts) -> Table {
    let mut header = vec!["build", "close"];
    header.extend(IN_BUILDS.map(title));
    let mut table = table(header);
    let mut add = |build: String, row: &Instructions| {
        let mut cells = vec![build, row.close.to_string()];
        cells.extend(IN_BUILDS.map(|name| row.counts[name].to_string()));
        table.add_row(cells);
    };
    for close in Close::ALL {
        add("as all figures".to_owned(), counts.of(close));
    }
    for (build, rows) in &counts.in_builds {
        for row in rows {
            add(build.to_string(), row);
        }
    }
    table
}
