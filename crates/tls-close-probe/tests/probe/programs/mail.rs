//! Mail servers.

use serde_json::json;

use super::{
    VERSIONS, expect, probe,
    running::{Running, Site, User, free_port},
};
use crate::run::assert_fields;

/// Dovecot with one of its protocols on the site's port.
fn dovecot(protocol: &str) -> Running {
    let site = Site::new();
    site.create_folder("run", 0o755);
    let [imap, pop3, sieve] = ["imap", "pop3", "sieve"].map(|name| match name == protocol {
        true => site.port,
        false => free_port(),
    });
    let text = format!(
        "base_dir = DIR/run
log_path = DIR/dovecot.log
protocols = imap pop3 sieve
listen = 127.0.0.1
ssl = required
ssl_cert = <DIR/cert.pem
ssl_key = <DIR/key.pem
default_internal_user = nobody
default_internal_group = nogroup
default_login_user = nobody
mail_location = maildir:DIR/mail
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=nobody gid=nogroup home=DIR
}}
service imap-login {{
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service managesieve-login {{
  inet_listener sieve {{
    port = {sieve}
  }}
}}
"
    );
    let config = site.write("dovecot.conf", &text);
    site.start(User::Root, "dovecot", &["-F", "-c", &config])
}

#[tokio::test]
async fn dovecot_is_clean() {
    for protocol in ["imap", "pop3", "sieve"] {
        expect(
            &dovecot(protocol),
            &["--starttls", protocol],
            "close_notify",
        )
        .await;
    }
}

/// Exim takes close_notify for the end of TLS alone, and waits for the next command in plaintext.
#[tokio::test]
async fn exim_leaves_close_notify_without_an_answer() {
    let site = Site::new();
    site.create_folder("spool", 0o777);
    let config = site.write(
        "exim.conf",
        "exim_user = nobody
exim_group = nogroup
spool_directory = DIR/spool
log_file_path = DIR/spool/%s.log
pid_file_path = DIR/exim.pid
primary_hostname = localhost
local_interfaces = 127.0.0.1
daemon_smtp_ports = PORT
tls_advertise_hosts = *
tls_certificate = DIR/cert.pem
tls_privatekey = DIR/key.pem
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
begin acl
",
    );
    let server = site.start(User::Root, "exim4", &["-bdf", "-C", &config]);
    for version in VERSIONS {
        let args = ["--starttls", "smtp", "--timeout", "2"];
        let report = probe(&server, &args, version).await;
        let expected = json!({ "close/answer": "timed_out", "close/transport": "open" });
        assert_fields(&report, &expected);
    }
    // After QUIT it closes first.
    expect(
        &server,
        &["--starttls", "smtp", "--send", r"QUIT\r\n"],
        "close_notify",
    )
    .await;
}
