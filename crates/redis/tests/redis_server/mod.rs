//! A `redis-server` of the test's own: on a free port and a socket, started and stopped by it.
#![allow(dead_code, unreachable_pub, reason = "each program uses a part of it")]

pub mod cluster;
pub mod slow_link;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

pub struct RedisServer {
    dir: TempDir,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(Vec::new())
    }

    /// With more settings, as arguments of `redis-server`.
    pub fn start_with(settings: Vec<String>) -> Self {
        let mut this = Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            settings,
            child: None,
        };
        this.restart();
        this
    }

    /// Starts it again, empty, if it was killed.
    pub fn restart(&mut self) {
        let port = self.port.to_string();
        let socket = self.socket();
        let args = [
            ["--port", &port],
            ["--bind", "127.0.0.1"],
            ["--unixsocket", &socket],
            ["--save", ""],
            ["--appendonly", "no"],
            ["--enable-debug-command", "local"],
        ];
        let spawned = Command::new("redis-server")
            .args(args.as_flattened())
            .args(&self.settings)
            .current_dir(self.dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        self.child = Some(spawned.expect("install redis-server: tests/install.sh does"));
        let started = Instant::now();
        while !self.is_up() {
            assert!(
                started.elapsed() < Duration::from_secs(30),
                "redis-server does not start"
            );
            sleep(Duration::from_millis(5));
        }
    }

    fn is_up(&self) -> bool {
        UnixStream::connect(self.socket()).is_ok()
            && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn socket(&self) -> String {
        self.dir
            .path()
            .join("redis.sock")
            .to_str()
            .unwrap()
            .to_owned()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/", self.port)
    }

    pub fn unix_url(&self) -> String {
        format!("redis+unix://{}", self.socket())
    }

    /// Sends a command and returns the first line of the answer.
    pub fn command(&self, words: &str) -> String {
        let mut socket = self.send(words);
        let mut answer = Vec::new();
        let mut byte = [0];
        while socket.read(&mut byte).unwrap() == 1 && byte != *b"\n" {
            answer.extend(byte);
        }
        String::from_utf8_lossy(&answer).trim_end().to_owned()
    }

    /// Sends a command whose answer is not waited for.
    pub fn send(&self, words: &str) -> UnixStream {
        let mut socket = UnixStream::connect(self.socket()).unwrap();
        socket.write_all(format!("{words}\r\n").as_bytes()).unwrap();
        socket
    }

    /// How many sessions there are.
    pub fn len(&self) -> usize {
        self.command("DBSIZE")
            .trim_start_matches(':')
            .parse()
            .unwrap()
    }

    /// How often `command` was called since the start.
    pub fn calls(&self, command: &str) -> u64 {
        let calls = self.info("commandstats", &format!("cmdstat_{command}"));
        let calls = calls.trim_start_matches("calls=").split(',').next();
        calls.unwrap_or_default().parse().unwrap_or(0)
    }

    /// What `INFO section` says of `field`; nothing if that is not there.
    pub fn info(&self, section: &str, field: &str) -> String {
        self.field(&format!("INFO {section}"), field)
    }

    fn field(&self, command: &str, field: &str) -> String {
        let mut socket = self.send(&format!("{command}\r\nQUIT"));
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        let mut fields = answer.lines().filter_map(|line| line.split_once(':'));
        let found = fields.find(|(name, _)| *name == field);
        found.map_or_else(String::new, |(_, value)| value.to_owned())
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}
