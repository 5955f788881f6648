use std::{fmt, sync::mpsc};

use super::*;

#[test]
fn what_is_authenticated_and_what_came_first_counts() {
    use PeerClose::{CloseNotify, Eof, Reset, TimedOut};

    let cases: [(fn(&mut CloseRecord), _); 9] = [
        (|r| r.on_peer_closed(Reset), CloseOutcome::Reset),
        (
            |r| {
                // Told again after ours, it has not happened again.
                r.on_peer_closed(Reset);
                r.on_local_closed();
                r.on_peer_closed(Reset);
            },
            CloseOutcome::Reset,
        ),
        (
            |r| {
                r.on_local_closed();
                r.on_peer_closed(Reset);
            },
            CloseOutcome::ResetAfterCloseNotify,
        ),
        (
            |r| {
                r.on_local_closed();
                r.on_peer_closed(CloseNotify);
                r.on_peer_closed(Reset);
                r.on_peer_closed(Eof);
            },
            CloseOutcome::Clean,
        ),
        (
            |r| {
                r.on_local_closed();
                r.on_peer_closed(TimedOut);
                r.on_peer_closed(CloseNotify);
            },
            CloseOutcome::Clean,
        ),
        (
            |r| {
                r.on_close_started();
                r.on_peer_closed(CloseNotify);
            },
            CloseOutcome::Failed,
        ),
        (|r| r.on_peer_closed(CloseNotify), CloseOutcome::Dropped),
        (|r| r.on_local_closed(), CloseOutcome::OneWay),
        (
            |r| {
                r.on_local_closed();
                assert!(r.abort());
                assert!(!r.abort());
            },
            CloseOutcome::Aborted,
        ),
    ];
    for (n, (tell, outcome)) in cases.into_iter().enumerate() {
        for fails in [false, true] {
            let (to, from) = mpsc::channel();
            let tracker = CloseTracker::with_on_close(move |report| {
                to.send(report.clone()).unwrap();
            });
            let mut record = CloseRecord::new(Role::Client);
            record.track(&tracker);
            tell(&mut record);
            if fails {
                record.on_io_failed(&"first");
                record.on_tls_failed(&"second");
            }
            drop(record);
            let report = from.recv().unwrap();
            let expected = match fails && outcome != CloseOutcome::Aborted {
                true => CloseOutcome::Failed,
                false => outcome,
            };
            assert_eq!(report.outcome(), expected, "{n}");
            assert_eq!(report.error(), fails.then_some("first"));
        }
    }
}

#[test]
fn nothing_is_formatted_or_timed_while_nobody_listens() {
    struct Untouched;

    impl Display for Untouched {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("formatted")
        }
    }

    for tracked in [false, true] {
        let mut record = CloseRecord::new(Role::Server);
        if tracked {
            // It counts, and it was not asked for reports.
            record.track(&CloseTracker::new());
        }
        record.on_close_started();
        record.on_io_failed(&Untouched);
        record.on_tls_failed(&Untouched);
        record.on_close_finished(Some(&Untouched));
        let debug = format!("{record:?}");
        assert!(debug.contains("CloseSpan(None)"), "{debug}");
    }
}
