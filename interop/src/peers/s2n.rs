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
server 1.2 | ? | ? | ? | ? | ? | ? | ? | ? | ? | ?
server 1.3 | ? | ? | ? | ? | ? | ? | ? | ? | ? | ?
client 1.2 | ? | ? | ? | ? | ? | ? | ? | ? | ? | ?
client 1.3 | ? | ? | ? | ? | ? | ? | ? | ? | ? | ?
",
    may_be_missing: None,
};
