//! The files that are written: the timeline as a picture, and the page of many servers.

use std::sync::atomic::{AtomicU32, Ordering};

use quick_xml::{Reader, events::Event};

use crate::{
    run::{run_probe, usage_error},
    servers::{TLS13, answer, dead_port, fin, listen, server, with_tickets},
};

/// Fails unless it is well-formed; returns its texts.
fn texts(xml: &str) -> Vec<String> {
    let mut reader = Reader::from_str(xml);
    let mut texts = Vec::new();
    let mut depth = 0;
    loop {
        match reader.read_event().unwrap() {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth -= 1,
            Event::Text(text) => texts.push(text.decode().unwrap().into_owned()),
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    texts
}

#[tokio::test]
async fn the_timeline_is_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("close.svg");
    let path = path.to_str().unwrap();
    let address = server(with_tickets(TLS13), answer).await;
    let output = run_probe(&["--insecure", "--svg", path, &address]).await;
    assert_eq!(output.status.code(), Some(0));
    let texts = texts(&std::fs::read_to_string(path).unwrap());
    for label in ["client", "server", "close_notify", "FIN", &address] {
        assert!(
            texts.iter().any(|text| text == label),
            "{label} in {texts:?}"
        );
    }
    let both = texts.iter().filter(|text| *text == "close_notify");
    assert_eq!(both.count(), 2);
}

#[tokio::test]
async fn a_file_that_exists_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("close.svg");
    std::fs::write(&path, "x".repeat(1 << 20)).unwrap();
    let address = server(with_tickets(TLS13), answer).await;
    run_probe(&["--insecure", "--svg", path.to_str().unwrap(), &address]).await;
    texts(&std::fs::read_to_string(&path).unwrap());
}

#[tokio::test]
async fn the_page_has_every_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("closes.html");
    let path = path.to_str().unwrap();
    let clean = server(with_tickets(TLS13), answer).await;
    let unclean = server(with_tickets(TLS13), fin).await;
    let dead = dead_port().await;
    run_probe(&["--insecure", "--html", path, &clean, &unclean, &dead]).await;
    let page = std::fs::read_to_string(path).unwrap();
    for server in [&clean, &unclean, &dead] {
        // In the table, in its part, and in the picture where there is a timeline.
        assert!(page.matches(server.as_str()).count() >= 2, "{server}");
    }
    assert_eq!(page.matches("<svg").count(), 2);
}

#[tokio::test]
async fn what_a_server_sends_is_no_markup() {
    let evil = listen(async |mut tcp: tokio::net::TcpStream| {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        tcp.read_u8().await?;
        tcp.write_all(b"<script>alert('&')</script>\x1b[31m\n")
            .await?;
        tokio::io::copy(&mut tcp, &mut tokio::io::sink()).await?;
        Ok(())
    });
    let evil = evil.await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("close.svg");
    let path = path.to_str().unwrap();
    let output = run_probe(&["--insecure", "--svg", path, &evil]).await;
    assert_eq!(output.status.code(), Some(3));
    let svg = std::fs::read_to_string(path).unwrap();
    assert!(!svg.contains("<script"), "{svg}");
    texts(&svg);
    assert!(!output.stdout.contains(&b'\x1b'));
    run_probe(&["--insecure", "--html", path, &evil]).await;
    assert!(!std::fs::read_to_string(path).unwrap().contains("<script"));
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_named_before_the_probing() {
    static CONNECTIONS: AtomicU32 = AtomicU32::new(0);
    let address = server(with_tickets(TLS13), async |tls| {
        CONNECTIONS.fetch_add(1, Ordering::Relaxed);
        answer(tls).await
    });
    let address = address.await;
    for option in ["--svg", "--html"] {
        let line = usage_error(&["--insecure", option, "/no/such/folder/a", &address]).await;
        let expected = "failed to write /no/such/folder/a: ";
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(CONNECTIONS.load(Ordering::Relaxed), 0);
    let line = usage_error(&["--insecure", "--svg", "a", &address, &address]).await;
    assert!(line.contains("--html"), "{line}");
}
