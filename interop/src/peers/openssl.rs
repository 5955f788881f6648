//! OpenSSL: the library, through the crates `openssl` and `tokio-openssl`, closed with
//! `SSL_shutdown`; and the program's `s_server` and `s_client`.

use crate::{
    far::{
        Setting,
        pipe::{Connection, Pipe},
        script::Script,
    },
    peer::{Kind, Peer, Role, Version},
};

pub(super) const LIBRARY: Peer = Peer {
    key: "openssl-lib",
    name: "OpenSSL through tokio-openssl",
    kind: Kind::Script(Script::Cargo { package: "peer-openssl" }),
    expected: "
server 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
server 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
client 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
client 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
",
    expected_with_openssl: "",
    may_be_missing: None,
};

pub(super) const PROGRAM: Peer = Peer {
    key: "openssl",
    name: "openssl s_server, s_client",
    kind: Kind::Pipe(Pipe {
        program: "openssl",
        version: &["openssl", "version"],
        args,
        listens: "ACCEPT ",
        ends: &[
            ("unexpected eof while reading", "truncated"),
            ("errno=104", "reset"),
            ("alert read:warning:close notify", "close_notify"),
        ],
    }),
    expected: "
server 1.2 | close_notify | FIN | whole or cut to us, whole to it or none to us, whole to it | none | noticed | not told | FIN | - | resumed | -
server 1.3 | close_notify | FIN | whole or cut to us, whole to it or none to us, whole to it | none | noticed | not told | FIN | - | resumed | -
client 1.2 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | noticed | noticed | FIN | - | resumed | -
client 1.3 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | noticed | noticed | FIN | - | resumed | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

fn args(setting: Setting<'_>, connection: Connection) -> Vec<String> {
    let version = match setting.side.version {
        Version::Tls12 => "-tls1_2",
        Version::Tls13 => "-tls1_3",
    };
    let args = match setting.side.role {
        Role::Server => {
            let certificate = setting.identity.certificate_file();
            let key = setting.identity.key_file();
            let connections = if connection == Connection::Only { 1 } else { 2 };
            format!(
                "s_server {version} -state -accept 127.0.0.1:0 -naccept {connections} -cert {certificate} -key {key}"
            )
        }
        Role::Client => {
            let root = setting.identity.root_file();
            let port = setting.port;
            let session = setting.directory.join("session");
            let session = match connection {
                Connection::Second => format!("-sess_in {}", session.display()),
                _ => format!("-sess_out {}", session.display()),
            };
            format!("s_client {version} -state -connect 127.0.0.1:{port} -CAfile {root} {session}")
        }
    };
    args.split(' ').map(str::to_owned).collect()
}
