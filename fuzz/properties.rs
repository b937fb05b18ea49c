//! What holds for any bytes that a parser is given. `fuzz/run.sh` looks for bytes for which it does
//! not, led by coverage; the test suite tries changed seeds for some seconds.

use std::path::Path;

use samocode::agent::stream::Lines;
use samocode::agent::{Event, REGISTRY};
use samocode::config::EnvFile;
use samocode::config::file::{ConfigFile, assignment};
use samocode::config::values;
use samocode::notify::text;
use samocode::service::systemd::{escape, units};
use samocode::session::advance::{Gate, advance};
use samocode::session::hook::Hook;
use samocode::session::journal::{Event as Entered, Scanner};
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

/// The event stream of an agent, in chunks: no bytes may make a decoder panic, and where the chunks end
/// changes nothing. The bytes say which agent's it is, and where the chunks end.
pub(crate) fn stream(bytes: &[u8]) {
    let mut seed =
        bytes.iter().fold(1_u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
    let agents: Vec<_> = REGISTRY.specs().collect();
    let agent = agents[usize::try_from(seed % agents.len() as u64).expect("one of them")];
    let decode = |chunks: &[&[u8]]| -> Vec<Event> {
        let mut decoder = agent.decoder(Path::new("/home/u/shop"));
        let (mut lines, mut events) = (Lines::default(), Vec::new());
        for chunk in chunks {
            lines.feed(chunk, &mut *decoder, &mut |event| events.push(event));
        }
        lines.finish(&mut *decoder, &mut |event| events.push(event));
        events
    };
    let (mut chunks, mut rest) = (Vec::new(), bytes);
    while !rest.is_empty() {
        // Some end after a byte, some are as long as all of it.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let longest = [2, 100, bytes.len().max(1)][usize::try_from(seed >> 62).expect("small") % 3];
        let length = usize::try_from((seed >> 20) % longest as u64).expect("small");
        let (chunk, after) = rest.split_at((length + 1).min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    assert_eq!(decode(&[bytes]), decode(&chunks), "{:?}", agent.manifest().name);
}

/// A session's drop-in, as anyone may have edited it; and that what is written into a unit is one line
/// and reads back as it was.
pub(crate) fn units(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let _ = units::read_session(text);
    for line in text.lines() {
        let _ = escape::read_assignment(line);
    }
    if let Ok(written) = escape::assignment("A", text) {
        assert!(!written.contains('\n'), "{written}");
        assert_eq!(escape::read_assignment(&written), Some(("A".to_owned(), text.to_owned())));
    }
    let path = Path::new(text);
    for written in [escape::program(path), escape::bare_path(path)].into_iter().flatten() {
        assert!(!written.contains(char::is_control), "{written}");
    }
    assert!(!escape::description(text).contains(char::is_control));
}

/// The texts of notices, which an agent wrote: nothing in them acts on a terminal or turns the reading
/// direction, markup is text, and they fit.
pub(crate) fn notices(bytes: &[u8]) {
    let Some((budget, rest)) = bytes.split_first() else { return };
    let (budget, given) = (usize::from(*budget), String::from_utf8_lossy(rest));
    let block = text::tame_block(&given);
    assert!(!block.contains(|c: char| c.is_control() && c != '\n'), "{block:?}");
    assert!(!block.contains(|c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')));
    assert!(!block.contains("\n\n\n"), "{block:?}");
    assert_eq!(text::tame_block(&block), block, "taming it again changes nothing");
    assert!(!text::tame_line(&given).contains('\n'));
    let clipped = text::clip(&block, budget);
    assert!(text::utf16_len(&clipped) <= budget, "{clipped:?}");
    let escaped = text::escape_within(&block, budget);
    assert!(text::utf16_len(&escaped) <= budget, "{escaped:?}");
    assert!(!escaped.contains(['<', '>']), "{escaped:?}");
}

/// No sequence of events opens a gate without a human's word. Each byte is an event; a signal leads
/// where the rules say, everything else is as the worker journals it. Mail comes with all marks: too
/// early, not sent by a verb, of a sender who is not certain.
pub(crate) fn gate(bytes: &[u8]) {
    const RUN: &str = "01a2202e-a12c-713c-8020-c94738cf35f7";
    const STATUSES: [&str; 5] = ["continue", "waiting", "blocked", "done", "handoff"];
    const WORDS: [&str; 8] =
        ["text", "approve", "answer", "reject", "nudge", "stop", "handoff", "question"];
    let (mut scanner, mut state) = (Scanner::default(), State::default());
    let mut word = false;
    for (at, byte) in bytes.iter().take(500).enumerate() {
        let (low, high) = (byte & 15, usize::from(byte >> 4));
        let phase = state.phase();
        let event = match low {
            0 | 10 => serde_json::json!({"kind": "run_started", "run": RUN, "agent": "claude",
                "conversation": "c", "resume": false, "phase": phase, "iteration": 1, "total": 1,
                "attempt": 1, "log": "x"}),
            // Which phase it names: the next, or any.
            1 | 2 | 11..=15 => {
                let next = phase.next().first().copied().unwrap_or(phase);
                let to = if high < 8 { next } else { samocode::session::Phase::ALL[high - 8] };
                let status = if low == 2 { STATUSES[high % 5] } else { "continue" };
                let status = if low == 12 { "waiting" } else { status };
                let signal = serde_json::json!({"status": status, "phase": to, "run": RUN});
                let Ok(signal) = Signal::parse(signal.to_string().as_bytes(), RUN) else {
                    continue;
                };
                let step = advance(phase, state.visit.gate, &signal);
                serde_json::json!({"kind": "signal_taken", "run": RUN, "line": {}, "phase": phase,
                    "status": status, "step": step})
            }
            3..=5 => serde_json::json!({"kind": "mail", "id": format!("m{}", at / 2),
                "from": if low == 5 { "other" } else { "human" }, "mail": WORDS[high % 8],
                "early": low == 4, "unvouched": low == 5, "unsigned": high > 7}),
            6 => {
                serde_json::json!({"kind": "foreign_mail", "file": "x", "kept": "x", "message": "m1"})
            }
            7 => serde_json::json!({"kind": "mail_left", "ids": [format!("m{}", at / 2)]}),
            8 => serde_json::json!({"kind": "worker_started", "pid": 1, "boot": format!("b{high}"),
                "uptime_ms": 1, "version": "1"}),
            _ => {
                serde_json::json!({"kind": "run_ended", "run": RUN, "outcome": "failed", "detail": "x",
                "failure": true, "resumable": true, "cost": {}})
            }
        };
        let mut line = event;
        line["seq"] = serde_json::json!(at + 1);
        line["at"] = serde_json::json!("2026-11-28T03:24:16Z");
        let Some(entry) = scanner.line(format!("{line}\n").as_bytes()) else {
            panic!("it is no entry: {line}")
        };
        let before = state.visit.gate;
        state.apply(&entry);
        let is_word = matches!(&entry.event, Entered::Mail(mail)
            if matches!(mail.mail.as_str(), "approve" | "answer") && !mail.early && !mail.unvouched);
        if state.visit.gate == Gate::Open && before != Gate::Open {
            assert!(is_word, "a gate was opened by {line}");
            word = true;
        }
        if state.phase() != phase {
            assert!(!phase.is_gate() || word, "{phase} was left by {line}");
            word = false;
        }
    }
}
