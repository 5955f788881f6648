//! BoringSSL, through the crates `boring` and `tokio-boring`. It closes with `SSL_shutdown`.

use crate::{
    far::script::Script,
    peer::{Kind, Peer},
};

pub(super) const PEER: Peer = Peer {
    key: "boring",
    name: "BoringSSL",
    kind: Kind::Script(Script::Cargo {
        package: "peer-boring",
    }),
    expected: "
server 1.2 | ? | ? | ? | ? | ? | ? | ? | ? | ? | ?
server 1.3 | ? | ? | ? | ? | ? | ? | ? | ? | ? | ?
client 1.2 | ? | ? | ? | ? | ? | ? | ? | ? | ? | ?
client 1.3 | ? | ? | ? | ? | ? | ? | ? | ? | ? | ?
",
    may_be_missing: None,
};
