//! Go's `crypto/tls`. It closes with `Conn.Close`.

use crate::{
    far::script::Script,
    peer::{Kind, Peer},
};

pub(super) const PEER: Peer = Peer {
    key: "go",
    name: "Go crypto/tls",
    kind: Kind::Script(Script::Go),
    expected: "
server 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
server 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
client 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | full handshake | works
client 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
",
    // It resumes TLS 1.2 with tickets alone.
    expected_with_openssl: "
client 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | noticed | FIN | RST | resumed | works
",
    may_be_missing: None,
};
