//! B: waiting for theirs.

use tokio_test::{assert_ready_err, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{ShutdownError, ShutdownExt};

use crate::support::{CASES, Rig};

#[test]
fn b01_theirs_was_processed_before_we_close() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_closes();
        {
            use tokio::io::AsyncReadExt;
            let mut buf = [0; 1];
            assert_eq!(assert_ready_ok!(spawn(rig.stream.read(&mut buf)).poll()), 0);
        }
        rig.wire.reset_counts();
        let closed = assert_ready_ok!(spawn(rig.stream.shutdown_bidirectional()).poll());
        assert!(closed.is_clean());
        assert_eq!(rig.wire.counts().reads, 0);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn b20_a_bad_mac() {
    for case in CASES {
        let (mut stream, wire, mut forge) = Rig::new(case).forge();
        let mut record = forge.seal(23, b"data");
        *record.last_mut().unwrap() ^= 1;
        wire.feed(&record);
        let error = assert_ready_err!(spawn(stream.shutdown_bidirectional()).poll());
        assert!(matches!(error, ShutdownError::Tls(_)), "{error:?}");
        forge.assert_only_close_notify(&wire.take_outbound());
    }
}
