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
        notice: notice(&about),
        by: "telegram".to_owned(),
        config: "/p/.samocode".into(),
        since: Timestamp::from_second(second).unwrap(),
        tries: 0,
        error: None,
        not_before: None,
    }
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
    let mut claim = folder.keep(unsent("a", waiting, 1)).unwrap();
    assert!(folder.take(|_| true).is_empty(), "its sender is at it");
    claim.failed(&NotifyError::retryable("busy"));
    assert!(folder.take(|_| true).is_empty(), "still");
    drop(claim);

    let mut taken = folder.take(|_| true);
    let claim = taken.pop().unwrap();
    assert_eq!((claim.unsent.tries, claim.unsent.error.as_deref()), (1, Some("busy")));
    assert!(folder.take(|_| true).is_empty());
    assert!(folder.about("a")[0].describe().contains("busy"));
    claim.done();
    assert!(folder.all().is_empty());
}

#[test]
fn a_later_notice_of_the_same_session_replaces_the_earlier_and_a_warning_does_not() {
    let root = tempfile::tempdir().unwrap();
    let folder = UnsentFolder::of(root.path());
    let mut first = folder.keep(unsent("a", waiting, 1)).unwrap();
    for (session, notice) in
        [("b", waiting as fn(&About) -> Notice), ("a", warning), ("a", waiting)]
    {
        folder.keep(unsent(session, notice, sessions(&folder).len() as i64 + 1)).unwrap();
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
    folder.take(|_| true).into_iter().for_each(Claim::done);
    folder.release("telegram", "a/1").unwrap();
    assert!(folder.all().is_empty(), "it was sent");
}

#[test]
fn what_is_too_old_or_too_much_is_dropped() {
    let root = tempfile::tempdir().unwrap();
    let folder = UnsentFolder::of(root.path());
    for second in 0..=MOST as i64 {
        folder.keep(unsent("a", warning, second)).unwrap();
    }
    let all = sessions(&folder);
    assert_eq!((all.len(), all[0].as_str()), (MOST, "a/1"));
    folder.keep(unsent("a", warning, TOO_OLD.as_secs() + 50)).unwrap();
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
