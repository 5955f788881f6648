//! Child processes that do not outlive the run.

use std::{ffi::OsStr, io::ErrorKind, os::fd::OwnedFd, process::Stdio, time::Duration};

use anyhow::{Context, bail};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, UnixStream},
    process::{Child, Command},
    sync::watch,
    time::sleep,
};

/// A program that is not installed.
#[derive(Debug)]
pub(crate) struct Missing(pub(crate) String);

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` is missing: run interop/install.sh", self.0)
    }
}

impl std::error::Error for Missing {}

/// A child process that is killed when it is dropped.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) stdin: Option<UnixStream>,
    pub(crate) stdout: Text,
    pub(crate) stderr: Text,
}

impl Process {
    pub(crate) fn start<A: AsRef<OsStr>>(
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<Self> {
        // Not a pipe: tstclnt does not see the end of one.
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let spawned = Command::new(program)
            .args(args)
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = match spawned {
            Err(e) if e.kind() == ErrorKind::NotFound => bail!(Missing(program.to_owned())),
            spawned => spawned.with_context(|| format!("cannot start {program}"))?,
        };
        Ok(Self {
            stdin: Some(UnixStream::from_std(ours)?),
            stdout: Text::collect(child.stdout.take().context("its standard output")?),
            stderr: Text::collect(child.stderr.take().context("its standard error")?),
            child,
        })
    }

    /// Runs a program to its end; returns all that it printed.
    pub(crate) async fn output<A: AsRef<OsStr>>(
        program: &str,
        args: impl IntoIterator<Item = A>,
    ) -> anyhow::Result<String> {
        let mut process = Self::start(program, args)?;
        process.stdin = None;
        let status = process.child.wait().await?;
        let text = process.printed().await;
        match status.success() {
            true => Ok(text),
            false => bail!("{program} failed:\n{text}"),
        }
    }

    /// Waits for the end of both outputs.
    pub(crate) async fn printed(&mut self) -> String {
        let mut text = self.stdout.rest().await;
        text.extend(self.stderr.rest().await);
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// What a program has printed so far.
pub(crate) struct Text(watch::Receiver<Vec<u8>>);

impl Text {
    fn collect(mut from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, seen) = watch::channel(Vec::new());
        tokio::spawn(async move {
            let mut chunk = vec![0; 65_536];
            while let Ok(n @ 1..) = from.read(&mut chunk).await {
                sender.send_modify(|text| text.extend(&chunk[..n]));
            }
        });
        Self(seen)
    }

    /// Waits until `find` finds something.
    pub(crate) async fn find<T>(
        &mut self,
        mut find: impl FnMut(&[u8]) -> Option<T>,
    ) -> anyhow::Result<T> {
        let mut found = None;
        let waited = self.0.wait_for(|text| {
            found = find(text);
            found.is_some()
        });
        let ended = waited.await.is_err();
        match found {
            Some(found) if !ended => Ok(found),
            _ => bail!("it ended: {}", String::from_utf8_lossy(&self.0.borrow())),
        }
    }

    /// Waits until there is a whole line that begins with `start`; returns the rest of it.
    pub(crate) async fn line(&mut self, start: &str) -> anyhow::Result<String> {
        self.find(|text| {
            let lines = text.split_inclusive(|&byte| byte == b'\n');
            let mut whole = lines.filter_map(|line| line.strip_suffix(b"\n"));
            let rest = whole.find_map(|line| line.strip_prefix(start.as_bytes()))?;
            Some(String::from_utf8_lossy(rest).into_owned())
        })
        .await
    }

    /// Waits until there is a whole line behind the first `from` bytes; returns it and where the
    /// next one begins.
    pub(crate) async fn line_at(&mut self, from: usize) -> anyhow::Result<(String, usize)> {
        self.find(|text| {
            let rest = text.get(from..)?;
            let len = rest.iter().position(|&byte| byte == b'\n')?;
            let line = String::from_utf8_lossy(&rest[..len]).into_owned();
            Some((line, from + len + 1))
        })
        .await
    }

    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.0.changed().await.is_ok() {}
        self.0.borrow().clone()
    }
}

/// Starts a server that must be told its port: one that the system has just given away, so another
/// one if somebody was faster.
pub(crate) async fn start_server(
    start: impl Fn(u16) -> anyhow::Result<Process>,
) -> anyhow::Result<(Process, u16)> {
    let mut last = String::new();
    for _ in 0..3 {
        let port = free_port().await?;
        let mut process = start(port)?;
        tokio::select! {
            () = accepts(port) => return Ok((process, port)),
            _ = process.child.wait() => last = process.printed().await,
        }
    }
    bail!("it does not listen: {last}")
}

async fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    Ok(listener.local_addr()?.port())
}

/// Waits until somebody listens, without a connection that would be the server's first.
async fn accepts(port: u16) {
    while !is_listening(port) {
        sleep(Duration::from_millis(10)).await;
    }
}

fn is_listening(port: u16) -> bool {
    const LISTEN: &str = "0A";
    let port = format!(":{port:04X}");
    ["/proc/net/tcp", "/proc/net/tcp6"].iter().any(|file| {
        let sockets = std::fs::read_to_string(file).unwrap_or_default();
        sockets.lines().any(|line| {
            let mut fields = line.split_whitespace().skip(1);
            let local = fields.next().unwrap_or_default();
            local.ends_with(&port) && fields.nth(1) == Some(LISTEN)
        })
    })
}
