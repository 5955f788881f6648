//! stunnel.

use crate::{
    far::{
        Setting,
        proxy::{Ports, Proxy},
    },
    peer::{Kind, Peer, Role},
};

pub(super) const PEER: Peer = Peer {
    key: "stunnel",
    name: "stunnel",
    kind: Kind::Proxy(Proxy {
        program: "stunnel",
        version: &["stunnel", "-version"],
        config,
        args: |file| vec![file.to_owned()],
    }),
    expected: "
server 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | - | close_notify | resumed | -
server 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | - | close_notify | resumed | -
client 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | - | close_notify | resumed | -
client 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | - | close_notify | resumed | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

fn config(setting: Setting<'_>, Ports { listen, target }: Ports) -> String {
    let version = setting.side.version.number();
    let certificate = setting.identity.certificate_file();
    let root = setting.identity.root_file();
    let key = setting.identity.key_file();
    let tls = match setting.side.role {
        Role::Server => format!("cert = {certificate}\nkey = {key}\n"),
        Role::Client => {
            format!("client = yes\nCAfile = {root}\nverifyChain = yes\nsni = localhost\n")
        }
    };
    format!(
        "foreground = yes
pid =
[proxy]
accept = 127.0.0.1:{listen}
connect = 127.0.0.1:{target}
sslVersion = TLSv{version}
{tls}"
    )
}
