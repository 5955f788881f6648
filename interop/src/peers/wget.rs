//! Wget.

use crate::{
    far::{Setting, web_client::WebClient},
    peer::{Kind, Peer, Version},
};

pub(super) const PEER: Peer = Peer {
    key: "wget",
    name: "Wget",
    kind: Kind::WebClient(WebClient {
        program: "wget",
        version: &["wget", "--version"],
        args,
    }),
    expected: "
client 1.2 | FIN | FIN | whole | - | noticed | noticed | - | - | full handshake | -
client 1.3 | FIN | FIN | whole | - | noticed | noticed | - | - | full handshake | -
",
    expected_with_openssl: "",
    may_be_missing: None,
};

fn args(setting: Setting<'_>, urls: &[String], post: Option<&str>) -> Vec<String> {
    let root = setting.identity.root_file();
    let version = match setting.side.version {
        Version::Tls12 => "TLSv1_2",
        Version::Tls13 => "TLSv1_3",
    };
    let args = format!(
        "--no-config -4 --quiet --tries=1 -O - --secure-protocol={version} \
         --ca-certificate={root}"
    );
    let mut args: Vec<_> = args.split(' ').map(str::to_owned).collect();
    if let Some(file) = post {
        args.push(format!("--post-file={file}"));
    }
    args.extend_from_slice(urls);
    args
}
