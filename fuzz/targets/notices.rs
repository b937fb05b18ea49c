//! See `properties::notices`.

#![no_main]

#[allow(dead_code, reason = "each target has one of them")]
#[path = "../properties.rs"]
mod properties;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| properties::notices(bytes));
