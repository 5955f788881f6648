//! The wrappers take the place of the stream or the transport inside: what they pass through.

use std::io::IoSlice;

use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_test::{assert_ready_ok, task::spawn};
use tokio_tls_shutdown::{CloseOnDrop, GracefulStream, ShutdownExt};

use crate::support::{CASES, Rig};

fn passes_through<S: AsyncBufRead + AsyncWrite + Unpin>(mut rig: Rig<S>) {
    rig.peer_writes(b"one line\nand more");
    let mut line = Vec::new();
    assert_ready_ok!(spawn(rig.stream.read_until(b'\n', &mut line)).poll());
    assert_eq!(line, b"one line\n");
    let mut more = [0; 8];
    assert_ready_ok!(spawn(rig.stream.read_exact(&mut more)).poll());
    assert_eq!(&more, b"and more");

    assert!(rig.stream.is_write_vectored());
    let both = [IoSlice::new(b"two "), IoSlice::new(b"slices")];
    let written = assert_ready_ok!(spawn(rig.stream.write_vectored(&both)).poll());
    assert_eq!(written, 10);
    assert_ready_ok!(spawn(rig.stream.write_all(b", one buffer")).poll());
    assert_ready_ok!(spawn(rig.stream.flush()).poll());
    assert!(rig.wire.counts().flushes > 0);
    let heard = rig.peer.receive(&rig.wire.take_outbound());
    assert_eq!(heard, b"two slices, one buffer");
}

#[test]
fn a_wrapper_reads_and_writes_as_the_stream_inside() {
    for case in CASES {
        passes_through(Rig::new(case).map(GracefulStream::new));
        passes_through(Rig::new(case).map(CloseOnDrop::new));
        passes_through(Rig::new(case).map(|tls| CloseOnDrop::new(GracefulStream::new(tls))));
    }
}

#[test]
fn lines_can_be_read_after_close_notify() {
    for case in CASES {
        let mut rig = Rig::new(case).map(GracefulStream::new);
        assert_ready_ok!(spawn(rig.stream.close_notify()).poll());
        rig.peer_writes(b"one line\nand more");
        rig.peer_closes();
        let mut lines = Vec::new();
        for end in [b'\n', b'\0'] {
            assert_ready_ok!(spawn(rig.stream.read_until(end, &mut lines)).poll());
        }
        assert_eq!(lines, b"one line\nand more");
        rig.assert_wrote_and_closed(&[]);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_wrapper_has_the_handle_of_the_socket() {
    use std::os::fd::{AsFd, AsRawFd};

    use tokio::net::{TcpListener, TcpStream};
    use tokio_tls_shutdown::{RecordAligned, tokio_rustls::TlsStream};

    fn assert_handle<T: AsFd + AsRawFd>(wrapper: &T, expected: i32) {
        assert_eq!(wrapper.as_raw_fd(), expected);
        assert_eq!(wrapper.as_fd().as_raw_fd(), expected);
    }

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for case in CASES {
        let ours = TcpStream::connect(address).await.unwrap();
        let (theirs, _) = listener.accept().await.unwrap();
        let handle = ours.as_raw_fd();
        let ours = RecordAligned::new(ours);
        assert_handle(&ours, handle);
        let (tls, _peer) = case.pair(ours, theirs).await;
        match tls {
            TlsStream::Client(tls) => {
                let tls = GracefulStream::new(tls);
                assert_handle(&tls, handle);
                assert_handle(&CloseOnDrop::new(tls.into_inner()), handle);
            }
            TlsStream::Server(tls) => {
                let tls = GracefulStream::new(TlsStream::Server(tls));
                assert_handle(&tls, handle);
                let TlsStream::Server(tls) = tls.into_inner() else {
                    unreachable!("it was one");
                };
                let mut tls = CloseOnDrop::new(tls);
                assert_handle(&tls, handle);
                assert_eq!(tls.get_mut().get_mut().0.get_mut().as_raw_fd(), handle);
            }
        }
    }
}
