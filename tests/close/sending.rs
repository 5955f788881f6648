//! A: sending ours.

use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{ShutdownExt, ShutdownState};

use crate::support::{CASES, Rig, Step};

#[test]
fn a02_the_transport_blocks_inside_the_alert() {
    for case in CASES {
        for sent in 0..case.alert_len() {
            let mut rig = Rig::new(case);
            rig.wire.on_write([Step::Take(sent.max(1)), Step::Block]);
            let mut close = spawn(rig.stream.close_notify().no_deadline());
            assert_pending!(close.poll());
            rig.wire.unblock_writes();
            assert!(close.is_woken());
            assert_eq!(assert_ready_ok!(close.poll()), ShutdownState::SENT);
            drop(close);
            rig.assert_wrote_and_closed(&[]);
        }
    }
}
