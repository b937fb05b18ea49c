//! Notices on disk: kept, claimed, staged, dropped.

use super::*;
use crate::notify::About;

fn unsent(session: &str, notice: fn(&About) -> Notice, second: i64) -> Unsent {
    let about = About {
        id: format!("{session}/{second}"),
        session: session.to_owned(),
        ..About::default()
    };
    Unsent {
        since: Timestamp::from_second(second).unwrap(),
        ..Unsent::new(&notice(&about), "telegram", Path::new("/p/.samocode"))
    }
}

/// Takes all notices that no other process is sending.
fn take(folder: &UnsentFolder) -> Vec<Claim> {
    folder.paths().iter().filter_map(|path| folder.claim(path)).collect()
}

fn waiting(about: &About) -> Notice {
    Notice::waiting(about, None, None, None, "samocode answer x")
}

fn warning(about: &About) -> Notice {
    Notice::warning(about, "look", None)
}

fn sessions(folder: &UnsentFolder) -> Vec<String> {
    folder.all().into_iter().map(|unsent| unsent.notice.id).collect()
}

#[test]
fn a_notice_is_there_until_it_is_done_and_one_process_at_a_time_has_it() {
    let root = tempfile::tempdir().unwrap();
    let folder = UnsentFolder::of(root.path());
    folder.keep(&unsent("a", waiting, 1)).unwrap();
    let mut claim = take(&folder).pop().unwrap();
    assert!(take(&folder).is_empty(), "its sender is at it");
    claim.failed(&NotifyError::retryable("busy"));
    assert!(take(&folder).is_empty(), "still");
    drop(claim);

    let mut taken = take(&folder);
    let claim = taken.pop().unwrap();
    assert_eq!((claim.unsent.tries, claim.unsent.error.as_deref()), (1, Some("busy")));
    assert!(take(&folder).is_empty());
    assert!(folder.all()[0].describe().contains("busy"));
    claim.done();
    assert!(folder.all().is_empty());
}

#[test]
fn a_later_notice_of_the_same_session_replaces_the_earlier_and_a_warning_does_not() {
    let root = tempfile::tempdir().unwrap();
    let folder = UnsentFolder::of(root.path());
    folder.keep(&unsent("a", waiting, 1)).unwrap();
    let mut first = take(&folder).pop().unwrap();
    for (session, notice) in
        [("b", waiting as fn(&About) -> Notice), ("a", warning), ("a", waiting)]
    {
        folder.keep(&unsent(session, notice, sessions(&folder).len() as i64 + 1)).unwrap();
    }
    assert_eq!(sessions(&folder), ["b/2", "a/3", "a/4"]);
    first.failed(&NotifyError::retryable("busy"));
    first.done();
    assert_eq!(sessions(&folder), ["b/2", "a/3", "a/4"], "it does not come back");
}

#[test]
fn a_staged_notice_is_sent_by_nobody_until_it_is_released_once() {
    let root = tempfile::tempdir().unwrap();
    let folder = UnsentFolder::of(root.path());
    for second in [1, 1] {
        folder.stage(&unsent("a", waiting, second)).unwrap();
    }
    assert!(folder.all().is_empty() && folder.is_empty());
    folder.release("telegram", "a/1").unwrap();
    assert_eq!(sessions(&folder), ["a/1"]);
    take(&folder).into_iter().for_each(Claim::done);
    folder.release("telegram", "a/1").unwrap();
    assert!(folder.all().is_empty(), "it was sent");
}

#[test]
fn what_is_too_old_or_too_much_is_dropped() {
    let root = tempfile::tempdir().unwrap();
    let folder = UnsentFolder::of(root.path());
    for second in 0..=MOST as i64 {
        folder.keep(&unsent("a", warning, second)).unwrap();
    }
    let all = sessions(&folder);
    assert_eq!((all.len(), all[0].as_str()), (MOST, "a/1"));
    folder.keep(&unsent("a", warning, TOO_OLD.as_secs() + 50)).unwrap();
    assert_eq!(sessions(&folder)[0], "a/50");
}

#[test]
fn a_server_that_asks_for_time_gets_it_and_others_get_longer_each_time() {
    let now = Timestamp::from_second(1000).unwrap();
    let mut one = unsent("a", waiting, 1);
    let pause = |one: &Unsent| one.not_before.unwrap().duration_since(now).as_secs();
    let mut pauses = Vec::new();
    for _ in 0..9 {
        one.failed(&NotifyError::Final("no".to_owned()), now);
        pauses.push(pause(&one));
    }
    assert_eq!(pauses, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]);
    let after = Some(Duration::from_secs(7200));
    one.failed(&NotifyError::Retryable { reason: "busy".to_owned(), after }, now);
    assert_eq!(pause(&one), 7200);
}

#[test]
fn what_an_older_samocode_left_is_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = UnsentFolder::of(root.path());
    fs::create_dir(root.path().join("notices")).unwrap();
    let old = r#"{"notice":{"id":"jwt-9","kind":"waiting","session":"jwt","project":"shop",
        "phase":"requirements","text":"is waiting for your answers","detail":null,
        "command":"samocode answer jwt"},"by":"telegram","config":"/p/.samocode",
        "since":"2026-11-20T10:00:00Z","tries":2,"error":"busy","not_before":"2026-11-20T10:02:00Z"}"#;
    fs::write(root.path().join("notices/telegram-jwt-9.json"), old).unwrap();
    let all = folder.all();
    assert_eq!((all.len(), all[0].tries, all[0].notice.questions.len()), (1, 2, 0));
    assert!(folder.has_due("telegram", Path::new("/p/.samocode"), Due::AsAsked, Timestamp::now()));
    assert_eq!(take(&folder).len(), 1);
}

#[test]
fn the_names_of_two_channels_are_never_mixed_up() {
    assert_ne!(file_name("ops", "team-x-1"), file_name("ops-team", "x-1"));
    assert_eq!(file_name("telegram", "a/1"), "telegram-a_1.json");
}
