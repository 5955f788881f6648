//! `RESULTS.md`.

use std::fmt::Write as _;

use comfy_table::{Table, presets::ASCII_MARKDOWN};

use crate::{
    counts::{CONTENDERS, Counts},
    machine,
    mass::Mass,
    stopwatch::{Group, ROUNDS, Spread},
    work::{
        APART, BY_HAND, CLONE, GRACEFUL_HANDSHAKE, HANDSHAKE, OURS, PLAIN, TOGETHER, TRACKED,
        UNTRACKED, WITH, WITHOUT, Work,
    },
};

/// As it is called among the closes.
const RECIPE: &str = "tokio-rustls by hand";

/// A measurement against what it should be.
struct Goal {
    what: String,
    goal: String,
    measured: String,
    met: bool,
}

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
    section(&mut out, "Goals", &goals_table(&goals(counts, work, mass)));

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
    out
}

/// What a user pays, in one sentence.
fn price(closes: &[Group]) -> String {
    let differences = closes.iter().map(|group| {
        let (ours, by_hand) = (group.get(OURS), group.get(RECIPE));
        let nanos = ours.spread().median - by_hand.spread().median;
        format!(
            "{nanos:.0} ns ({}; {} times)",
            group.name,
            ratio(ours.ratio_to(by_hand))
        )
    });
    let differences: Vec<_> = differences.collect();
    format!(
        "\nA close with its deadline takes this much longer than by hand without one, which cannot \
         time out: {}.\n",
        differences.join(", ")
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

fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    table
}

fn section(out: &mut String, title: &str, table: &Table) {
    let _ = write!(out, "\n## {title}\n\n{table}\n");
}

/// Nanoseconds in the unit that fits.
pub(crate) fn duration(nanos: f64) -> String {
    match nanos {
        ..1e3 => format!("{nanos:.0} ns"),
        ..1e6 => format!("{:.2} µs", nanos / 1e3),
        _ => format!("{:.2} ms", nanos / 1e6),
    }
}

fn ratio(ratio: Spread) -> String {
    let Spread { median, min, max } = ratio;
    match median {
        ..0.01 => format!("{median:.4} ({min:.4} to {max:.4})"),
        _ => format!("{median:.2} ({min:.2} to {max:.2})"),
    }
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

fn instructions(counts: &Counts) -> Table {
    let mut header = vec!["", "close"];
    header.extend(CONTENDERS.map(|(name, _)| match name {
        "raw" => "rustls alone",
        "graceful" => "tokio-tls-shutdown",
        "unbounded" => "the same, `no_deadline()`",
        "wrapped" => "a `GracefulStream`",
        "tracked" => "the same, tracked",
        "recipe" => "by hand",
        "recipe-in-time" => "by hand, in a timeout",
        "plain" => "tokio-rustls `shutdown()`",
        "openssl" => "tokio-openssl",
        _ => "s2n-tls-tokio",
    }));
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(header);
    for row in &counts.instructions {
        let mut cells = vec![row.version.to_owned(), row.close.to_string()];
        cells.extend(CONTENDERS.map(|(name, _)| {
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
    let mut table = table(["", "bytes", "heap of an open one"]);
    for row in &counts.heap.sizes {
        table.add_row([row.name.clone(), row.size.to_string(), String::new()]);
    }
    for row in &counts.heap.streams {
        table.add_row([row.name.clone(), row.size.to_string(), row.heap.to_string()]);
    }
    table
}

fn goals_table(goals: &[Goal]) -> Table {
    let mut table = table(["", "goal", "measured", "met"]);
    for goal in goals {
        let met = if goal.met { "yes" } else { "**no**" };
        table.add_row([&goal.what, &goal.goal, &goal.measured, met]);
    }
    table
}

fn goals(counts: &Counts, work: &Work, mass: &[Mass]) -> Vec<Goal> {
    let mut goals = Vec::new();
    for row in &counts.instructions {
        let ratios = [
            (
                "graceful",
                "recipe-in-time",
                "with its deadline, to by hand in a timeout",
                1.00,
            ),
            (
                "unbounded",
                "recipe",
                "without a deadline, to by hand",
                1.03,
            ),
            (
                "wrapped",
                "graceful",
                "of a `GracefulStream`, to of the plain stream",
                1.03,
            ),
            (
                "tracked",
                "graceful",
                "of a tracked one, to of the plain stream",
                1.06,
            ),
        ];
        for (ours, other, which, most) in ratios {
            let (ours, other) = (row.counts[ours], row.counts[other]);
            let ratio = ours as f64 / other as f64;
            let left = ours as i64 - (other as f64 * most) as i64;
            goals.push(Goal {
                what: format!("instructions, {}, {}, {which}", row.version, row.close),
                goal: format!("at most {most:.2}"),
                measured: match left {
                    ..=0 => format!("{ratio:.3}"),
                    _ => format!("{ratio:.3}: {left} too many"),
                },
                met: left <= 0,
            });
        }
    }

    let ours = &counts.syscalls[0];
    goals.push(Goal {
        what: "system calls of a bidirectional close over TCP".to_owned(),
        goal: "2 writes, 2 reads".to_owned(),
        measured: format!("{} writes, {} reads", ours.writes, ours.reads),
        met: (ours.writes, ours.reads) == (2, 2),
    });

    let rows = &counts.heap.allocations;
    let mut equal = true;
    for floor in rows.iter().filter(|row| row.name == "rustls alone") {
        let ours = rows.iter().find(|row| {
            (&row.version, &row.close) == (&floor.version, &floor.close) && row.name == OURS
        });
        equal &= ours.is_some_and(|ours| (ours.count, ours.bytes) == (floor.count, floor.bytes));
    }
    goals.push(Goal {
        what: "allocations".to_owned(),
        goal: "as rustls alone".to_owned(),
        measured: if equal { "the same" } else { "others" }.to_owned(),
        met: equal,
    });

    let drained = work.drain.get(OURS).ratio_to(work.drain.get(BY_HAND));
    goals.push(Goal {
        what: "draining 16 MiB, to by hand".to_owned(),
        goal: "at most 1.02".to_owned(),
        measured: ratio(drained),
        met: drained.median <= 1.02,
    });
    let together = work.last_data.get(TOGETHER).spread();
    let apart = work.last_data.get(APART).spread();
    goals.push(Goal {
        what: "last data and close, without TCP_NODELAY".to_owned(),
        goal: "no stall of 41 ms".to_owned(),
        measured: format!(
            "{}, apart {}",
            duration(together.median),
            duration(apart.median)
        ),
        met: together.median < 10e6,
    });
    for group in &work.aligned {
        let aligned = group.get(WITH).ratio_to(group.get(WITHOUT));
        goals.push(Goal {
            what: format!("`RecordAligned`, {}, to without", group.name),
            goal: "at most 1.01".to_owned(),
            measured: ratio(aligned),
            met: aligned.median <= 1.01,
        });
    }
    for (name, most) in [(UNTRACKED, 1.02), (TRACKED, 1.09)] {
        let exchanged = work.ping_pong.get(name).ratio_to(work.ping_pong.get(PLAIN));
        goals.push(Goal {
            what: format!("{}, {name}, to the plain stream", work.ping_pong.name),
            goal: format!("at most {most:.2}"),
            measured: ratio(exchanged),
            met: exchanged.median <= most,
        });
    }
    let clone = work
        .handshakes
        .get(CLONE)
        .ratio_to(work.handshakes.get(HANDSHAKE));
    goals.push(Goal {
        what: "clone of the configuration, to a resumed handshake".to_owned(),
        goal: "below 0.01".to_owned(),
        measured: ratio(clone),
        met: clone.median < 0.01,
    });
    let graceful = work.handshakes.get(GRACEFUL_HANDSHAKE);
    let graceful = graceful.ratio_to(work.handshakes.get(HANDSHAKE));
    goals.push(Goal {
        what: "resumed handshake of `GracefulConnector`, to `TlsConnector`".to_owned(),
        goal: "below 1.01".to_owned(),
        measured: ratio(graceful),
        met: graceful.median < 1.01,
    });
    if let [first, .., last] = mass {
        let growth = last.ours.spread().median / first.ours.spread().median;
        let by_hand = last.by_hand.spread().median / first.by_hand.spread().median;
        goals.push(Goal {
            what: format!(
                "time of each of {} closes, to each of {}",
                last.connections, first.connections
            ),
            goal: "no more than by hand".to_owned(),
            measured: format!("{growth:.2}, by hand {by_hand:.2}"),
            met: growth <= by_hand * 1.1,
        });
    }
    goals
}
