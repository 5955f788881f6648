//! Programs as clients, with two servers behind one port.

use std::sync::{Arc, Mutex};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
    task::JoinHandle,
};
use tokio_tls_shutdown::ClosePolicy;

use crate::{
    redis_server::RedisServer,
    servers::{KINDS, Server},
    site::Kind,
    support::{PemFiles, in_time},
};

const VISITS: usize = 4;

fn version(kind: Kind) -> &'static str {
    match kind.is_tls13() {
        true => "1.3",
        false => "1.2",
    }
}

/// One port, behind which each connection goes to the other server.
struct Address {
    port: u16,
    /// Whether each connection so far was resumed.
    resumed: Arc<Mutex<Vec<bool>>>,
    task: JoinHandle<()>,
}

impl Address {
    /// Serves one connection after the other, so that each finds what the one before has brought; or
    /// all at once.
    async fn start(servers: [Server; 2], one_by_one: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let resumed = Arc::<Mutex<Vec<bool>>>::default();
        let seen = Arc::clone(&resumed);
        let task = tokio::spawn(async move {
            for n in 0.. {
                let (tcp, _) = listener.accept().await.unwrap();
                let server = servers[n % 2].clone();
                let seen = Arc::clone(&seen);
                let serve = tokio::spawn(async move {
                    tcp.set_nodelay(true).unwrap();
                    let acceptor = server.acceptor.with_policy(ClosePolicy::linger());
                    let mut tls = acceptor.accept(tcp).await.unwrap();
                    seen.lock().unwrap().push(tls.is_resumed());
                    let mut request = [0; 4096];
                    let answer: &[u8] = match tls.read(&mut request).await.unwrap() {
                        1 => b"!",
                        _ => b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n",
                    };
                    tls.write_all(answer).await.unwrap();
                    tls.shutdown().await.unwrap();
                    drop(tls);
                    server.sessions.flush().await;
                });
                if one_by_one {
                    let _ = serve.await;
                }
            }
        });
        Self {
            port,
            resumed,
            task,
        }
    }

    fn resumed(self) -> Vec<bool> {
        self.task.abort();
        self.resumed.lock().unwrap().clone()
    }
}

/// Runs a client that ends well.
async fn run(program: &str, args: &[&str], input: Option<&str>) -> String {
    use std::process::Stdio;
    let mut command = Command::new(program);
    command.args(args).kill_on_drop(true).stdin(Stdio::piped());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn();
    let mut child = child.unwrap_or_else(|e| panic!("`{program}`, see tests/install.sh: {e}"));
    let mut stdin = child.stdin.take().unwrap();
    if let Some(input) = input {
        stdin.write_all(input.as_bytes()).await.unwrap();
    }
    let done = in_time(program, child.wait_with_output()).await.unwrap();
    drop(stdin);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (out, err) = (text(&done.stdout), text(&done.stderr));
    assert!(done.status.success(), "{program}: {out}{err}");
    out
}

fn peer(file: &str) -> String {
    format!("{}/tests/peers/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// Lets a program connect `VISITS` times: all but the first resume.
async fn all_resume(client: impl AsyncFn(u16, &'static str, &str)) {
    let redis = RedisServer::start();
    let pem = PemFiles::write();
    let certificate = pem.certificate.path().to_str().unwrap();
    for kind in KINDS {
        let address = Address::start(Server::pair(kind, &redis.url()).await, true).await;
        client(address.port, version(kind), certificate).await;
        let resumed = address.resumed();
        assert_eq!(resumed.len(), VISITS, "{kind:?}");
        assert_eq!(resumed, [false, true, true, true], "{kind:?}");
    }
}

#[tokio::test]
async fn e12_python_resumes_at_the_other_server() {
    all_resume(async |port, version, certificate| {
        let args = [
            &peer("resume.py"),
            &port.to_string(),
            version,
            certificate,
            &VISITS.to_string(),
        ];
        let out = run("python3", &args.map(|arg| arg as &str), None).await;
        assert_eq!(out, "full\nresumed\nresumed\nresumed\n");
    })
    .await;
}

#[tokio::test]
async fn e12_java_resumes_at_the_other_server() {
    all_resume(async |port, version, certificate| {
        let args = [
            // Without, a TLS 1.2 client of Java offers a stateless ticket's extension only.
            "-Djdk.tls.client.enableSessionTicketExtension=false",
            &peer("Resume.java"),
            &port.to_string(),
            version,
            certificate,
            &VISITS.to_string(),
        ];
        run("java", &args, None).await;
    })
    .await;
}

/// Lets Go connect `VISITS` times. Returns which connections were resumed.
async fn go(servers: [Server; 2], kind: Kind) -> Vec<bool> {
    let pem = PemFiles::write();
    let build = tempfile::tempdir().unwrap();
    let program = build.path().join("resume");
    let program = program.to_str().unwrap();
    let source = peer("resume.go");
    run("go", &["build", "-o", program, &source], None).await;
    let address = Address::start(servers, true).await;
    let args = [
        &address.port.to_string(),
        version(kind),
        pem.certificate.path().to_str().unwrap(),
        &VISITS.to_string(),
    ];
    let said = run(program, &args, None).await;
    let resumed = address.resumed();
    let theirs: Vec<_> = said.lines().map(|line| line == "resumed").collect();
    assert_eq!(theirs, resumed);
    resumed
}

#[tokio::test]
async fn e12_go_resumes_at_the_other_server_in_tls13() {
    let redis = RedisServer::start();
    let kind = Kind::Tls13Stateful;
    let resumed = go(Server::pair(kind, &redis.url()).await, kind).await;
    assert_eq!(resumed, [false, true, true, true]);
}

/// In TLS 1.2 Go's `crypto/tls` keeps a session only if the server has sent a ticket (RFC 5077). Its
/// session id is random in each connection, to tell if the server has accepted the ticket: it is looked
/// up, and never found.
#[tokio::test]
async fn e12_go_never_resumes_in_tls12_without_ticket_keys() {
    let redis = RedisServer::start();
    let servers = Server::pair(Kind::Tls12Id, &redis.url()).await;
    assert_eq!(go(servers.clone(), Kind::Tls12Id).await, [false; VISITS]);
    let stats = servers.map(|server| server.sessions.stats());
    let hits: u64 = stats.iter().map(|stats| stats.hits).sum();
    let lookups: u64 = stats.iter().map(|stats| stats.lookups()).sum();
    assert_eq!((hits, lookups), (0, VISITS as u64));
    // Their sessions are there, under ids that Go does not offer.
    let published = async {
        while redis.len() < VISITS {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    };
    in_time("the last one", published).await;

    let kind = Kind::Tls12Ticket;
    let server = Server::start(kind, &redis.url(), 1, "www").await;
    let resumed = go([server.clone(), server], kind).await;
    assert_eq!(resumed, [false, true, true, true]);
}

#[tokio::test]
async fn e12_curl_resumes_at_the_other_server() {
    all_resume(async |port, version, certificate| {
        let url = format!("https://localhost:{port}/");
        let version = format!("--tls-max {version} --tlsv{version}");
        let mut args: Vec<&str> = version.split(' ').collect();
        args.extend(["--http1.1", "--silent", "--cacert", certificate]);
        args.extend([&url[..]; VISITS]);
        run("curl", &args, None).await;
    })
    .await;
}

#[tokio::test]
async fn e12_openssl_resumes_at_the_other_server() {
    all_resume(async |port, version, certificate| {
        let dir = tempfile::tempdir().unwrap();
        let session = dir.path().join("session");
        let session = session.to_str().unwrap();
        let connect = format!("localhost:{port}");
        let version = format!("-tls{}", version.replace('.', "_"));
        for visit in 0..VISITS {
            let mut args = vec![
                "s_client",
                "-connect",
                &connect,
                &version,
                "-CAfile",
                certificate,
            ];
            args.extend(["-quiet", "-no_ign_eof", "-sess_out", session]);
            if visit > 0 {
                args.extend(["-sess_in", session]);
            }
            run("openssl", &args, Some("?")).await;
        }
    })
    .await;
}

/// One session, 1,000 clients at once: Python's `ssl` lets its user offer a ticket twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn e12_a_thousand_clients_race_for_one_ticket_and_one_resumes() {
    const RACERS: usize = 1000;
    let redis = RedisServer::start();
    let pem = PemFiles::write();
    let kind = Kind::Tls13Stateful;
    let servers = Server::pair(kind, &redis.url()).await;
    let address = Address::start(servers.clone(), false).await;
    let args = [
        &peer("resume.py"),
        &address.port.to_string(),
        "1.3",
        pem.certificate.path().to_str().unwrap(),
        "1",
        &RACERS.to_string(),
    ];
    let out = run("python3", &args.map(|arg| arg as &str), None).await;
    let stats = servers.map(|server| server.sessions.stats());
    let expected = format!("full\nraced {RACERS} finished 1 resumed 0 failed\n");
    assert_eq!(out.trim_end(), expected.trim_end(), "{stats:?}");
    let resumed = address.resumed();
    assert_eq!(resumed.len(), RACERS + 1);
    assert_eq!(resumed.iter().filter(|&&resumed| resumed).count(), 1);
    let lookups: u64 = stats
        .iter()
        .map(|stats| stats.lookups() + stats.skipped)
        .sum();
    assert_eq!(lookups, RACERS as u64);
}
