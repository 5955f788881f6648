//! How many round trips a close takes on a link with delay: as few as there can be.

mod support;

use std::time::Duration;

use support::{CASES, Case, Delayed};
use tokio::{io::AsyncReadExt, time::Instant};
use tokio_rustls::TlsStream;
use tokio_tls_shutdown::{Closed, GracefulStream, ShutdownExt, ShutdownState, tokio_rustls};

type Tls = TlsStream<Delayed>;

const ONE_WAY: Duration = Duration::from_millis(50);
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// A pair with nothing in flight.
async fn pair(case: Case) -> (Tls, Tls) {
    let (ours, theirs) = Delayed::pair(ONE_WAY);
    case.pair(ours, theirs).await
}

/// Reads to the end of the stream, then closes it.
async fn answer(theirs: &mut Tls) -> Vec<u8> {
    let mut data = Vec::new();
    theirs.read_to_end(&mut data).await.unwrap();
    theirs.close_notify().await.unwrap();
    data
}

async fn timed<T>(work: impl Future<Output = T>) -> (T, Duration) {
    let start = Instant::now();
    let output = work.await;
    (output, start.elapsed())
}

#[track_caller]
fn assert_clean_after(expected: Duration, (closed, elapsed): (Closed, Duration), case: Case) {
    assert!(closed.is_clean(), "{case:?}");
    assert_eq!(elapsed, expected, "{case:?}");
}

#[tokio::test(start_paused = true)]
async fn a_bidirectional_close_takes_one_round_trip() {
    for case in CASES {
        let (mut ours, mut theirs) = pair(case).await;
        let close = timed(async { ours.shutdown_bidirectional().await.unwrap() });
        let (close, _) = tokio::join!(close, answer(&mut theirs));
        assert_clean_after(ROUND_TRIP, close, case);
    }
}

#[tokio::test(start_paused = true)]
async fn last_data_in_front_of_it_adds_no_round_trip() {
    for case in CASES {
        let (ours, mut theirs) = pair(case).await;
        let mut ours = GracefulStream::new(ours);
        let close = timed(async {
            ours.close_notify_with(b"last").await.unwrap();
            ours.shutdown_bidirectional().await.unwrap()
        });
        let (close, data) = tokio::join!(close, answer(&mut theirs));
        assert_clean_after(ROUND_TRIP, close, case);
        assert_eq!(data, b"last", "{case:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn it_takes_half_a_round_trip_when_both_close_at_once() {
    for case in CASES {
        let (mut ours, mut theirs) = pair(case).await;
        let (close, other) = tokio::join!(
            timed(async { ours.shutdown_bidirectional().await.unwrap() }),
            timed(async { theirs.shutdown_bidirectional().await.unwrap() }),
        );
        assert_clean_after(ONE_WAY, close, case);
        assert_clean_after(ONE_WAY, other, case);
    }
}

#[tokio::test(start_paused = true)]
async fn it_takes_no_time_when_the_peer_has_closed() {
    for read_before in [false, true] {
        for case in CASES {
            let (mut ours, mut theirs) = pair(case).await;
            theirs.close_notify().await.unwrap();
            tokio::time::sleep(ONE_WAY).await;
            if read_before {
                assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
            }
            let close = timed(async { ours.shutdown_bidirectional().await.unwrap() }).await;
            assert_clean_after(Duration::ZERO, close, case);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_close_in_one_direction_waits_for_nothing() {
    for case in CASES {
        let (mut ours, _theirs) = pair(case).await;
        let (state, elapsed) = timed(async { ours.close_notify().await.unwrap() }).await;
        assert_eq!(state, ShutdownState::SENT, "{case:?}");
        assert_eq!(elapsed, Duration::ZERO, "{case:?}");
    }
}
