//! Databases, directories, FTP and XMPP.

use super::{
    expect,
    running::{Site, User},
};

#[tokio::test]
async fn postgres_is_clean() {
    let site = Site::new();
    site.create_folder("outer", 0o777);
    let data = site.path("outer/data");
    let args = ["-D", &data, "-A", "trust", "--no-sync", "-c", "ssl=on"];
    site.prepare(User::Postgres, "initdb", &args[..5]);
    // It refuses a key that others can read, and one that is another user's.
    let copy = "umask 077; cp key.pem outer/data/server.key; cp cert.pem outer/data/server.crt";
    site.prepare(User::Postgres, "sh", &["-c", copy]);
    let port = site.port.to_string();
    let args = [
        "-D",
        &data,
        "-p",
        &port,
        "-h",
        "127.0.0.1",
        "-k",
        &data,
        "-c",
        "ssl=on",
    ];
    let server = site.start(User::Postgres, "postgres", &args);
    expect(&server, &["--starttls", "postgres"], "close_notify").await;
}

/// A client that leaves without logging in gets FIN alone.
#[tokio::test]
async fn mariadb_ends_with_fin_alone() {
    let site = Site::new();
    let user = std::env::var("USER").unwrap_or_else(|_| "root".into());
    let (user, data) = (
        format!("--user={user}"),
        format!("--datadir={}", site.path("data")),
    );
    let method = "--auth-root-authentication-method=normal";
    let args = ["--no-defaults", &user, &data, method, "--skip-test-db"];
    site.prepare(User::Me, "mariadb-install-db", &args);
    let port = format!("--port={}", site.port);
    let (socket, pid) = (site.path("socket"), site.path("pid"));
    let (socket, pid) = (format!("--socket={socket}"), format!("--pid-file={pid}"));
    let (cert, key) = (site.path("cert.pem"), site.path("key.pem"));
    let (cert, key) = (format!("--ssl-cert={cert}"), format!("--ssl-key={key}"));
    let local = "--bind-address=127.0.0.1";
    let args = [
        "--no-defaults",
        &user,
        &data,
        &port,
        &socket,
        &pid,
        &cert,
        &key,
        local,
    ];
    let server = site.start(User::Me, "mariadbd", &args);
    expect(&server, &["--starttls", "mysql"], "fin").await;
}

#[tokio::test]
async fn slapd_is_clean() {
    let site = Site::new();
    site.create_folder("data", 0o755);
    let config = site.write(
        "slapd.conf",
        "include /etc/ldap/schema/core.schema
TLSCertificateFile DIR/cert.pem
TLSCertificateKeyFile DIR/key.pem
pidfile DIR/slapd.pid
modulepath /usr/lib/ldap
moduleload back_mdb
database mdb
suffix \"dc=example,dc=com\"
directory DIR/data
",
    );
    let url = format!("ldap://127.0.0.1:{}", site.port);
    let server = site.start(User::Me, "slapd", &["-f", &config, "-h", &url, "-d", "0"]);
    expect(&server, &["--starttls", "ldap"], "close_notify").await;
}

#[tokio::test]
async fn vsftpd_ends_with_fin_alone() {
    let site = Site::new();
    site.create_folder("empty", 0o755);
    let config = site.write(
        "vsftpd.conf",
        "listen=YES
listen_address=127.0.0.1
listen_port=PORT
run_as_launching_user=YES
anonymous_enable=YES
secure_chroot_dir=DIR/empty
ssl_enable=YES
ssl_ciphers=HIGH
allow_anon_ssl=YES
rsa_cert_file=DIR/cert.pem
rsa_private_key_file=DIR/key.pem
",
    );
    let server = site.start(User::Me, "vsftpd", &[&config]);
    expect(&server, &["--starttls", "ftp"], "fin").await;
}

#[tokio::test]
async fn prosody_is_clean() {
    let site = Site::new();
    site.create_folder("data", 0o755);
    let config = site.write(
        "prosody.cfg.lua",
        "daemonize = false
run_as_root = true
pidfile = 'DIR/prosody.pid'
data_path = 'DIR/data'
modules_enabled = { 'tls', 'saslauth' }
modules_disabled = { 's2s' }
interfaces = { '127.0.0.1' }
c2s_ports = { PORT }
ssl = { certificate = 'DIR/cert.pem', key = 'DIR/key.pem' }
c2s_require_encryption = true
log = { warn = '*console' }
VirtualHost 'localhost'
",
    );
    let server = site.start(User::Me, "prosody", &["--config", &config, "-F"]);
    expect(&server, &["--starttls", "xmpp"], "close_notify").await;
}
