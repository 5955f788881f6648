//! One task reads and another writes, and the reader stops while the writer waits for the transport.

use std::{task::Poll, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, split},
    net::{TcpListener, TcpStream},
};
use tokio_test::{
    assert_pending,
    task::{Spawn, spawn},
};
use tokio_tls_shutdown::{ClosePolicy, GracefulStream, ShutdownExt};

use crate::{
    libraries::{NativeTls, Openssl, Rustls, S2n},
    library::Library,
    scenarios::rig,
    support::{Case, Role, Version, forge, in_time},
};

scenarios! {
    reader_that_stops,
    reader_that_stops_while_closing,
    reader_that_fails,
    reader_that_answers,
    writer_that_reads,
}

/// Without data it is dropped while it waits, else it has what it wanted.
fn reader_that_stops<L: Library>(case: Case) {
    for answer in [&b""[..], b"go on"] {
        let mut rig = rig::<L>(case);
        rig.wire.set_room(100);
        let (mut read_half, mut write_half) = split(rig.stream);
        let data = vec![3; 400_000];
        let mut writer = spawn(write_half.write_all(&data));
        assert_pending!(writer.poll());
        rig.peer.write(answer);
        rig.wire.feed(&rig.peer.take_queue());
        {
            let mut got = [0; 5];
            let mut reader = spawn(read_half.read_exact(&mut got));
            assert_eq!(reader.poll().is_ready(), !answer.is_empty());
        }
        while writer.is_woken() {
            assert_pending!(writer.poll());
        }
        rig.wire.unblock_writes();
        while writer.is_woken() {
            if writer.poll().is_ready() {
                break;
            }
        }
        let outbound = rig.wire.take_outbound();
        assert_eq!(rig.peer.receive(&outbound).len(), data.len());
    }
}

fn reader_that_stops_while_closing<L: Library>(case: Case) {
    let mut rig = rig::<L>(case);
    rig.stream.set_policy(ClosePolicy::Notify);
    rig.wire.set_room(3);
    let (mut read_half, mut write_half) = split(rig.stream);
    let mut writer = spawn(write_half.shutdown());
    assert_pending!(writer.poll());
    {
        let mut got = [0; 4];
        let _ = spawn(read_half.read(&mut got)).poll();
    }
    while writer.is_woken() {
        assert_pending!(writer.poll());
    }
    rig.wire.unblock_writes();
    assert!(writer.is_woken(), "the writer was forgotten");
    assert!(writer.poll().is_ready());
}

/// Polls for as long as the task is woken. Returns `true` if it has ended.
fn runs_to_its_end<F: Future>(task: &mut Spawn<F>) -> bool {
    (0..1000).any(|_| task.is_woken() && task.poll().is_ready())
}

/// What the library sends for a session that has failed must not cost the writer its wake-up.
fn reader_that_fails<L: Library>(case: Case) {
    for is_alert in [false, true] {
        let (stream, wire, mut peer) = rig::<L>(case).forge();
        wire.set_room(100);
        let (mut read_half, mut write_half) = split(stream);
        let data = vec![3; 400_000];
        let mut writer = spawn(write_half.write_all(&data));
        assert_pending!(writer.poll());
        wire.feed(&match is_alert {
            true => peer.alert(forge::FATAL, forge::HANDSHAKE_FAILURE),
            false => forge::plain_record(forge::APPLICATION_DATA, &[1; 40]),
        });
        let mut got = [0; 4];
        let read = spawn(read_half.read(&mut got)).poll();
        assert!(matches!(read, Poll::Ready(Err(_))), "{read:?}");
        wire.unblock_writes();
        assert!(
            runs_to_its_end(&mut writer),
            "the writer waits for ever behind {read:?}"
        );
    }
}

/// A server of TLS 1.2 refuses another handshake with an alert, while it reads.
fn reader_that_answers<L: Library>(case: Case) {
    if case != Case::new(Version::Tls12, Role::Server) {
        return;
    }
    for leaves in [false, true] {
        let (stream, wire, mut peer) = rig::<L>(case).forge();
        wire.set_room(100);
        let (mut read_half, mut write_half) = split(stream);
        let data = vec![3; 400_000];
        let mut writer = spawn(write_half.write_all(&data));
        assert_pending!(writer.poll());
        wire.feed(&peer.seal(forge::HANDSHAKE, &forge::renegotiation(case.role)));
        let mut got = [0; 4];
        let mut reader = spawn(read_half.read(&mut got));
        if reader.poll().is_ready() {
            // This library ends the session instead.
            continue;
        }
        if leaves {
            drop(reader);
            wire.unblock_writes();
        } else {
            wire.unblock_writes();
            while reader.is_woken() {
                assert_pending!(reader.poll());
            }
        }
        assert!(
            runs_to_its_end(&mut writer),
            "the writer was forgotten, {leaves}"
        );
    }
}

/// In another handshake within the session, a write has to read.
fn writer_that_reads<L: Library>(case: Case) {
    if case != Case::new(Version::Tls12, Role::Client) {
        return;
    }
    let (stream, wire, mut peer) = rig::<L>(case).forge();
    let (mut read_half, mut write_half) = split(stream);
    wire.feed(&peer.seal(forge::HANDSHAKE, &forge::renegotiation(case.role)));
    let mut got = [0; 4];
    let mut reader = spawn(read_half.read(&mut got));
    assert_pending!(reader.poll());
    let _ = spawn(write_half.write(b"data")).poll();
    while reader.is_woken() {
        assert_pending!(reader.poll());
    }
    wire.feed(&[forge::HANDSHAKE]);
    assert!(reader.is_woken(), "the reader was forgotten");
}

/// The server answers, closes its side, and reads the upload all the same.
async fn early_answer<L: Library>()
where
    L::Tls<TcpStream>: 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (client, server) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (client, server) = tokio::join!(
        L::open(Case::new(Version::Tls13, Role::Client), client.unwrap()),
        Rustls::open(Case::new(Version::Tls13, Role::Server), server.unwrap().0)
    );
    let mut server = GracefulStream::new(server.unwrap());
    let (mut read, mut write) = split(GracefulStream::new(client.unwrap()));
    let upload = tokio::spawn(async move {
        write.write_all(&vec![7; 16 << 20]).await?;
        write.shutdown().await
    });
    let answer = tokio::spawn(async move {
        let mut answer = Vec::new();
        read.read_to_end(&mut answer).await.map(|_| answer)
    });
    // The upload fills the buffers of both sides.
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.write_all(b"early answer").await.unwrap();
    server.close_notify().await.unwrap();
    let answer = in_time("the answer", answer).await.unwrap().unwrap();
    assert_eq!(answer, b"early answer");
    let mut got = Vec::new();
    in_time("the upload", server.read_to_end(&mut got))
        .await
        .unwrap();
    assert_eq!(got.len(), 16 << 20);
    in_time("the close", upload).await.unwrap().unwrap();
}

macro_rules! early_answers {
    ($library:ident $Library:ident:) => {
        mod $library {
            #[tokio::test]
            async fn early_answer() {
                super::early_answer::<super::$Library>().await;
            }
        }
    };
}

mod upload {
    use super::{NativeTls, Openssl, Rustls, S2n, early_answer};

    for_each_library!(early_answers:);
}
