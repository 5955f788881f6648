#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(
    init: tokio_tls_shutdown_fuzz::let_rustls_unwind(),
    |data: &[u8]| tokio_tls_shutdown_fuzz::client_hello(data)
);

#[cfg(not(fuzzing))]
fn main() {
    panic!("run it with cargo fuzz");
}
