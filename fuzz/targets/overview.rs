//! `_overview.md`: what is read of it, and that an edit leaves every other byte.

#![no_main]

use libfuzzer_sys::fuzz_target;
use samocode::session::Overview;
use samocode::session::overview::Field;

fuzz_target!(|bytes: &[u8]| {
    let overview = Overview::parse(bytes);
    assert_eq!(overview.as_bytes(), bytes, "reading changes nothing");
    let status = overview.status();
    let _ = (overview.task(), overview.title(), overview.started(), overview.dive());
    let mut edited = overview.clone();
    edited.set(Field::LastAction, "Done");
    edited.add_flow("[001 @ 11-20 18:00] init -> investigation");
    let again = edited.clone();
    edited.set(Field::LastAction, "Done");
    edited.add_flow("[001 @ 11-20 18:00] init -> investigation");
    assert_eq!(edited.as_bytes(), again.as_bytes(), "an edit that is repeated changes nothing");
    assert_eq!(edited.status().phase, status.phase, "the phase is not touched");
});
