//! Tells the sources of tokio-tls-shutdown to take the backend of this folder.

fn main() {
    println!("cargo::rustc-cfg=boring");
    println!("cargo::rerun-if-changed=build.rs");
}
