//! Each measurement against what it should be.

use comfy_table::Table;
use tokio_tls_shutdown_benches::{
    contender::Close,
    link::{Duplex, Link},
};

use crate::{
    builds::Build,
    closes::RECIPE_IN_TIME,
    counts::Counts,
    format::{duration, ratio, table},
    mass::Mass,
    stopwatch::Group,
    work::{
        APART, BY_HAND, CLONE, GRACEFUL_HANDSHAKE, HANDSHAKE, OURS, PLAIN, TOGETHER, TRACKED,
        UNTRACKED, WITH, WITHOUT, Work,
    },
};

/// A measurement against what it should be.
pub(crate) struct Goal {
    what: String,
    goal: String,
    measured: String,
    met: bool,
}

pub(crate) fn goals_table(goals: &[Goal]) -> Table {
    let mut table = table(["", "goal", "measured", "met"]);
    for goal in goals {
        let met = if goal.met { "yes" } else { "**no**" };
        table.add_row([&goal.what, &goal.goal, &goal.measured, met]);
    }
    table
}

/// A count that may be so many times the other.
fn instructions(what: String, ours: u64, other: u64, most: f64) -> Goal {
    let ratio = ours as f64 / other as f64;
    let left = ours as i64 - (other as f64 * most) as i64;
    Goal {
        what,
        goal: format!("at most {most:.2}"),
        measured: match left {
            ..=0 => format!("{ratio:.3}"),
            _ => format!("{ratio:.3}: {left} too many"),
        },
        met: left <= 0,
    }
}

pub(crate) fn goals(counts: &Counts, closes: &[Group], work: &Work, mass: &[Mass]) -> Vec<Goal> {
    let mut goals = Vec::new();
    let in_time = "with its deadline, to by hand in a timeout";
    let ratios = [
        ("graceful", "recipe-in-time", in_time, 1.00),
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
    for row in &counts.instructions {
        for (ours, other, which, most) in ratios {
            let what = format!("instructions, {}, {}, {which}", row.version, row.close);
            goals.push(instructions(
                what,
                row.counts[ours],
                row.counts[other],
                most,
            ));
        }
    }
    for (build, rows) in &counts.in_builds {
        for row in rows {
            let ours = row.counts["graceful"];
            match (build, row.close) {
                (Build::FatLto, close) => {
                    let most = if close == Close::Notify { 1.02 } else { 1.05 };
                    let what = format!("instructions, {build}, {close}, {in_time}");
                    goals.push(instructions(what, ours, row.counts["recipe-in-time"], most));
                }
                (Build::Observed, Close::Notify) => {
                    let more = ours as i64 - counts.of(row.close).counts["graceful"] as i64;
                    goals.push(Goal {
                        what: format!("instructions, {build}, {}, to without", row.close),
                        goal: "at most 50 more".to_owned(),
                        measured: format!("{more} more"),
                        met: more <= 50,
                    });
                }
                (Build::Observed, _) => {}
            }
        }
    }
    for group in closes
        .iter()
        .filter(|group| group.name.ends_with(Duplex::NAME))
    {
        let time = group.get(OURS).ratio_to(group.get(RECIPE_IN_TIME));
        goals.push(Goal {
            what: format!("time, {}, {in_time}", group.name),
            goal: "at most 1.03".to_owned(),
            measured: ratio(time),
            met: time.median <= 1.03,
        });
    }
    for row in &counts.heap.memory {
        if let Some(budget) = row.budget {
            goals.push(Goal {
                what: format!("memory, {}", row.name),
                goal: format!("at most {budget} bytes"),
                measured: row.bytes.to_string(),
                met: row.bytes <= budget,
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
