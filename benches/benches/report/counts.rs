//! What does not depend on the machine's mood: instructions, system calls, allocations, bytes.

use std::{collections::BTreeMap, fs, path::Path, process::Command};

use serde::Deserialize;
use tokio_tls_shutdown_benches::{
    contender::Close,
    markers::{BEGIN, END},
};

use crate::{builds::Build, progress::Progress};

const ONE_CLOSE: &str = env!("CARGO_BIN_EXE_one_close");
/// Those that are counted in the other builds too.
pub(crate) const IN_BUILDS: [&str; 3] = ["graceful", "wrapped", "recipe-in-time"];
const HEAP: &str = env!("CARGO_BIN_EXE_heap");
const TLS13: &str = "TLS 1.3";
const TLS12: &str = "TLS 1.2";

pub(crate) struct Counts {
    pub(crate) instructions: Vec<Instructions>,
    /// The same of some contenders, in other builds.
    pub(crate) in_builds: Vec<(Build, Vec<Instructions>)>,
    pub(crate) syscalls: Vec<Syscalls>,
    pub(crate) heap: Heap,
}

/// Instructions of one close, for each contender.
pub(crate) struct Instructions {
    pub(crate) version: &'static str,
    pub(crate) close: Close,
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

/// System calls of one bidirectional close over TCP, both ends together.
#[derive(Default)]
pub(crate) struct Syscalls {
    pub(crate) name: &'static str,
    pub(crate) writes: usize,
    pub(crate) reads: usize,
    /// Of these reads, those that found nothing.
    pub(crate) empty_reads: usize,
    pub(crate) shutdowns: usize,
    pub(crate) waits: usize,
    /// By tokio, of its own driver.
    pub(crate) wakes: usize,
}

#[derive(Deserialize)]
pub(crate) struct Heap {
    pub(crate) allocations: Vec<Allocations>,
    pub(crate) memory: Vec<Memory>,
}

#[derive(Deserialize)]
pub(crate) struct Allocations {
    pub(crate) version: String,
    pub(crate) close: String,
    pub(crate) name: String,
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

#[derive(Deserialize)]
pub(crate) struct Memory {
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// What `tests/memory.rs` asserts.
    pub(crate) budget: Option<u64>,
}

/// Arguments of `one_close`, and whether it can be told the version.
pub(crate) const CONTENDERS: [(&str, bool); 13] = [
    ("raw", true),
    ("graceful", true),
    ("unbounded", true),
    ("wrapped", true),
    ("tracked", true),
    ("recipe", true),
    ("recipe-in-time", true),
    ("plain", true),
    ("openssl", false),
    ("graceful-openssl", false),
    ("s2n", false),
    ("graceful-s2n", false),
    ("rustls-next", true),
];

const OVER_TCP: [(&str, &str); 11] = [
    ("graceful", "tokio-tls-shutdown"),
    ("unbounded", "the same, `no_deadline()`"),
    ("recipe", "tokio-rustls by hand"),
    ("recipe-in-time", "by hand, in a timeout"),
    ("plain", "tokio-rustls shutdown()"),
    ("openssl", "tokio-openssl"),
    ("graceful-openssl", "tokio-tls-shutdown on tokio-openssl"),
    ("s2n", "s2n-tls-tokio"),
    ("graceful-s2n", "tokio-tls-shutdown on s2n-tls-tokio"),
    ("rustls-next", "tokio-tls-shutdown on rustls 0.24"),
    ("rustls-tokio-stream", "rustls-tokio-stream"),
];

impl Counts {
    /// Takes them, or only counts how many there are to take.
    pub(crate) fn take(progress: &Progress) -> Option<Self> {
        let tls12 = CONTENDERS.iter().filter(|(_, knows_tls12)| *knows_tls12);
        let contenders = CONTENDERS.len() + tls12.count();
        let in_builds = Build::ALL.len() * (1 + Close::ALL.len() * IN_BUILDS.len());
        let all = Close::ALL.len() * contenders + in_builds + OVER_TCP.len() + 1;
        if progress.plans(all as u64) {
            return None;
        }
        let names = CONTENDERS.map(|(name, _)| name);
        let mut instructions = instructions(progress, Path::new(ONE_CLOSE), TLS13, &names);
        let of_tls12 = CONTENDERS
            .into_iter()
            .filter(|(_, knows_tls12)| *knows_tls12);
        let names: Vec<_> = of_tls12.map(|(name, _)| name).collect();
        instructions.extend(self::instructions(
            progress,
            Path::new(ONE_CLOSE),
            TLS12,
            &names,
        ));
        let in_builds = Build::ALL.map(|build| {
            progress.step(&format!("build: {build}"));
            let program = build.one_close();
            (
                build,
                self::instructions(progress, &program, TLS13, &IN_BUILDS),
            )
        });
        progress.step("memory");
        let heap = run(&mut Command::new(HEAP));
        let syscalls = OVER_TCP.map(|(id, name)| {
            progress.step(&format!("system calls: {name}"));
            count_syscalls(id, name)
        });
        Some(Self {
            instructions,
            in_builds: in_builds.into(),
            syscalls: syscalls.into(),
            heap: serde_json::from_str(&heap.stdout).expect("what `heap` prints"),
        })
    }

    /// Those of TLS 1.3 in the build of all other figures.
    pub(crate) fn of(&self, close: Close) -> &Instructions {
        let mut rows = self.instructions.iter();
        rows.find(|row| (row.version, row.close) == (TLS13, close))
            .expect("every close is counted")
    }
}

/// Those of every close.
fn instructions(
    progress: &Progress,
    one_close: &Path,
    version: &'static str,
    contenders: &[&'static str],
) -> Vec<Instructions> {
    let of = |close| {
        let counts = contenders.iter().map(|name| {
            progress.step(&format!("instructions, {version}, {close}: {name}"));
            (
                *name,
                count_instructions(one_close, name, close, version == TLS12),
            )
        });
        Instructions {
            version,
            close,
            counts: counts.collect(),
        }
    };
    Close::ALL.into_iter().map(of).collect()
}

struct Printed {
    stdout: String,
    stderr: String,
}

fn run(command: &mut Command) -> Printed {
    let output = command
        .output()
        .unwrap_or_else(|e| panic!("{:?} cannot be started: {e}", command.get_program()));
    let [stdout, stderr] =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    assert!(output.status.success(), "{command:?} has failed: {stderr}");
    Printed { stdout, stderr }
}

fn count_instructions(one_close: &Path, contender: &str, close: Close, tls12: bool) -> u64 {
    let close = match close {
        Close::Notify => "notify",
        Close::Answer => "answer",
        Close::Bidirectional => "bidirectional",
    };
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*counted_by_callgrind*")
        .arg(one_close)
        .args(["callgrind", contender, close]);
    if tls12 {
        command.arg("--tls12");
    }
    let printed = run(&mut command).stderr;
    let collected = printed
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let (_, count) = collected.expect("what callgrind has collected");
    count.trim().parse().expect("a number")
}

fn count_syscalls(contender: &str, name: &'static str) -> Syscalls {
    let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join("strace.out");
    let mut command = Command::new("strace");
    command
        .arg("-f")
        .arg("-o")
        .arg(&trace)
        .args([ONE_CLOSE, "strace", contender]);
    run(&mut command);
    let trace = fs::read_to_string(&trace).expect("what strace has written");
    let mut syscalls = Syscalls {
        name,
        ..Syscalls::default()
    };
    let lines = trace
        .lines()
        .skip_while(|line| !line.contains(BEGIN))
        .skip(1);
    for line in lines.take_while(|line| !line.contains(END)) {
        // Behind the number of the thread.
        let call = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ');
        let (call, rest) = call.split_once('(').unwrap_or((call, ""));
        match call {
            "writev" | "sendto" | "sendmsg" => syscalls.writes += 1,
            "readv" | "recvfrom" | "recvmsg" => {
                syscalls.reads += 1;
                syscalls.empty_reads += usize::from(rest.contains("EAGAIN"));
            }
            "shutdown" => syscalls.shutdowns += 1,
            "epoll_wait" => syscalls.waits += 1,
            // To an eventfd.
            "write" => syscalls.wakes += 1,
            _ => {}
        }
    }
    syscalls
}
