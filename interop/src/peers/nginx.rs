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
server 1.2 | FIN | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | taken for close_notify | taken for close_notify | - | close_notify | resumed | -
server 1.3 | FIN | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | taken for close_notify | taken for close_notify | - | close_notify | resumed | -
client 1.2 | FIN | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | taken for close_notify | taken for close_notify | - | close_notify | resumed | -
client 1.3 | FIN | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | taken for close_notify | taken for close_notify | - | close_notify | resumed | -
",
    expected_with_openssl: "",
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
server 1.2 | FIN | close_notify | - | whole | - | - | - | - | resumed | -
server 1.3 | FIN | close_notify | - | whole | - | - | - | - | resumed | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

/// One process in the foreground that keeps its files to itself.
fn common(setting: Setting<'_>) -> String {
    let directory = setting.directory.display();
    format!(
        "daemon off;
         master_process off;
         pid {directory}/nginx.pid;
         error_log stderr;
         events {{}}\n"
    )
}

fn args(file: &str) -> Vec<String> {
    ["-c", file, "-e", "stderr"].map(str::to_owned).into()
}

fn stream_config(setting: Setting<'_>, Ports { listen, target }: Ports) -> String {
    let version = setting.side.version.number();
    let certificate = setting.identity.certificate_file();
    let key = setting.identity.key_file();
    let root = setting.identity.root_file();
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
             proxy_ssl_trusted_certificate {root};
             proxy_ssl_verify on;
             proxy_ssl_name localhost;"
        ),
    };
    // Debian builds the module apart, and loads it from there.
    let common = common(setting);
    let module = "include /etc/nginx/modules-enabled/*.conf;";
    format!("{module}{common}stream {{ server {{ {server} proxy_pass 127.0.0.1:{target}; }} }}")
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
    let common = common(setting);
    let config = format!(
        "{common}http {{
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
