//! G23, G24, G26, G27: what generic code, `{:?}` and the compiler see of the public types.

use std::task::{Context, Poll};

use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsStream, client, server};
use tokio_test::{assert_pending, assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{
    Accept, CloseProgress, CloseTracker, Connect, GracefulStream, PeerStatus, RecordAligned,
    ShutdownExt, ShutdownState, tokio_rustls,
};

use crate::support::{CASES, Rig, Step};

/// Fails to compile if `$type` has `$trait`.
macro_rules! assert_has_not {
    ($type:ty: $trait:path) => {
        const _: fn() = || {
            trait Ambiguous<Which> {
                fn what() {}
            }
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<u8> for T {}
            <$type as Ambiguous<_>>::what();
        };
    };
}

/// Each close is counted once, and sessions are evicted by one owner. That one cannot be made either
/// is a doctest of `GracefulStream`.
#[test]
fn g24_a_graceful_stream_in_another_is_no_stream() {
    assert_has_not!(GracefulStream<GracefulStream<TlsStream<TcpStream>>>: ShutdownExt);
    assert_has_not!(GracefulStream<GracefulStream<client::TlsStream<TcpStream>>>: AsyncRead);
    assert_has_not!(GracefulStream<GracefulStream<server::TlsStream<TcpStream>>>: AsyncWrite);
}

/// Methods of a user's own trait, with the names of what the crate does with a stream inside. If a
/// sealed trait had one of them, the calls below would be ambiguous.
trait Mine {
    fn status(&mut self) -> u8;
    fn poll_send(&mut self) -> u8;
    fn poll_receive(&mut self) -> u8;
    fn poll_close_transport(&mut self) -> u8;
    fn unread(&mut self) -> u8;
    fn tickets(&mut self) -> u8;
    fn is_resumed(&mut self) -> u8;
    fn role(&mut self) -> u8;
    fn transport(&mut self) -> u8;
    fn connection(&mut self) -> u8;
    fn parts(&mut self) -> u8;
    fn is_tls_error(&mut self) -> u8;
    fn poll_early_data(&mut self) -> u8;
    fn discard_queue(&mut self) -> u8;
}

impl<S: ShutdownExt> Mine for S {
    fn status(&mut self) -> u8 {
        1
    }
    fn poll_send(&mut self) -> u8 {
        1
    }
    fn poll_receive(&mut self) -> u8 {
        1
    }
    fn poll_close_transport(&mut self) -> u8 {
        1
    }
    fn unread(&mut self) -> u8 {
        1
    }
    fn tickets(&mut self) -> u8 {
        1
    }
    fn is_resumed(&mut self) -> u8 {
        1
    }
    fn role(&mut self) -> u8 {
        1
    }
    fn transport(&mut self) -> u8 {
        1
    }
    fn connection(&mut self) -> u8 {
        1
    }
    fn parts(&mut self) -> u8 {
        1
    }
    fn is_tls_error(&mut self) -> u8 {
        1
    }
    fn poll_early_data(&mut self) -> u8 {
        1
    }
    fn discard_queue(&mut self) -> u8 {
        1
    }
}

fn calls_of_mine<S: ShutdownExt>(stream: &mut S) -> u8 {
    stream.status()
        + stream.poll_send()
        + stream.poll_receive()
        + stream.poll_close_transport()
        + stream.unread()
        + stream.tickets()
        + stream.is_resumed()
        + stream.role()
        + stream.transport()
        + stream.connection()
        + stream.parts()
        + stream.is_tls_error()
        + stream.poll_early_data()
        + stream.discard_queue()
}

/// tokio's methods are tokio's, and the calls are ours.
async fn generic<S>(stream: &mut S) -> std::io::Result<usize>
where
    S: ShutdownExt + AsyncBufRead + AsyncRead + AsyncWrite + Unpin,
{
    let filled = stream.fill_buf().await?.len();
    stream.consume(1);
    let mut rest = vec![0; filled - 1];
    stream.read_exact(&mut rest).await?;
    stream.write_all(b"data").await?;
    assert_eq!(stream.write_vectored(&[]).await?, 0);
    stream.flush().await?;
    assert!(stream.is_write_vectored());
    assert!(matches!(stream.peer_closed().await?, PeerStatus::Closed(_)));
    assert!(stream.received_close_notify());
    assert_eq!(stream.close_notify().await?, ShutdownState::COMPLETE);
    assert!(stream.shutdown_bidirectional().await?.is_clean());
    Ok(filled)
}

#[test]
fn g26_generic_code_has_tokios_methods_and_the_calls_and_nothing_else() {
    for case in CASES {
        let mut rig = Rig::new(case);
        rig.peer_writes(b"hello");
        rig.peer_closes();
        assert_eq!(calls_of_mine(&mut rig.stream), 14);
        assert_eq!(assert_ready_ok!(spawn(generic(&mut rig.stream)).poll()), 5);
        rig.assert_wrote_and_closed(b"data");

        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.peer_writes(b"hello");
        rig.peer_closes();
        assert_eq!(calls_of_mine(&mut rig.stream), 14);
        assert_eq!(assert_ready_ok!(spawn(generic(&mut rig.stream)).poll()), 5);
        rig.assert_wrote_and_closed(b"data");
    }
}

/// A stream of a user's own that closes the one inside.
struct Wrapper<S> {
    inner: S,
    progress: CloseProgress,
}

impl<S: ShutdownExt> Wrapper<S> {
    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let poll = self.inner.poll_close_notify(cx, &mut self.progress);
        poll.map_ok(drop).map_err(Into::into)
    }
}

#[test]
fn g26_a_generic_wrapper_closes_what_it_wraps() {
    for case in CASES {
        let mut rig = Rig::new(case).map(|inner| Wrapper {
            inner: GracefulStream::new(inner),
            progress: CloseProgress::new(),
        });
        let stream = &mut rig.stream;
        let mut close = spawn(std::future::poll_fn(|cx| stream.poll_close(cx)));
        assert_ready_ok!(close.poll());
        drop(close);
        rig.assert_wrote_and_closed(&[]);
    }
}

#[test]
fn g23_no_debug_output_shows_application_data() {
    const SECRET: &[u8] = b"PASS hunter2";
    let shows = |text: &str| {
        let bytes = format!("{SECRET:?}");
        text.contains("hunter2") || text.contains(bytes.trim_matches(['[', ']']))
    };
    assert!(shows(&format!("{SECRET:?}")) && shows("PASS hunter2"));
    for case in CASES {
        let mut rig = Rig::new(case).map(GracefulStream::new);
        rig.stream.track(&CloseTracker::new());
        rig.peer_writes(SECRET);
        assert_pending!(spawn(rig.stream.read_exact(&mut [0; 100])).poll());
        rig.peer_writes(SECRET);
        rig.wire.every_write(Step::Block);
        let mut close = Box::pin(rig.stream.close_notify_with(SECRET).no_deadline());
        for _ in 0..2 {
            let text = format!("{close:?}");
            assert!(!shows(&text), "{text}");
            assert!(text.contains("12"), "how long they are: {text}");
            assert_pending!(spawn(close.as_mut()).poll());
        }
        drop(close);
        let text = format!("{:?}", rig.stream);
        assert!(!shows(&text), "{text}");
        let text = format!("{:?}", rig.stream.shutdown_bidirectional());
        assert!(!shows(&text), "{text}");
    }
}

#[test]
fn g27_handshakes_can_be_moved_and_sent_and_so_can_closes() {
    fn is_unpin<T: Unpin + Send>() {}
    fn is_send<T: Send>(_: &T) {}
    is_unpin::<Accept<TcpStream>>();
    is_unpin::<Connect<TcpStream>>();
    is_unpin::<Accept<RecordAligned<TcpStream>>>();
    is_unpin::<Connect<RecordAligned<TcpStream>>>();
    is_unpin::<GracefulStream<TlsStream<TcpStream>>>();
    is_unpin::<CloseProgress>();
    let mut rig = Rig::new(CASES[0]).map(GracefulStream::new);
    is_send(&rig.stream.close_notify());
    is_send(&rig.stream.close_notify_with(b"data"));
    is_send(&rig.stream.shutdown_bidirectional());
    is_send(&rig.stream.peer_closed());
}
