//! `_qa.md`, as agents and people write it.

#![no_main]

use libfuzzer_sys::fuzz_target;
use samocode::session::qa::Qa;

fuzz_target!(|text: &str| {
    let qa = Qa::parse(text);
    assert_eq!(qa.as_str(), text, "reading changes nothing");
    assert_eq!(qa.is_answered(), !qa.questions().is_empty() && qa.waiting() == 0);
    assert_eq!(qa.fingerprint().is_some(), !qa.questions().is_empty());
});
