//! BoringSSL, through the crates `boring` and `tokio-boring`. It closes with `SSL_shutdown`.

use crate::{
    far::script::Script,
    peer::{Kind, Peer},
};

pub(super) const PEER: Peer = Peer {
    key: "boring",
    name: "BoringSSL through tokio-boring",
    kind: Kind::Script(Script::Cargo {
        package: "peer-boring",
    }),
    expected: "
server 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
server 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
client 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
client 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
",
    expected_with_openssl: "",
    may_be_missing: None,
};
