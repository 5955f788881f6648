//! Servers of TLS alone and of HTTPS.

use serde_json::json;

use super::{
    VERSIONS, expect, probe,
    running::{Running, Site, User},
};
use crate::run::assert_fields;

const GET: [&str; 2] = [
    "--send",
    r"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
];

fn openssl(options: &[&str]) -> Running {
    let site = Site::new();
    let port = site.port.to_string();
    let args = [
        "s_server", "-quiet", "-accept", &port, "-cert", "cert.pem", "-key", "key.pem",
    ];
    site.start(User::Me, "openssl", &[&args, options].concat())
}

#[tokio::test]
async fn openssl_s_server_is_clean() {
    expect(&openssl(&["-www"]), &[], "close_notify").await;
}

#[tokio::test]
async fn every_cipher_suite_of_openssl_can_be_read() {
    for suite in [
        "TLS_AES_128_GCM_SHA256",
        "TLS_AES_256_GCM_SHA384",
        "TLS_CHACHA20_POLY1305_SHA256",
    ] {
        let server = openssl(&["-www", "-ciphersuites", suite]);
        let report = probe(&server, &[], VERSIONS[1]).await;
        assert_fields(&report, &json!({ "connection/cipher_suite": suite }));
    }
}

#[tokio::test]
async fn g35_openssl_that_wants_a_certificate_refuses_the_client() {
    let server = openssl(&[
        "-www",
        "-Verify",
        "1",
        "-verify_return_error",
        "-CAfile",
        "cert.pem",
    ]);
    let (ca, address) = (server.path("cert.pem"), server.address());
    for args in [&[][..], &["--tls12"]] {
        let args = [args, &["--ca", &ca, &address]].concat();
        let (status, report) = crate::run::probe_with(&args).await;
        assert_eq!(status, 3, "{report:#}");
        assert_fields(&report, &json!({ "status": "refused" }));
    }
    let key = server.path("key.pem");
    expect(&server, &["--cert", &ca, "--key", &key], "close_notify").await;
}

#[tokio::test]
async fn nginx_closes_first_and_clean() {
    let site = Site::new();
    site.create_folder("temp", 0o777);
    let config = site.write(
        "nginx.conf",
        "daemon off; master_process off; pid DIR/nginx.pid; error_log DIR/error.log;
        events {}
        http {
            access_log off;
            client_body_temp_path DIR/temp; proxy_temp_path DIR/temp; fastcgi_temp_path DIR/temp;
            uwsgi_temp_path DIR/temp; scgi_temp_path DIR/temp;
            server {
                listen 127.0.0.1:PORT ssl;
                ssl_protocols TLSv1.2 TLSv1.3;
                ssl_certificate DIR/cert.pem;
                ssl_certificate_key DIR/key.pem;
                location / { return 200 hello; }
            }
        }",
    );
    let folder = site.path("");
    let server = site.start(User::Me, "nginx", &["-p", &folder, "-c", &config]);
    for version in VERSIONS {
        let report = probe(&server, &GET, version).await;
        let expected = json!({
            "status": "clean",
            "conversation/server_ended_first": "close_notify",
        });
        assert_fields(&report, &expected);
    }
}

#[tokio::test]
async fn haproxy_is_clean() {
    let site = Site::new();
    let config = site.write(
        "haproxy.cfg",
        "defaults
  mode http
  timeout client 30s
  timeout connect 30s
  timeout server 30s
frontend hello
  bind 127.0.0.1:PORT ssl crt DIR/both.pem
  http-request return status 200 content-type text/plain string hello
",
    );
    let server = site.start(User::Me, "haproxy", &["-db", "-f", &config]);
    expect(&server, &[], "close_notify").await;
    expect(&server, &GET, "close_notify").await;
}

#[tokio::test]
async fn stunnel_is_clean() {
    let site = Site::new();
    // An echo service behind it, in this process.
    let behind = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let behind_port = behind.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = behind.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = tcp.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    let text = format!(
        "foreground = yes\npid =\ncert = DIR/cert.pem\nkey = DIR/key.pem\n\
         [echo]\naccept = 127.0.0.1:PORT\nconnect = 127.0.0.1:{behind_port}\n"
    );
    let config = site.write("stunnel.conf", &text);
    let server = tokio::task::spawn_blocking(move || site.start(User::Me, "stunnel", &[&config]));
    let server = server.await.unwrap();
    expect(&server, &["--send", "hello"], "close_notify").await;
}

/// Python's ssl: with `unwrap()`, which is SSL_shutdown(3), and without.
#[tokio::test]
async fn python_is_as_clean_as_its_program() {
    const SERVER: &str = "
import socket, ssl, sys
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('cert.pem', 'key.pem')
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
while True:
    tcp, _ = listener.accept()
    try:
        tls = context.wrap_socket(tcp, server_side=True, suppress_ragged_eofs=False)
        while tls.recv(4096):
            pass
        if sys.argv[2] == 'unwrap':
            tls.unwrap()
        tls.close()
    except (OSError, ValueError):
        tcp.close()
";
    for (end, answer) in [("unwrap", "close_notify"), ("close", "fin")] {
        let site = Site::new();
        site.write("server.py", &SERVER.replace("DIR", ""));
        let port = site.port.to_string();
        let server = site.start(User::Me, "python3", &["server.py", &port, end]);
        expect(&server, &[], answer).await;
    }
}
