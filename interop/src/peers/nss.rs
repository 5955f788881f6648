//! NSS: `tstclnt` and `selfserv`, which answers any request with one small page.

use crate::{
    far::{
        Setting, Talk,
        daemon::Daemon,
        pipe::{Connection, Pipe},
    },
    peer::{Kind, Peer},
};

pub(super) const CLIENT: Peer = Peer {
    key: "tstclnt",
    name: "NSS tstclnt",
    kind: Kind::Pipe(Pipe {
        program: "tstclnt",
        version: VERSION,
        args: client_args,
        listens: "",
        ends: &[("PR_CONNECT_RESET_ERROR", "reset")],
    }),
    expected: "
client 1.2 | nothing | nothing | whole | whole | not told | noticed | FIN | - | - | -
client 1.3 | nothing | nothing | whole | whole | not told | noticed | FIN | - | - | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

pub(super) const SERVER: Peer = Peer {
    key: "selfserv",
    name: "NSS selfserv",
    kind: Kind::Daemon(Daemon {
        program: "selfserv",
        version: VERSION,
        talk: Talk::Ask,
        before: make_database,
        args: server_args,
    }),
    expected: "
server 1.2 | close_notify | close_notify | - | - | - | - | - | - | resumed | -
server 1.3 | close_notify | close_notify | - | - | - | - | - | - | resumed | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

/// Its programs do not tell.
const VERSION: &[&str] = &["dpkg-query", "--show", "libnss3-tools"];

fn client_args(setting: Setting<'_>, _: Connection) -> Vec<String> {
    let (port, version) = (setting.port, setting.side.version.number());
    let args = format!("-D -o -h 127.0.0.1 -a localhost -p {port} -V tls{version}:tls{version}");
    args.split(' ').map(str::to_owned).collect()
}

fn database(setting: Setting<'_>) -> String {
    format!("sql:{}", setting.directory.display())
}

fn make_database(setting: Setting<'_>) -> Vec<Vec<String>> {
    let database = database(setting);
    let both = setting.identity.both_file();
    let file = setting.directory.join("own.p12");
    let file = file.display();
    [
        format!("certutil -N -d {database} --empty-password"),
        format!("openssl pkcs12 -export -in {both} -name own -passout pass:secret -out {file}"),
        format!("pk12util -i {file} -d {database} -W secret"),
    ]
    .map(|line| {
        line.split(' ')
            .map(|word| word.replace("-W=", "-W"))
            .collect()
    })
    .into()
}

fn server_args(setting: Setting<'_>) -> Vec<String> {
    let (port, version) = (setting.port, setting.side.version.number());
    let database = database(setting);
    let args = format!("-u -d {database} -n own -p {port} -V tls{version}:tls{version}");
    args.split(' ').map(str::to_owned).collect()
}
