//! A message in `_inbox/`, as anyone may drop it there.

#![no_main]

use libfuzzer_sys::fuzz_target;
use samocode::session::mail::Message;

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    let json = message.to_json().expect("a message that was read can be written");
    let again = Message::parse(&json).expect("and read again");
    assert!(message.says_the_same(&again));
    assert!(!message.file_name().contains('/'));
});
