//! GnuTLS: `gnutls-cli` and `gnutls-serv --echo`.

use crate::{
    far::{
        Setting, Talk,
        daemon::Daemon,
        pipe::{Connection, Pipe},
    },
    peer::{Kind, Peer},
};

pub(super) const CLIENT: Peer = Peer {
    key: "gnutls-cli",
    name: "gnutls-cli",
    kind: Kind::Pipe(Pipe {
        program: "gnutls-cli",
        version: &["gnutls-cli", "--version"],
        args: client_args,
        listens: "",
        ends: &[
            (
                "The TLS connection was non-properly terminated",
                "truncated",
            ),
            ("Error in the pull function", "reset"),
            ("Peer has closed the GnuTLS connection", "close_notify"),
        ],
    }),
    expected: "
client 1.2 | FIN | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | noticed | noticed | FIN | - | - | -
client 1.3 | FIN | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | noticed | noticed | FIN | - | - | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

pub(super) const SERVER: Peer = Peer {
    key: "gnutls-serv",
    name: "gnutls-serv --echo",
    kind: Kind::Daemon(Daemon {
        program: "gnutls-serv",
        version: &["gnutls-serv", "--version"],
        talk: Talk::Hello,
        before: |_| Vec::new(),
        args: server_args,
    }),
    expected: "
server 1.2 | close_notify | - | whole | - | - | - | - | - | resumed | -
server 1.3 | close_notify | - | whole | - | - | - | - | - | resumed | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

fn client_args(setting: Setting<'_>, _: Connection) -> Vec<String> {
    let root = setting.identity.root_file();
    let (port, version) = (setting.port, setting.side.version.number());
    let args = format!(
        "--port {port} --x509cafile {root} --sni-hostname localhost \
         --verify-hostname localhost --priority NORMAL:-VERS-ALL:+VERS-TLS{version} 127.0.0.1"
    );
    args.split(' ').map(str::to_owned).collect()
}

fn server_args(setting: Setting<'_>) -> Vec<String> {
    let certificate = setting.identity.certificate_file();
    let key = setting.identity.key_file();
    let (port, version) = (setting.port, setting.side.version.number());
    let args = format!(
        "--echo --port {port} --x509certfile {certificate} --x509keyfile {key} \
         --priority NORMAL:-VERS-ALL:+VERS-TLS{version}"
    );
    args.split(' ').map(str::to_owned).collect()
}
