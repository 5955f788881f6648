//! curl.

use crate::{
    far::{Setting, web_client::WebClient},
    peer::{Kind, Peer, Version},
};

pub(super) const PEER: Peer = Peer {
    key: "curl",
    name: "curl",
    kind: Kind::WebClient(WebClient {
        program: "curl",
        version: &["curl", "--version"],
        args,
    }),
    expected: "
client 1.2 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | - | taken for close_notify | noticed | - | - | resumed | -
client 1.3 | close_notify | close_notify | whole or cut to us, whole to it or none to us, whole to it | - | taken for close_notify | noticed | - | - | resumed | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

fn args(setting: Setting<'_>, urls: &[String], post: Option<&str>) -> Vec<String> {
    let root = setting.identity.root_file();
    let version = match setting.side.version {
        Version::Tls12 => "--tls-max 1.2",
        Version::Tls13 => "--tlsv1.3",
    };
    // Without `Expect`, which we do not answer.
    let args = format!("-q -4 --silent --http1.1 {version} --cacert {root} -H Expect:");
    let mut args: Vec<_> = args.split(' ').map(str::to_owned).collect();
    if let Some(file) = post {
        args.extend(["--data-binary".to_owned(), format!("@{file}")]);
    }
    args.extend_from_slice(urls);
    args
}
