//! The public API, compared with a snapshot: a change of it has to be meant.
//!
//! `UPDATE_SNAPSHOTS=yes cargo test -p tokio-tls-shutdown-public-api` writes the snapshot anew.

/// rustdoc's JSON is for nightly toolchains alone, and changes: this one writes what `public-api` reads.
const TOOLCHAIN: &str = include_str!("../../../.ci/nightly");

/// Those that add to the API. The others choose a crypto provider, or add streams whose libraries take
/// minutes to compile and which have the same methods as those of `openssl`.
const FEATURES: [&str; 12] = [
    "axum-server",
    "early-data",
    "fleet",
    "hyper",
    "metrics",
    "native-tls",
    "openssl",
    "rustls",
    "session-cache",
    "tls-listener",
    "tonic",
    "tracing",
];

#[test]
fn the_public_api_is_that_of_the_snapshot() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let json = rustdoc_json::Builder::default()
        .toolchain(TOOLCHAIN.trim())
        .manifest_path(format!("{root}/Cargo.toml"))
        .target_dir(format!("{}/nightly", env!("CARGO_TARGET_TMPDIR")))
        .features(FEATURES)
        .build()
        .expect("rustdoc's JSON");
    let api = public_api::Builder::from_rustdoc_json(json)
        .omit_blanket_impls(true)
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .build()
        .expect("an API in it");
    api.assert_eq_or_update(concat!(env!("CARGO_MANIFEST_DIR"), "/public-api.txt"));
}
