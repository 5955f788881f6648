//! A link with a delay to a server.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, tcp},
    sync::mpsc,
    time::{Instant, sleep_until},
};

/// Passes bytes on after `delay`, without a limit to how many are on their way.
async fn delay(mut from: tcp::OwnedReadHalf, mut to: tcp::OwnedWriteHalf, delay: Duration) {
    let (sender, mut on_the_way) = mpsc::unbounded_channel::<(Instant, Vec<u8>)>();
    let read = async move {
        let mut chunk = vec![0; 65_536];
        while let Ok(n @ 1..) = from.read(&mut chunk).await {
            let _ = sender.send((Instant::now() + delay, chunk[..n].to_vec()));
        }
    };
    let write = async move {
        while let Some((at, chunk)) = on_the_way.recv().await {
            sleep_until(at).await;
            if to.write_all(&chunk).await.is_err() {
                break;
            }
        }
    };
    tokio::join!(read, write);
}

/// Returns the URL of the slow way to Redis.
pub async fn slow(port: u16, each_way: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((ours, _)) = listener.accept().await {
            let redis = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            ours.set_nodelay(true).unwrap();
            redis.set_nodelay(true).unwrap();
            let (ours_read, ours_write) = ours.into_split();
            let (redis_read, redis_write) = redis.into_split();
            tokio::spawn(delay(ours_read, redis_write, each_way));
            tokio::spawn(delay(redis_read, ours_write, each_way));
        }
    });
    url
}
