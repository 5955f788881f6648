//! HAProxy as a proxy that ends or begins TLS.

use crate::{
    far::{
        Setting,
        proxy::{Ports, Proxy},
    },
    peer::{Kind, Peer, Role},
};

pub(super) const PEER: Peer = Peer {
    key: "haproxy",
    name: "HAProxy",
    kind: Kind::Proxy(Proxy {
        program: "haproxy",
        version: &["haproxy", "-v"],
        config,
        args: |file| vec!["-db".to_owned(), "-f".to_owned(), file.to_owned()],
    }),
    expected: "
server 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | - | close_notify | resumed | -
server 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | - | close_notify | resumed | -
client 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | - | RST | resumed | -
client 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | - | RST | resumed | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

fn config(setting: Setting<'_>, Ports { listen, target }: Ports) -> String {
    let version = setting.side.version.number();
    let root = setting.identity.root_file();
    let both = setting.identity.both_file();
    let (bind, server) = match setting.side.role {
        Role::Server => {
            let tls =
                format!(" ssl crt {both} ssl-min-ver TLSv{version} ssl-max-ver TLSv{version}");
            (tls, String::new())
        }
        Role::Client => {
            let tls = format!(
                " ssl ca-file {root} verify required sni str(localhost) \
                 ssl-min-ver TLSv{version} ssl-max-ver TLSv{version}"
            );
            (String::new(), tls)
        }
    };
    format!(
        // Each of its threads keeps sessions of its own.
        "global
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 10s
    timeout server 10s
listen proxy
    bind 127.0.0.1:{listen}{bind}
    server inner 127.0.0.1:{target}{server}
"
    )
}
