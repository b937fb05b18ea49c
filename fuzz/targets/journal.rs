//! `_journal.jsonl`: entries fold into a state whose hook can be read back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use samocode::session::hook::Hook;
use samocode::session::journal::Scanner;
use samocode::session::state::State;

fuzz_target!(|bytes: &[u8]| {
    let (mut scanner, mut state) = (Scanner::default(), State::default());
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        if let Some(entry) = scanner.line(line) {
            let _ = entry.event.describe();
            state.apply(&entry);
        }
    }
    assert!(scanner.whole <= bytes.len() as u64);
    let hook = serde_json::to_vec(&Hook::of(&state)).expect("a hook can be written");
    let _: Hook = serde_json::from_slice(&hook).expect("and read again");
});
