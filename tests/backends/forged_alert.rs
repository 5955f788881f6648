//! Someone in the network, who has no keys, sends a `close_notify` that is not encrypted.

use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio_tls_shutdown::{ShutdownError, ShutdownExt};

use crate::{
    library::Library,
    scenarios::{done, plain, rig},
    support::{Case, forge},
};

scenarios! {
    forged_close_notify,
    forged_close_notify_behind_ours,
    forged_close_notify_on_a_plain_stream,
}

fn forged() -> Vec<u8> {
    forge::plain_record(forge::ALERT, &[forge::WARNING, forge::CLOSE_NOTIFY])
}

fn forged_close_notify<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    // In one segment.
    rig.peer.write(b"the first half");
    let segment = [&rig.peer.take_queue()[..], &forged()].concat();
    rig.wire.feed(&segment);
    let mut got = Vec::new();
    done(rig.stream.read_to_end(&mut got)).unwrap_err();
    assert_eq!(got, b"the first half");
    assert!(!rig.stream.received_close_notify());
    for _ in 0..2 {
        let close = done(rig.stream.shutdown_bidirectional());
        assert!(matches!(close, Err(ShutdownError::Tls(_))), "{close:?}");
    }
}

fn forged_close_notify_behind_ours<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    done(rig.stream.close_notify()).unwrap();
    rig.assert_wrote_and_closed(b"");
    // Byte by byte.
    for byte in forged() {
        rig.wire.feed(&[byte]);
        let close = rig.stream.shutdown_bidirectional();
        let close = done(close.deadline(Duration::ZERO));
        assert!(
            !matches!(&close, Ok(closed) if closed.is_clean()),
            "{close:?}"
        );
    }
    assert!(!rig.stream.received_close_notify());
}

/// The application reads from the library itself.
fn forged_close_notify_on_a_plain_stream<L: Library>(case: Case) {
    let mut rig = plain::<L>(case);
    rig.peer_writes(b"the first half");
    let mut got = [0; 14];
    done(rig.stream.read_exact(&mut got)).unwrap();
    assert_eq!(&got, b"the first half");
    rig.wire.feed(&forged());
    done(rig.stream.read_to_end(&mut Vec::new())).unwrap_err();
    assert!(!rig.stream.received_close_notify());
    let close = done(rig.stream.shutdown_bidirectional().deadline(Duration::ZERO));
    assert!(
        !matches!(&close, Ok(closed) if closed.is_clean()),
        "{close:?}"
    );
}
