//! Where a panic ends the process, no peer may cause one.
//!
//! Servers are built with `panic = "abort"`, and then a panic that this crate would catch, or that
//! tokio would keep within a task, ends all connections. So this program is built like that
//! (`--profile abort`), makes the calls of `calls.rs` at random inputs in a child process, and counts
//! how often the child dies: in the calls of this crate, or in those of tokio-rustls alone, which are
//! made first for each input. Where only tokio-rustls dies, the panic is rustls's own. It fails if
//! the child dies, or hangs, in the calls of this crate.

use std::{
    env,
    fs::File,
    io,
    os::unix::fs::FileExt,
    process::{Child, Command, ExitCode, ExitStatus},
    thread::sleep,
    time::{Duration, Instant},
};

use rand::{Rng, SeedableRng, rngs::SmallRng};
use tokio_tls_shutdown_fuzz::calls::{ours, plain};

const USAGE: &str = "\
usage: panic_abort [INPUTS [SEED]]
       panic_abort replay SEED INPUT";

/// An input that takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// How far the child is. It writes this to a file before each step, because an abort leaves time for
/// nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Position {
    input: u64,
    ours: bool,
}

impl Position {
    fn write(self, file: &File) -> io::Result<()> {
        let mut bytes = [0; 9];
        bytes[..8].copy_from_slice(&self.input.to_le_bytes());
        bytes[8] = self.ours.into();
        file.write_all_at(&bytes, 0)
    }

    fn read(file: &File) -> io::Result<Self> {
        let mut bytes = [0; 9];
        file.read_exact_at(&mut bytes, 0)?;
        let (input, ours) = bytes.split_at(8);
        Ok(Self {
            input: u64::from_le_bytes(input.try_into().map_err(io::Error::other)?),
            ours: ours != [0],
        })
    }

    /// What comes after it.
    fn next(self) -> Self {
        match self.ours {
            false => Self { ours: true, ..self },
            true => Self {
                input: self.input + 1,
                ours: false,
            },
        }
    }

    /// Makes its calls.
    fn play(self, seed: u64, trace: bool) {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_add(self.input));
        let mut data = vec![0; rng.random_range(30..400)];
        rng.fill(&mut data[..]);
        match self.ours {
            true => ours(&data, trace),
            false => plain(&data, trace),
        }
    }
}

fn child(state: &str, seed: u64, mut at: Position, end: u64) -> io::Result<()> {
    let state = File::options().write(true).open(state)?;
    while at.input < end {
        at.write(&state)?;
        at.play(seed, false);
        at = at.next();
    }
    at.write(&state)
}

/// Waits for the child's end, or kills it if it does not advance.
fn wait(child: &mut Child, state: &File, total: u64) -> io::Result<Option<ExitStatus>> {
    let mut last = (Position::read(state)?, Instant::now());
    let mut told = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        sleep(Duration::from_millis(50));
        let now = Position::read(state)?;
        if now != last.0 {
            last = (now, Instant::now());
        } else if last.1.elapsed() > PATIENCE {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        if told.elapsed() > Duration::from_secs(10) {
            println!("input {} of {total}", now.input);
            told = Instant::now();
        }
    }
}

fn parent(inputs: u64, seed: u64) -> io::Result<bool> {
    let started = Instant::now();
    let state = tempfile::NamedTempFile::new()?;
    let file = state.as_file();
    println!("{inputs} inputs of seed {seed}");
    let mut at = Position {
        input: 0,
        ours: false,
    };
    let (mut by_ours, mut by_plain) = (0_u64, 0_u64);
    while at.input < inputs {
        at.write(file)?;
        let mut child = Command::new(env::current_exe()?)
            .arg("child")
            .arg(state.path())
            .args([seed, at.input, at.ours.into(), inputs].map(|n| n.to_string()))
            .spawn()?;
        let status = wait(&mut child, file, inputs)?;
        at = Position::read(file)?;
        let how = match status {
            Some(status) if status.success() => break,
            Some(status) => status.to_string(),
            None => "it hangs".into(),
        };
        let whose = match at.ours {
            true => "this crate",
            false => "tokio-rustls alone",
        };
        println!("{how} in the calls of {whose}: replay {seed} {}", at.input);
        *(if at.ours { &mut by_ours } else { &mut by_plain }) += 1;
        at = at.next();
    }
    println!(
        "{inputs} inputs in {:.0?}: the process was ended {by_ours} times by this crate, {by_plain} \
         times by tokio-rustls alone",
        started.elapsed()
    );
    Ok(by_ours == 0)
}

fn replay(seed: u64, input: u64) {
    for ours in [true, false] {
        let whose = if ours {
            "this crate"
        } else {
            "tokio-rustls alone"
        };
        println!("-- {whose}");
        Position { input, ours }.play(seed, true);
    }
}

fn main() -> io::Result<ExitCode> {
    if !cfg!(panic = "abort") || cfg!(debug_assertions) {
        eprintln!(
            "to be built with --profile abort: panic = \"abort\", and rustls without its assertions"
        );
        return Ok(ExitCode::from(2));
    }
    let args: Vec<_> = env::args().skip(1).collect();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let number = |arg: &str| arg.parse().map_err(|_| io::Error::other(USAGE));
    match args[..] {
        ["child", state, seed, input, ours, end] => {
            let at = Position {
                input: number(input)?,
                ours: ours != "0",
            };
            child(state, number(seed)?, at, number(end)?)?;
        }
        ["replay", seed, input] => replay(number(seed)?, number(input)?),
        [] | [_] | [_, _] => {
            let inputs = args.first().map_or(Ok(30_000), |arg| number(arg))?;
            let seed = args.get(1).map_or(Ok(6101), |arg| number(arg))?;
            if !parent(inputs, seed)? {
                return Ok(ExitCode::FAILURE);
            }
        }
        _ => return Err(io::Error::other(USAGE)),
    }
    Ok(ExitCode::SUCCESS)
}
