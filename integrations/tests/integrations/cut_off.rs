//! A body that fails half-way must look like that.

use std::{io, time::Duration};

use axum::{Router, body::Body, routing::get};
use http_body_util::channel::Channel;
use hyper::body::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tls_shutdown::is_missing_close_notify;

use crate::{
    servers::{LAYERS, Server, VERSIONS},
    support::in_time,
};

async fn half_a_body() -> Body {
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        let _ = sender
            .send_data(Bytes::from_static(b"the first half"))
            .await;
        sender.abort(io::Error::other("no second half"));
    });
    Body::new(body)
}

#[tokio::test]
async fn f04_a_body_that_fails_half_way_ends_without_close_notify_and_counts_as_dropped() {
    for layer in LAYERS {
        for version in VERSIONS {
            let app = Router::new().route("/", get(half_a_body));
            let server = Server::start(layer, version, app).await;
            let mut tls = server.connect("http/1.1").await;
            // To HTTP/1.0 the end of the connection is the end of the body.
            let request = b"GET / HTTP/1.0\r\nhost: localhost\r\n\r\n";
            tls.write_all(request).await.unwrap();
            let mut response = Vec::new();
            let end = in_time("the response", tls.read_to_end(&mut response)).await;
            let case = format!("{layer:?} {version:?}");
            assert!(response.starts_with(b"HTTP/1.0 200 OK"), "{case}");
            assert!(is_missing_close_notify(&end.expect_err(&case)), "{case}");
            let tracker = server.tracker.clone();
            server.drain(Duration::from_secs(20)).await;
            let stats = tracker.stats();
            assert_eq!((stats.dropped, stats.total()), (1, 1), "{case}: {stats}");
        }
    }
}
