//! What holds for any bytes that a parser is given. `fuzz/run.sh` looks for bytes for which it does
//! not, led by coverage; the test suite tries changed seeds for some seconds.

use std::path::Path;

use samocode::agent::Event;
use samocode::agent::claude::decode::ClaudeDecoder;
use samocode::agent::stream::Lines;
use samocode::config::EnvFile;
use samocode::config::file::{ConfigFile, assignment};
use samocode::config::values;
use samocode::session::hook::Hook;
use samocode::session::journal::Scanner;
use samocode::session::mail::Message;
use samocode::session::overview::Field;
use samocode::session::qa::Qa;
use samocode::session::state::State;
use samocode::session::{Overview, Signal};

/// `.samocode` and the env file, and the values in them.
pub(crate) fn config(bytes: &[u8]) {
    let path = Path::new("/home/u/shop/.samocode");
    let Ok(file) = ConfigFile::parse(path, bytes) else { return };
    let _ = EnvFile::of(&file);
    for entry in file.effective() {
        let value = entry.value.as_str();
        let _ = (values::duration(value), values::size(value), values::percent(value));
        let _ = (values::money(value), values::tokens(value), values::whole(value));
        let _ = (values::memory(value), values::tasks(value), values::cpu_weight(value));
        let _ = values::url(value);
        // What can be written reads back as it was.
        if let Ok(line) = assignment(&entry.key, value) {
            let again = ConfigFile::parse(path, line.as_bytes()).expect("an assignment");
            let read = again.get(&entry.key).map(|entry| entry.value.as_str());
            assert_eq!(read, Some(value), "{line}");
        }
    }
}

/// `_journal.jsonl`: entries fold into a state whose hook can be read back.
pub(crate) fn journal(bytes: &[u8]) {
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
}

/// A message in `_inbox/`, as anyone may drop it there.
pub(crate) fn mail(bytes: &[u8]) {
    let Ok(message) = Message::parse(bytes) else { return };
    let json = message.to_json().expect("a message that was read can be written");
    let again = Message::parse(&json).expect("and read again");
    assert!(message.says_the_same(&again));
    assert!(!message.file_name().contains('/'));
}

/// `_overview.md`: what is read of it, and that an edit leaves every other byte.
pub(crate) fn overview(bytes: &[u8]) {
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
}

/// `_qa.md`, as agents and people write it.
pub(crate) fn questions(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let qa = Qa::parse(text);
    assert_eq!(qa.as_str(), text, "reading changes nothing");
    assert_eq!(qa.is_answered(), !qa.questions().is_empty() && qa.waiting() == 0);
    assert_eq!(qa.fingerprint().is_some(), !qa.questions().is_empty());
}

/// `_signal.json`, as an agent may write it.
pub(crate) fn signal(bytes: &[u8]) {
    if let Err(error) = Signal::parse(bytes, "0192f0a0-0000-7000-8000-000000000001") {
        assert!(!error.to_string().is_empty());
    }
}

/// The event stream of Claude Code, in chunks: no bytes may make the decoder panic, and where the
/// chunks end changes nothing.
pub(crate) fn stream(bytes: &[u8]) {
    let decode = |chunks: &[&[u8]]| -> Vec<Event> {
        let mut decoder = ClaudeDecoder::new("/home/u/shop".into());
        let (mut lines, mut events) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, &mut decoder, &mut |event| events.push(event));
        }
        lines.finish(&mut decoder, &mut |event| events.push(event));
        events
    };
    let (first, second) = bytes.split_at(bytes.len() / 2);
    assert_eq!(decode(&[bytes]), decode(&[first, second]));
}
