//! Chromium as the client.

use std::time::Duration;

use axum::{
    Router,
    extract::{State, WebSocketUpgrade, ws},
    response::{Html, Response},
    routing::{any, get, post},
};
use tokio::sync::mpsc;

use crate::{
    servers::{LAYERS, Layer, Server, VERSIONS},
    support::{Program, Version, in_time},
};

/// Posts a form, then holds a WebSocket; says to another server what it sees.
const PAGE: &str = r#"<!doctype html>
<title>A page</title>
<form method="post" action="/form" target="answer"><input name="field" value="value"></form>
<iframe name="answer"></iframe>
<script>
const tell = (what) => fetch("https://127.0.0.1:PORT/", {method: "POST", mode: "no-cors", body: what});
const frame = document.querySelector("iframe");
frame.onload = () => {
    const text = frame.contentDocument.body.textContent;
    if (text == "") return;
    tell("form: " + text);
    const socket = new WebSocket("wss://" + location.host + "/socket");
    socket.onopen = () => socket.send("hello");
    socket.onmessage = (message) => tell("socket: " + message.data);
    socket.onclose = (event) => tell("closed: " + event.code);
};
document.forms[0].submit();
</script>"#;

async fn echo(upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async |mut socket| {
        while let Some(Ok(message @ ws::Message::Text(_))) = socket.recv().await {
            if socket.send(message).await.is_err() {
                break;
            }
        }
    })
}

async fn hear(State(told): State<mpsc::UnboundedSender<String>>, what: String) {
    told.send(what).unwrap();
}

fn chromium(server: &Server, profile: &tempfile::TempDir) -> Program {
    let name = "chromium-headless-shell";
    let args = [
        // The certificate is of the test, and the test may run as root.
        "--ignore-certificate-errors".to_owned(),
        "--no-sandbox".to_owned(),
        "--disable-dev-shm-usage".to_owned(),
        // Without it the browser ends when the page is loaded.
        "--remote-debugging-port=0".to_owned(),
        format!("--user-data-dir={}", profile.path().display()),
        format!("https://{}/", server.address),
    ];
    Program::start(name, name, args)
}

#[tokio::test]
async fn chromium_loads_a_page_posts_a_form_and_holds_a_websocket_while_the_server_drains() {
    for layer in LAYERS {
        for version in VERSIONS {
            let (told, mut hears) = mpsc::unbounded_channel();
            let reports = Router::new().route("/", post(hear)).with_state(told);
            let reports = Server::start(Layer::TlsListener, Version::Tls13, reports).await;
            let page = PAGE.replace("PORT", &reports.address.port().to_string());
            let app = Router::new()
                .route("/", get(async || Html(page)))
                .route("/form", post(async |form: String| form))
                // HTTP/2 opens a WebSocket with CONNECT (RFC 8441).
                .route("/socket", any(echo));
            let server = Server::start(layer, version, app).await;

            let profile = tempfile::tempdir().unwrap();
            let _browser = chromium(&server, &profile);
            let mut hear = async || in_time("Chromium", hears.recv()).await.unwrap();
            assert_eq!(hear().await, "form: field=value", "{layer:?} {version:?}");
            assert_eq!(hear().await, "socket: hello", "{layer:?} {version:?}");

            let report = server.drain(Duration::from_secs(1)).await;
            assert_eq!(report.aborted, 1, "{layer:?} {version:?} {report}");
            assert_eq!(report.still_open, 0, "{layer:?} {version:?} {report}");
            // Abnormal closure: the server has sent no Close frame (RFC 6455 section 7.1.5).
            assert_eq!(hear().await, "closed: 1006", "{layer:?} {version:?}");
            reports.drain(Duration::ZERO).await;
        }
    }
}
