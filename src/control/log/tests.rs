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
