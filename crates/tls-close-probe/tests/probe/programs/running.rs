//! Starts programs and ends them.

use std::{
    env, fs,
    net::{TcpListener, TcpStream},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

use crate::pair::pem;

/// Who starts the program.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum User {
    /// The one who runs the tests.
    Me,
    Root,
    /// Not root, which some servers refuse to be.
    Postgres,
}

/// A folder with `cert.pem`, `key.pem` and `both.pem`, and a free port, for a server to come.
pub(super) struct Site {
    folder: TempDir,
    pub(super) port: u16,
}

impl Site {
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new()
            .prefix("close-probe-")
            .tempdir()
            .unwrap();
        // Servers that give up root must read it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let site = Self {
            folder,
            port: free_port(),
        };
        let (certificate, key) = pem();
        site.write("cert.pem", &certificate);
        site.write("key.pem", &key);
        site.write("both.pem", &(certificate + &key));
        site
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file; `DIR` and `PORT` in its text stand for the folder and the port.
    pub(super) fn write(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        let folder = self.folder.path().to_str().unwrap();
        let text = text
            .replace("DIR", folder)
            .replace("PORT", &self.port.to_string());
        fs::write(&path, text).unwrap();
        path
    }

    pub(super) fn create_folder(&self, name: &str, mode: u32) -> String {
        let path = self.path(name);
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// Runs a program to its end, which must be a good one.
    pub(super) fn prepare(&self, user: User, program: &str, args: &[&str]) {
        let output = self.command(user, program, args).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} failed: {stderr}");
    }

    /// Starts the server, and waits until it listens.
    pub(super) fn start(self, user: User, program: &str, args: &[&str]) -> Running {
        let log = fs::File::create(self.path("log.txt")).unwrap();
        let mut command = self.command(user, program, args);
        command.stdin(Stdio::null()).process_group(0);
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        let mut running = Running {
            child,
            user,
            site: self,
        };
        running.wait_until_it_listens(program);
        running
    }

    fn command(&self, user: User, program: &str, args: &[&str]) -> Command {
        let path = find(program);
        let prefix = match (user, is_root()) {
            (User::Root, false) => &["sudo", "-n"][..],
            (User::Postgres, true) => &["runuser", "-u", "postgres", "--"],
            _ => &[],
        };
        let path = path.to_str().unwrap();
        let words = [prefix, &[path], args].concat();
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(self.folder.path());
        command
    }
}

pub(super) struct Running {
    child: Child,
    user: User,
    site: Site,
}

impl Running {
    pub(super) fn address(&self) -> String {
        format!("localhost:{}", self.site.port)
    }

    pub(super) fn path(&self, name: &str) -> String {
        self.site.path(name)
    }

    fn wait_until_it_listens(&mut self, program: &str) {
        const LIMIT: Duration = Duration::from_secs(60);
        let begun = Instant::now();
        while TcpStream::connect(("127.0.0.1", self.site.port)).is_err() {
            let log = || fs::read_to_string(self.site.path("log.txt")).unwrap_or_default();
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("{program} ended with {status}: {}", log());
            }
            assert!(
                begun.elapsed() < LIMIT,
                "{program} does not listen: {}",
                log()
            );
            sleep(Duration::from_millis(50));
        }
    }

    /// Signals the server and what it has started.
    fn signal(&self, signal: &str) {
        let group = format!("-{}", self.child.id());
        let words = match (self.user, is_root()) {
            (User::Root, false) => vec!["sudo", "-n", "kill", signal, "--", &group],
            _ => vec!["kill", signal, "--", &group],
        };
        let _ = Command::new(words[0])
            .args(&words[1..])
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.signal("-TERM");
        let begun = Instant::now();
        while matches!(self.child.try_wait(), Ok(None)) && begun.elapsed() < Duration::from_secs(5)
        {
            sleep(Duration::from_millis(20));
        }
        self.signal("-KILL");
        let _ = self.child.wait();
    }
}

/// Finds a server program, which need not be in the `PATH` of its users.
fn find(program: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<_> = env::split_paths(&path).collect();
    folders.extend(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    if let Ok(versions) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<_> = versions
            .map(|entry| entry.unwrap().path().join("bin"))
            .collect();
        versions.sort();
        folders.extend(versions);
    }
    let mut found = folders
        .iter()
        .map(|folder| folder.join(program))
        .filter(|path| path.is_file());
    found.next().unwrap_or_else(|| {
        panic!("this test needs `{program}`: crates/tls-close-probe/tests/install.sh installs it")
    })
}

pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().unwrap();
    output.stdout.trim_ascii() == b"0"
}
