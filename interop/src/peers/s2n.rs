//! s2n-tls, through the crates `s2n-tls` and `s2n-tls-tokio`. It closes with `s2n_shutdown_send`.

use crate::{
    far::script::Script,
    peer::{Kind, Peer},
};

pub(super) const PEER: Peer = Peer {
    key: "s2n",
    name: "s2n-tls",
    kind: Kind::Script(Script::Cargo {
        package: "peer-s2n",
    }),
    expected: "
server 1.2 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | noticed | noticed | FIN | RST | resumed | works
server 1.3 | close_notify | close_notify | whole | whole | noticed | noticed | FIN | RST | resumed | works
client 1.2 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | noticed | noticed | FIN | RST | full handshake | works
client 1.3 | close_notify | close_notify | whole | whole | noticed | noticed | FIN | RST | resumed | works
",
    // As a client it resumes TLS 1.2 with tickets alone.
    expected_with_openssl: "
client 1.2 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | none | noticed | noticed | FIN | RST | resumed | works
",
    may_be_missing: None,
};
