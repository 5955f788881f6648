//! Python's `ssl`, which sends close_notify only where it is asked to, and `asyncio`.

use crate::{
    far::script::Script,
    peer::{Kind, Peer},
};

pub(super) const CLOSE: Peer = Peer {
    key: "python",
    name: "Python ssl, close()",
    kind: Kind::Script(Script::Interpreted {
        program: "python3",
        file: "python/blocking.py",
        args: &["close"],
    }),
    expected: "
server 1.2 | FIN | FIN | whole | whole | taken for close_notify | taken for close_notify | FIN | RST | resumed | works
server 1.3 | FIN | FIN | whole | whole | taken for close_notify | taken for close_notify | FIN | RST | resumed | works
client 1.2 | FIN | FIN | whole | whole | taken for close_notify | taken for close_notify | FIN | RST | resumed | works
client 1.3 | FIN | FIN | whole | whole | taken for close_notify | taken for close_notify | FIN | RST | resumed | works
",
    expected_with_openssl: "",
    may_be_missing: None,
};

pub(super) const UNWRAP: Peer = Peer {
    key: "python-unwrap",
    name: "Python ssl, unwrap()",
    kind: Kind::Script(Script::Interpreted {
        program: "python3",
        file: "python/blocking.py",
        args: &["unwrap"],
    }),
    expected: "
server 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | FIN | RST | resumed | works
server 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | FIN | RST | resumed | works
client 1.2 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | FIN | RST | resumed | works
client 1.3 | close_notify | close_notify | whole | whole | taken for close_notify | taken for close_notify | FIN | RST | resumed | works
",
    expected_with_openssl: "",
    may_be_missing: None,
};

pub(super) const ASYNCIO: Peer = Peer {
    key: "asyncio",
    name: "Python asyncio",
    kind: Kind::Script(Script::Interpreted {
        program: "python3",
        file: "python/streams.py",
        args: &[],
    }),
    expected: "
server 1.2 | close_notify | close_notify | whole | none | taken for close_notify | noticed | FIN | RST | resumed | -
server 1.3 | close_notify | close_notify | whole | none | taken for close_notify | noticed | FIN | RST | resumed | -
client 1.2 | close_notify | close_notify | whole | none | taken for close_notify | noticed | FIN | RST | full handshake | -
client 1.3 | close_notify | close_notify | whole | none | taken for close_notify | noticed | FIN | RST | full handshake | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};
