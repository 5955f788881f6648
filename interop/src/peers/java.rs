//! Java's `SSLSocket`. It closes with `close`.

use crate::{
    far::script::Script,
    peer::{Kind, Peer},
};

pub(super) const PEER: Peer = Peer {
    key: "java",
    name: "Java SSLSocket",
    kind: Kind::Script(Script::Java),
    expected: "
server 1.2 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | taken for close_notify | noticed | FIN | RST | resumed | works
server 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
client 1.2 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | taken for close_notify | noticed | FIN | RST | resumed | works
client 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
",
    expected_with_openssl: "",
    may_be_missing: None,
};
