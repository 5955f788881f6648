//! Node's `tls`. It closes with `end`.

use crate::{
    far::script::Script,
    peer::{Kind, Peer},
};

pub(super) const PEER: Peer = Peer {
    key: "node",
    name: "Node tls",
    kind: Kind::Script(Script::Interpreted {
        program: "node",
        file: "node/peer.js",
        args: &[],
    }),
    expected: "
server 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | -
server 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | -
client 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | -
client 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};
