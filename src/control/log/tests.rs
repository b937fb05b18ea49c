use std::fs;
use std::io::Write as _;

use super::*;
use crate::control::host::tests::caller;
use crate::session::journal::Event;
use crate::session::store::Folder;

/// A session with two runs, of the agent that speaks our own format, each with two sentences.
fn session(root: &std::path::Path) -> (Caller, Folder) {
    let caller = caller(root);
    let folder = Folder::new(root.join("sessions/26-11-20-jwt"));
    fs::create_dir_all(folder.logs()).unwrap();
    fs::write(folder.overview(), "# Session: jwt\n## Status\nPhase: planning\n").unwrap();
    (1..=2).for_each(|run| start(&folder, run));
    (caller, folder)
}

fn start(folder: &Folder, run: u64) {
    let entry = format!(
        r#"{{"seq":{run},"at":"2026-11-20T17:04:11Z","kind":"run_started","run":"r{run}","agent":"rehearsal","conversation":"c","resume":false,"phase":"planning","iteration":{run},"total":{run},"attempt":1,"log":"{run}.jsonl"}}"#
    );
    append(&folder.journal(), &entry);
    let log = folder.logs().join(format!("{run}.jsonl"));
    for word in ["first", "second"] {
        append(&log, &format!(r#"{{"event":"text","text":"{word} of {run}"}}"#));
        append(&log, r#"{"event":"progress"}"#);
    }
}

fn append(path: &std::path::Path, line: &str) {
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    writeln!(file, "{line}").unwrap();
}

fn short(line: &Line) -> String {
    match line {
        Line::Journal { entry } => match &entry.event {
            Event::RunStarted(started) => format!("run {}", started.run),
            other => format!("{other:?}"),
        },
        Line::Agent { run, event: agent::Event::Text { text } } => format!("{run}: {text}"),
        Line::Raw { bytes } => String::from_utf8_lossy(bytes).into_owned(),
        other => format!("{other:?}"),
    }
}

async fn all(caller: &Caller, log: Log) -> Vec<String> {
    let lines = super::log(caller, log).await.unwrap();
    lines.map(|line| short(&line.unwrap())).collect().await
}

fn of_jwt() -> Log {
    Log { session: "jwt".to_owned(), ..Log::default() }
}

#[tokio::test]
async fn a_log_has_the_journal_and_after_each_runs_start_what_its_agent_said() {
    let root = tempfile::tempdir().unwrap();
    let (caller, _folder) = session(root.path());
    let first = ["run r1", "r1: first of 1", "r1: second of 1"];
    let second = ["run r2", "r2: first of 2", "r2: second of 2", "UpToDate"];
    assert_eq!(all(&caller, of_jwt()).await, [&first[..], &second].concat());
    assert_eq!(all(&caller, Log { last: Some(2), ..of_jwt() }).await, second);
    assert_eq!(all(&caller, Log { last: Some(4), ..of_jwt() }).await.len(), 7);
    let raw = all(&caller, Log { raw: true, last: Some(1), ..of_jwt() }).await;
    assert_eq!(raw, ["{\"event\":\"progress\"}\n", "UpToDate"]);
    let missing = super::log(&caller, Log { session: "search".to_owned(), ..of_jwt() }).await;
    assert_eq!(missing.err().unwrap().class, Class::NotFound);
}

#[tokio::test]
async fn a_followed_log_continues_with_later_runs() {
    let root = tempfile::tempdir().unwrap();
    let (caller, folder) = session(root.path());
    let follow = Log { last: Some(1), follow: true, ..of_jwt() };
    let mut lines = super::log(&caller, follow).await.unwrap();
    let mut until = async |last: &str| {
        let bound = std::time::Duration::from_secs(60);
        while short(&tokio::time::timeout(bound, lines.next()).await.unwrap().unwrap().unwrap())
            != last
        {}
    };
    until("UpToDate").await;
    append(&folder.logs().join("2.jsonl"), r#"{"event":"text","text":"third of 2"}"#);
    until("r2: third of 2").await;
    start(&folder, 3);
    until("run r3").await;
    until("r3: second of 3").await;
}

#[tokio::test]
async fn a_log_since_a_time_or_of_a_phase_leaves_other_runs_unread() {
    let root = tempfile::tempdir().unwrap();
    let (caller, folder) = session(root.path());
    let text = fs::read_to_string(folder.journal()).unwrap();
    // The second run is a day later and in another phase, and something happens before it.
    let (first, second) = text.split_once('\n').unwrap();
    let second = second.replace("2026-11-20", "2026-11-21").replace("planning", "testing");
    let end = r#"{"seq":2,"at":"2026-11-20T18:00:00Z","kind":"run_lost","run":"r1"}"#;
    let killed = r#"{"seq":3,"at":"2026-11-21T16:00:00Z","kind":"run_lost","run":"r1"}"#;
    let second = second.replace("\"seq\":2", "\"seq\":4");
    fs::write(folder.journal(), format!("{first}\n{end}\n{killed}\n{second}")).unwrap();
    let since = |at: &str| Log { since: Some(at.parse().unwrap()), ..of_jwt() };
    let says = |lines: Vec<String>| {
        lines.into_iter().filter(|line| line.starts_with('r')).collect::<Vec<_>>()
    };
    let second = ["run r2", "r2: first of 2", "r2: second of 2"];
    let found = all(&caller, since("2026-11-21T00:00:00Z")).await;
    assert!(found[0].contains("RunLost"), "what happened between runs is shown: {found:?}");
    assert_eq!(says(found), second);
    // A run that was under way is shown from its start.
    assert_eq!(says(all(&caller, since("2026-11-20T17:30:00Z")).await).len(), 6);
    assert_eq!(says(all(&caller, since("2026-11-22T00:00:00Z")).await), second, "it still runs");
    let of = |phase| Log { phase: Some(phase), ..of_jwt() };
    assert_eq!(says(all(&caller, of(crate::session::Phase::Testing)).await), second);
    assert_eq!(says(all(&caller, of(crate::session::Phase::Planning)).await).len(), 3);
    assert_eq!(says(all(&caller, of(crate::session::Phase::Quality)).await).len(), 0);
}

#[tokio::test]
async fn the_last_lines_of_a_long_run_are_read_from_its_end() {
    let root = tempfile::tempdir().unwrap();
    let (caller, folder) = session(root.path());
    let log = folder.logs().join("2.jsonl");
    let long = "x".repeat(1000);
    let line = format!(r#"{{"event":"text","text":"{long}"}}"#);
    fs::write(&log, format!("{}\n", line).repeat(3000)).unwrap();
    append(&log, r#"{"event":"text","text":"the end"}"#);
    let lines = all(&caller, Log { last: Some(2), ..of_jwt() }).await;
    assert_eq!((lines[0].as_str(), lines[lines.len() - 2].as_str()), ("run r2", "r2: the end"));
    assert!((100..1100).contains(&lines.len()), "{}", lines.len());
    let whole = |line: &String| line.len() == "r2: ".len() + 1000;
    assert!(lines[1..lines.len() - 2].iter().all(whole), "no line is cut");
    assert_eq!(all(&caller, Log { last: Some(2900), ..of_jwt() }).await.len(), 3003);
}
