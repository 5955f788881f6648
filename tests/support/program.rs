//! Other programs as peers.

use std::{io::ErrorKind, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::{Child, ChildStdin, Command},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

/// So long that only a hang lasts longer, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(30);

/// Waits for `step`, and fails the test if that hangs.
pub async fn in_time<T>(what: &str, step: impl Future<Output = T>) -> T {
    match timeout(LIMIT, step).await {
        Ok(output) => output,
        Err(_) => panic!("{what}: not done after {LIMIT:?}"),
    }
}

/// A child process that is killed when it is dropped.
pub struct Program {
    name: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: Text,
    stderr: Text,
}

impl Program {
    /// Starts the program `name`, which comes with the Debian package `package`.
    #[track_caller]
    pub fn start<A: AsRef<std::ffi::OsStr>>(
        name: &'static str,
        package: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Self {
        let spawned = Command::new(name)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(e) if e.kind() == ErrorKind::NotFound => panic!(
                "this test needs the `{name}` program: install it, e.g. `apt-get install {package}`"
            ),
            Err(e) => panic!("`{name}` does not start: {e}"),
        };
        Self {
            name,
            stdin: child.stdin.take(),
            stdout: Text::collect(child.stdout.take().unwrap()),
            stderr: Text::collect(child.stderr.take().unwrap()),
            child,
        }
    }

    /// Writes to its standard input.
    pub async fn say(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("standard input is closed");
        in_time(self.name, stdin.write_all(bytes)).await.unwrap();
        in_time(self.name, stdin.flush()).await.unwrap();
    }

    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Waits until its standard output has a line that begins with `start`; returns the rest of it.
    pub async fn line(&mut self, start: &str) -> String {
        self.stdout
            .find(self.name, |text| {
                let lines = text.split_inclusive(|&byte| byte == b'\n');
                let mut whole = lines.filter_map(|line| line.strip_suffix(b"\n"));
                let rest = whole.find_map(|line| line.strip_prefix(start.as_bytes()))?;
                Some(String::from_utf8_lossy(rest).into_owned())
            })
            .await
    }

    /// Waits until its standard output holds `part`.
    pub async fn prints(&mut self, part: &[u8]) {
        self.stdout
            .find(self.name, |text| contains(text, part).then_some(()))
            .await;
    }

    /// Waits until its standard error holds `part`.
    pub async fn complains(&mut self, part: &str) {
        self.stderr
            .find(self.name, |text| {
                contains(text, part.as_bytes()).then_some(())
            })
            .await;
    }

    /// Waits, and fails the test as soon as the program fails.
    pub async fn fails(&mut self) {
        let status = self.child.wait().await.unwrap();
        if !status.success() {
            let _ = (&mut self.stderr.reader).await;
            let stderr = self.stderr.seen.borrow();
            panic!("{} failed\n{}", self.name, String::from_utf8_lossy(&stderr));
        }
        std::future::pending().await
    }

    /// Waits for its end.
    pub async fn ends(mut self) -> Ended {
        let status = in_time(self.name, self.child.wait()).await.unwrap();
        Ended {
            success: status.success(),
            stdout: in_time(self.name, self.stdout.rest()).await,
            stderr: String::from_utf8_lossy(&in_time(self.name, self.stderr.rest()).await)
                .into_owned(),
        }
    }

    /// Waits for its end, which must be a good one.
    pub async fn succeeds(self) -> Ended {
        let name = self.name;
        let ended = self.ends().await;
        assert!(
            ended.success,
            "{name} failed\n{}\n{}",
            String::from_utf8_lossy(&ended.stdout),
            ended.stderr
        );
        ended
    }
}

/// What a program has left.
pub struct Ended {
    pub success: bool,
    pub stdout: Vec<u8>,
    pub stderr: String,
}

impl Ended {
    pub fn printed(&self, part: &[u8]) -> bool {
        contains(&self.stdout, part)
    }
}

/// What a program has printed so far.
struct Text {
    seen: watch::Receiver<Vec<u8>>,
    reader: JoinHandle<()>,
}

impl Text {
    fn collect(mut from: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let (sender, seen) = watch::channel(Vec::new());
        let reader = tokio::spawn(async move {
            let mut chunk = vec![0; 65_536];
            while let Ok(n @ 1..) = from.read(&mut chunk).await {
                sender.send_modify(|text| text.extend(&chunk[..n]));
            }
        });
        Self { seen, reader }
    }

    async fn find<T>(&mut self, name: &str, mut find: impl FnMut(&[u8]) -> Option<T>) -> T {
        let mut found = None;
        let waited = in_time(
            name,
            self.seen.wait_for(|text| {
                found = find(text);
                found.is_some()
            }),
        )
        .await
        .map(drop);
        match (waited, found) {
            (Ok(()), Some(found)) => found,
            _ => panic!(
                "{name} ended without what was waited for:\n{}",
                String::from_utf8_lossy(&self.seen.borrow())
            ),
        }
    }

    async fn rest(self) -> Vec<u8> {
        self.reader.await.unwrap();
        self.seen.borrow().clone()
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
