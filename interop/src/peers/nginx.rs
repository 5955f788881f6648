//! nginx: as a proxy that ends or begins TLS (its stream module), and as a web server.

use crate::{
    far::{
        Setting, Talk,
        daemon::Daemon,
        proxy::{Ports, Proxy},
    },
    http,
    peer::{Kind, Peer, Role},
};

const VERSION: &[&str] = &["nginx", "-v"];

pub(super) const STREAM: Peer = Peer {
    key: "nginx-stream",
    name: "nginx stream proxy",
    kind: Kind::Proxy(Proxy {
        program: "nginx",
        version: VERSION,
        config: stream_config,
        args: |file| args(file),
    }),
    expected: "
server 1.2 | ? | ? | ? | ? | ? | ? | - | ? | ? | -
server 1.3 | ? | ? | ? | ? | ? | ? | - | ? | ? | -
client 1.2 | ? | ? | ? | ? | ? | ? | - | ? | ? | -
client 1.3 | ? | ? | ? | ? | ? | ? | - | ? | ? | -
",
    may_be_missing: None,
};

pub(super) const WEB: Peer = Peer {
    key: "nginx",
    name: "nginx web server",
    kind: Kind::Daemon(Daemon {
        program: "nginx",
        version: VERSION,
        talk: Talk::Ask,
        before: |_| Vec::new(),
        args: web_args,
    }),
    expected: "
server 1.2 | ? | ? | - | ? | - | - | - | - | ? | -
server 1.3 | ? | ? | - | ? | - | - | - | - | ? | -
",
    may_be_missing: None,
};

/// One process in the foreground that keeps its files to itself.
const COMMON: &str = "
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {}
";

fn args(file: &str) -> Vec<String> {
    let directory = file
        .rsplit_once('/')
        .map_or(".", |(directory, _)| directory);
    ["-p", directory, "-c", file, "-e", "stderr"]
        .map(str::to_owned)
        .into()
}

fn stream_config(setting: Setting<'_>, Ports { listen, target }: Ports) -> String {
    let version = setting.side.version.number();
    let certificate = setting.identity.certificate_file();
    let key = setting.identity.key_file();
    let server = match setting.side.role {
        Role::Server => format!(
            "listen 127.0.0.1:{listen} ssl;
             ssl_certificate {certificate};
             ssl_certificate_key {key};
             ssl_protocols TLSv{version};
             ssl_session_cache shared:sessions:1m;"
        ),
        Role::Client => format!(
            "listen 127.0.0.1:{listen};
             proxy_ssl on;
             proxy_ssl_protocols TLSv{version};
             proxy_ssl_trusted_certificate {certificate};
             proxy_ssl_verify on;
             proxy_ssl_name localhost;"
        ),
    };
    // Debian builds the module apart, and loads it from there.
    let module = "include /etc/nginx/modules-enabled/*.conf;";
    format!("{module}{COMMON}stream {{ server {{ {server} proxy_pass 127.0.0.1:{target}; }} }}")
}

fn web_args(setting: Setting<'_>) -> Vec<String> {
    let directory = setting.directory.display();
    let version = setting.side.version.number();
    let port = setting.port;
    let certificate = setting.identity.certificate_file();
    let key = setting.identity.key_file();
    let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("{kind}_temp_path {directory}/{kind};"))
        .collect();
    let config = format!(
        "{COMMON}http {{
             access_log off;
             {paths}
             server {{
                 listen 127.0.0.1:{port} ssl;
                 ssl_certificate {certificate};
                 ssl_certificate_key {key};
                 ssl_protocols TLSv{version};
                 ssl_session_cache shared:sessions:1m;
                 root {directory};
             }}
         }}"
    );
    let file = format!("{directory}/nginx.conf");
    // What cannot be written it will complain of.
    let _ = std::fs::write(&file, config);
    let _ = std::fs::write(setting.directory.join("file"), http::file());
    args(&file)
}
