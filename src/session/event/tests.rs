//! The file format of events, which journals of all versions have.

use std::collections::BTreeSet;

use super::*;
use crate::session::journal::Entry;

/// A line of each kind with all its fields, as journals have it.
const FULL: &str = r#"
{"kind":"created","name":"x","task":"t","dive":"d"}
{"kind":"imported","name":"x","task":"t","phase":"planning","iteration":2,"total":5,"gate":"waited","asked":{"answers":"f","text":"q","unread":["i"]},"waits_for":"plan_approval","blocked":"b","done":true}
{"kind":"prepared","working_dir":"/w","branch":"x","base":"c0ffee","notes":["no fetch"]}
{"kind":"resumed","task":"t"}
{"kind":"worker_started","pid":1,"boot":"b","uptime_ms":7,"version":"0.1.0"}
{"kind":"worker_ended","end":"gave_up"}
{"kind":"run_started","run":"r","agent":"claude","conversation":"c","resume":true,"phase":"testing","iteration":1,"total":2,"attempt":3,"log":"l.jsonl","confined":"standard (Landlock 7, seccomp)"}
{"kind":"run_started","run":"r","agent":"acp","command":"acp:qwen --acp","conversation":"c","resume":true,"phase":"testing","iteration":1,"total":2,"attempt":3,"log":"l.jsonl"}
{"kind":"run_started","run":"r","agent":"codex","conversation":"","resume":false,"phase":"quality","iteration":1,"total":2,"attempt":1,"log":"l.jsonl","review":{"reviewer":"codex","round":2,"commit":"c0ffee"}}
{"kind":"conversation_named","run":"r","conversation":"c"}
{"kind":"conversation_kept","conversation":"c","until":"2026-12-20T18:30:00Z","rule":"w"}
{"kind":"conversation_lost","conversation":"c","rule":"w"}
{"kind":"unfamiliar","agent":"claude","version":"2.2","tested":"2.1","unknown":[["event sketch",3]]}
{"kind":"run_ended","run":"r","outcome":"timed_out","detail":"d","failure":true,"resumable":true,"context_window":200000,"cost":{"usd":0.5,"conversation_usd":1.5,"tokens":{"input":1,"output":2,"cache_read":3,"cache_write":4},"cpu_ms":5,"peak_memory":6,"leftovers":7}}
{"kind":"run_lost","run":"r"}
{"kind":"set_aside","file":"_x","what":"a file","kept":"_x.aside-1"}
{"kind":"remade","working_dir":"/w/26-11-20-jwt","branch":"jwt"}
{"kind":"kept_out","run":"r","refused":[{"what":"/srv/x","opened_by":"SAMOCODE_ALLOW_READ=/srv/x","times":2}]}
{"kind":"not_sent","why":"w"}
{"kind":"fetched","lacking":"w"}
{"kind":"fetched"}
{"kind":"head_moved","head":{"branch":"t","on":"other","commit":"c0ffee1","lacking":2,"kept":"refs/samocode/kept/t/c0ffee1"}}
{"kind":"reviewed","run":"r","on":{"reviewer":"codex","round":2,"commit":"c0ffee"},"verdict":{"approves":false,"summary":"s","findings":["f"]}}
{"kind":"review_missed","on":{"reviewer":"codex","round":2,"commit":"c0ffee"},"why":"w","until":"2026-11-20T18:30:00Z"}
{"kind":"strays_found","branch":"t","strays":[{"what":"gained","name":"refs/heads/x","commits":2,"tip":"c0ffee1","subject":"s","fresh":true},{"what":"lost","name":"refs/heads/y","commits":1,"kept":"refs/samocode/kept/t/c0ffee1"},{"what":"stashed","commit":"c0ffee1","message":"WIP on t: x"},{"what":"dropped","message":"On main: y","kept":"refs/samocode/kept/t/c0ffee1"},{"what":"deleted","name":"refs/heads/main","commit":"c0ffee1","checkout":"/w"},{"what":"loose","commits":1,"tip":"c0ffee1","subject":"s","kept":"refs/samocode/kept/t/c0ffee1"}]}
{"kind":"signal_asked","run":"r","problem":"p"}
{"kind":"signal_taken","run":"r","line":{"timestamp":"2026-11-20 10:00:00","iteration":1,"phase":"testing","status":"waiting","summary":"s","reason":null,"needs":null,"for":"human_action"},"phase":"testing","status":"waiting","fingerprint":"f","state":{"a":1},"asked":{"answers":"f","text":"q","unread":["i"]},"step":{"next":"wait","for":"human_action"}}
{"kind":"signal_taken","run":"r","line":{"timestamp":"2026-11-20 10:00:00","iteration":1,"phase":"quality","status":"continue","summary":"s","reason":null,"needs":null,"for":null},"phase":"quality","status":"continue","step":{"next":"review"}}
{"kind":"signal_taken","run":"r","line":{"timestamp":"2026-11-20 10:00:00","iteration":1,"phase":"quality","status":"continue","summary":"s","reason":null,"needs":null,"for":null},"phase":"quality","status":"continue","step":{"next":"enter","phase":"testing"},"reviewed":"c0ffee"}
{"kind":"signal_taken","run":"r","line":{"timestamp":"2026-11-20 10:00:00","iteration":1,"phase":"quality","status":"continue","summary":"s","reason":null,"needs":null,"for":null},"phase":"quality","status":"continue","step":{"next":"dispute","reason":"w"}}
{"kind":"blocked","reason":"r","needs":"investigation"}
{"kind":"mail","id":"i","from":"human","mail":"text","early":true,"by":"u on pts/3","unvouched":true,"unsigned":true}
{"kind":"foreign_mail","file":"note.txt","kept":"file-0-note.txt","message":"file-0","problem":"p"}
{"kind":"mail_left","ids":["i"]}
{"kind":"answered"}
{"kind":"phase_set","phase":"planning"}
{"kind":"retried","by":"start"}
{"kind":"delegated","gates":true}
{"kind":"chosen","settings":{"SAMOCODE_BUDGET_USD":"3"}}
{"kind":"stopped"}
{"kind":"started"}
{"kind":"limited","until":"2026-11-20T18:30:00Z","what":"five_hour","said":"You've hit your limit"}
{"kind":"paused","cause":"disk","detail":"d","until":"2026-11-20T18:30:00Z","quiet":true}
{"kind":"queued","cap":3}
{"kind":"held","convoy":"c","after":["a"]}
{"kind":"scheduled","begins":"2026-11-21T03:00:00Z"}
{"kind":"released"}
{"kind":"continued"}
{"kind":"outage","since":"2026-11-20T18:30:00Z","what":"w"}
{"kind":"restored","files":2,"first":["a"],"kept":"_damaged/x","lost":1,"first_lost":["b"]}
{"kind":"nudged","run":"r","quiet_s":6}
{"kind":"stalled","run":"r","quiet_s":6}
{"kind":"repeated","run":"r","what":"w","times":9}
{"kind":"handoff_asked","run":"r","used":9}
{"kind":"handoff_made","run":"r","state":"s"}
{"kind":"budget_warned","text":"t"}
{"kind":"notified","what":"w","standing":true,"by":"telegram","error":"e","remark":"r"}
"#;

/// The shortest line of the kinds that have fields that may be absent.
const SHORT: &str = r#"
{"kind":"created","name":"x","task":"t"}
{"kind":"imported","name":"x","task":"t","phase":"planning","iteration":2,"total":5}
{"kind":"prepared","working_dir":"/w"}
{"kind":"worker_started","pid":1,"boot":"b","version":"0.1.0"}
{"kind":"run_ended","run":"r","outcome":"finished"}
{"kind":"mail","id":"i","from":"human","mail":"text"}
{"kind":"reviewed","run":"r","on":{"reviewer":"x","round":1},"verdict":{"approves":true}}
{"kind":"review_missed","on":{"reviewer":"x","round":1},"why":"w"}
{"kind":"head_moved"}
{"kind":"head_moved","head":{"branch":"t"}}
{"kind":"foreign_mail","file":"note.txt","kept":"file-0-note.txt"}
{"kind":"limited","until":"2026-11-20T18:30:00Z"}
{"kind":"paused","cause":"an eclipse","detail":"d"}
{"kind":"handoff_asked","run":"r"}
{"kind":"held","convoy":"c"}
{"kind":"notified","what":"w","by":"desktop"}
{"kind":"stopped","why":"a field of a newer version"}
"#;

fn in_a_journal(event: &str) -> String {
    format!(r#"{{"seq":1,"at":"2026-11-20T10:00:00Z",{}"#, &event[1..])
}

#[test]
fn every_kind_is_read_and_written_byte_by_byte_as_it_always_was() {
    let mut kinds = BTreeSet::new();
    for line in FULL.trim().lines().map(in_a_journal) {
        let entry: Entry = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(serde_json::to_string(&entry).unwrap(), line);
        let kind = entry.event.kind();
        assert!(line.contains(&format!(r#""kind":"{kind}""#)), "{kind}: {line}");
        kinds.insert(kind);
    }
    assert_eq!(kinds.len(), Event::MESSAGE_IDS.len(), "a line for each kind");
}

#[test]
fn what_may_be_absent_is() {
    for line in SHORT.trim().lines().map(in_a_journal) {
        serde_json::from_str::<Entry>(&line).unwrap_or_else(|e| panic!("{line}: {e}"));
    }
}

#[test]
fn what_deserves_attention_depends_on_how_it_ended() {
    let ended = |failure| {
        let json = in_a_journal(r#"{"kind":"run_ended","run":"r","outcome":"failed"}"#);
        let entry: Entry = serde_json::from_str(&json).unwrap();
        let Event::RunEnded(ended) = entry.event else { panic!("{json}") };
        Event::from(RunEnded { failure, ..ended })
    };
    assert!(ended(true).is_warning());
    assert!(!ended(false).is_warning());
    assert!(!Event::from(Stopped {}).is_warning());
    assert!(Event::from(Nudged { run: "r".into(), quiet_s: 6 }).is_warning());
}
