//! `_signal.json`, as an agent may write it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use samocode::session::Signal;

fuzz_target!(|bytes: &[u8]| {
    if let Err(error) = Signal::parse(bytes, "0192f0a0-0000-7000-8000-000000000001") {
        assert!(!error.to_string().is_empty());
    }
});
