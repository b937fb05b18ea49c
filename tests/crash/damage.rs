//! Damaged, missing and unexpected files are handled without loss, and one line
//! says what to do.

use std::fs;
use std::io::Write as _;

use samocode::session::Phase;
use samocode::session::history::History;
use samocode::session::mail::Kind;

use super::stage::{End, Stage, list};

/// A session at its first gate, and its result when undisturbed.
fn at_the_first_gate() -> Stage {
    let stage = Stage::new(true);
    stage.work(&[]);
    assert_eq!(stage.state().phase(), Phase::Requirements);
    stage
}

fn in_peace() -> End {
    let stage = Stage::new(true);
    stage.whole(|_| Vec::new());
    stage.came_to()
}

fn go_on(stage: &Stage) -> End {
    stage.mail(Kind::Answer, "Q1: A");
    stage.work(&[]);
    stage.mail(Kind::Approve, "");
    stage.work(&[]);
    stage.came_to()
}

fn append(path: &std::path::Path, bytes: &[u8]) {
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_torn_last_line_of_journal_or_history_is_cut_off() {
    let stage = at_the_first_gate();
    append(&stage.folder.journal(), b"{\"seq\":99,\"at\":\"20");
    append(&stage.folder.history(), b"{\"timestamp\":\"20");
    assert_eq!(go_on(&stage), in_peace());
}

#[test]
fn a_journal_damaged_in_the_middle_is_reported_with_its_line_and_the_remedy_works() {
    let stage = at_the_first_gate();
    let path = stage.folder.journal();
    let text = fs::read_to_string(&path).unwrap();
    let second = text.lines().nth(1).unwrap();
    fs::write(&path, text.replacen(second, &second[..second.len() / 2], 1)).unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(stage.end(stage.worker()).code(), Some(78));
    let output = fs::read_to_string(stage.at("output")).unwrap();
    let line = output.lines().last().unwrap();
    assert!(line.contains("_journal.jsonl is damaged in line 2: "), "{line}");
    assert!(line.contains("move it aside and start the session again"), "{line}");
    assert_eq!(fs::read(&path).unwrap(), before, "it is left as it was");
    fs::rename(&path, stage.at("aside")).unwrap();
    // Words that lie unread now may belong to an earlier wait: it begins again, and asks.
    stage.work(&[]);
    let end = go_on(&stage);
    assert_eq!(stage.state().phase(), Phase::Done, "{end:?}");
}

#[test]
fn a_missing_or_damaged_hook_is_rebuilt() {
    let peace = in_peace();
    for damage in [None, Some(""), Some("{\"task_id\""), Some("[]"), Some("\u{0}\u{0}")] {
        let stage = at_the_first_gate();
        match damage {
            None => fs::remove_file(stage.folder.hook()).unwrap(),
            Some(text) => fs::write(stage.folder.hook(), text).unwrap(),
        }
        stage.work(&[]);
        assert_eq!(stage.folder.read_hook().map(|hook| hook.total_iterations), Some(2));
        assert_eq!(go_on(&stage), peace);
    }
}

#[test]
fn a_session_without_a_journal_is_imported_from_overview_and_history() {
    for empty in [false, true] {
        let stage = at_the_first_gate();
        if empty {
            fs::write(stage.folder.journal(), "").unwrap();
        } else {
            fs::remove_file(stage.folder.journal()).unwrap();
        }
        stage.work(&[]);
        let state = stage.state();
        let at = (state.phase(), state.visit.iterations, state.total);
        assert_eq!(at, (Phase::Requirements, 1, 2));
        assert_eq!(state.name().as_str(), "waiting");
        go_on(&stage);
        let history = History::parse(&fs::read(stage.folder.history()).unwrap());
        let numbers: Vec<_> = history.lines.iter().filter_map(|line| line.iteration).collect();
        assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }
}

#[test]
fn a_missing_overview_is_rebuilt_from_the_journal() {
    let stage = at_the_first_gate();
    fs::remove_file(stage.folder.overview()).unwrap();
    stage.work(&[]);
    let overview = fs::read_to_string(stage.folder.overview()).unwrap();
    for part in
        ["\nCount\n", "Phase: requirements", "Blocked: waiting_human", "Total Iterations: 2"]
    {
        assert!(overview.contains(part), "{part:?} is missing in\n{overview}");
    }
    go_on(&stage);
    assert_eq!(stage.state().phase(), Phase::Done);
}

#[test]
fn missing_folders_are_recreated_and_files_in_their_place_are_kept() {
    let peace = in_peace();
    let stage = at_the_first_gate();
    fs::remove_dir_all(stage.folder.logs()).unwrap();
    fs::remove_dir(stage.folder.inbox()).unwrap();
    fs::write(stage.folder.inbox(), "words").unwrap();
    fs::remove_dir(stage.folder.mail()).unwrap();
    stage.work(&[]);
    assert!(stage.folder.logs().is_dir() && stage.folder.inbox().is_dir());
    let kept = list(stage.folder.path()).into_iter().find(|path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("_inbox.aside-"))
    });
    assert_eq!(fs::read_to_string(kept.unwrap()).unwrap(), "words");
    assert_eq!(go_on(&stage), peace);
}

#[test]
fn locks_left_by_a_killed_git_do_not_stop_the_next_run() {
    let stage = at_the_first_gate();
    stage.mail(Kind::Answer, "Q1: A");
    stage.work(&[]);
    stage.mail(Kind::Approve, "");
    let lock = stage.at("repo/.git/worktrees/26-11-20-demo/index.lock");
    fs::write(&lock, "").unwrap();
    stage.work(&[]);
    assert_eq!(stage.state().phase(), Phase::Done, "{}", stage.output());
}
