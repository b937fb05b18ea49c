use super::*;
use std::fs;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn limit(until: i64, what: Option<&str>) -> event::Limited {
    let said = what.map(|what| format!("You've hit your {what} limit"));
    event::Limited { until: at(until), what: what.map(str::to_owned), said }
}

fn account(folder: &tempfile::TempDir) -> Account {
    Account::new(folder.path(), "abc", Sources::default(), None)
}

#[test]
fn a_limit_found_by_one_session_holds_all_of_them_back_until_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    account(&folder).limited(&limit(600, Some("five_hour")), at(0)).unwrap();
    let Some(Event::Limited(event::Limited { until, .. })) =
        account(&folder).obstacle("b", at(0)).unwrap()
    else {
        panic!()
    };
    assert_eq!(until, at(600));
    assert_eq!(account(&folder).obstacle("b", at(600)).unwrap(), None);
}

#[test]
fn of_two_limits_the_one_that_ends_later_counts() {
    let folder = tempfile::tempdir().unwrap();
    account(&folder).limited(&limit(9000, Some("seven_day")), at(0)).unwrap();
    account(&folder).limited(&limit(600, Some("five_hour")), at(0)).unwrap();
    let limited = Event::Limited(limit(9000, Some("seven_day")));
    assert_eq!(account(&folder).obstacle("b", at(0)).unwrap(), Some(limited));
}

#[test]
fn sessions_are_spread_each_always_by_the_same() {
    let names: Vec<String> = (0..200).map(|n| format!("session-{n}")).collect();
    let spread_s: Vec<i64> = names.iter().map(|name| spread(name).as_secs()).collect();
    assert!(spread_s.iter().all(|s| (0..30).contains(s)));
    for third in [0..10, 10..20, 20..30] {
        let in_it = spread_s.iter().filter(|s| third.contains(*s)).count();
        assert!(in_it > 40, "{in_it} of 200 in {third:?}");
    }
    assert_eq!(spread("jwt"), spread("jwt"));
}

#[test]
fn refused_credentials_are_reported_once_and_retried_by_one() {
    let folder = tempfile::tempdir().unwrap();
    assert!(account(&folder).refused("401", at(0)).unwrap());
    assert!(!account(&folder).refused("401", at(1)).unwrap());
    let Some(Event::Paused(event::Paused { quiet, .. })) =
        account(&folder).obstacle("b", at(2)).unwrap()
    else {
        panic!()
    };
    assert!(quiet);
    assert_eq!(account(&folder).obstacle("a", at(700)).unwrap(), None, "a's turn to try");
    assert!(account(&folder).obstacle("b", at(701)).unwrap().is_some(), "b waits for a");
    account(&folder).went_well(at(700), at(702)).unwrap();
    assert_eq!(account(&folder).obstacle("b", at(702)).unwrap(), None);
}

#[test]
fn a_run_that_began_before_a_limit_was_found_does_not_lift_it() {
    let folder = tempfile::tempdir().unwrap();
    account(&folder).limited(&limit(600, None), at(1)).unwrap();
    account(&folder).went_well(at(0), at(2)).unwrap();
    assert!(account(&folder).obstacle("b", at(2)).unwrap().is_some());
}

#[test]
fn a_new_login_makes_a_refusal_void() {
    let folder = tempfile::tempdir().unwrap();
    let login = folder.path().join(".credentials.json");
    let sources = Sources { logins: vec![login.clone()], ..Sources::default() };
    let account = Account::new(folder.path(), "abc", sources, None);
    account.refused("401", at(0)).unwrap();
    assert!(account.obstacle("b", at(1)).unwrap().is_some());
    assert!(!account.is_free("b", at(2)));
    fs::write(&login, "{}").unwrap();
    assert!(account.is_free("b", at(2)));
    assert_eq!(account.obstacle("b", at(2)).unwrap(), None);
}

#[test]
fn what_was_changed_in_the_env_file_while_a_run_used_it_is_yet_to_be_tried() {
    let folder = tempfile::tempdir().unwrap();
    let env_file = folder.path().join("env");
    fs::write(&env_file, "KEY=1").unwrap();
    let account = || {
        let env_file_read = FileStamp::of(&env_file);
        let env_file = Some(env_file.clone());
        let sources = Sources { env_file, env_file_read, logins: Vec::new() };
        Account::new(folder.path(), "abc", sources, None)
    };
    let running = account();
    fs::write(&env_file, "KEY=22").unwrap();
    running.refused("401", at(0)).unwrap();
    assert!(account().is_free("b", at(0)));
    assert_eq!(account().obstacle("a", at(0)).unwrap(), None);
    account().refused("401", at(1)).unwrap();
    assert!(!account().is_free("b", at(1)));
    assert!(account().obstacle("a", at(1)).unwrap().is_some());
}

#[test]
fn a_refusal_of_credentials_from_other_files_holds() {
    let folder = tempfile::tempdir().unwrap();
    let account = |name: &str| {
        let login = folder.path().join(name);
        fs::write(&login, name).unwrap();
        let sources = Sources { logins: vec![login], ..Sources::default() };
        Account::new(folder.path(), "abc", sources, None)
    };
    account("one").refused("401", at(0)).unwrap();
    assert!(!account("other").is_free("b", at(1)));
    assert!(account("other").obstacle("b", at(1)).unwrap().is_some());
}

#[test]
fn an_account_is_free_when_its_limit_is_over_or_was_lifted() {
    let folder = tempfile::tempdir().unwrap();
    account(&folder).limited(&limit(600, None), at(0)).unwrap();
    assert!(!account(&folder).is_free("b", at(599)));
    assert!(account(&folder).is_free("b", at(600)));
    account(&folder).went_well(at(0), at(1)).unwrap();
    assert!(account(&folder).is_free("b", at(1)));
}

#[test]
fn records_from_the_future_are_discarded() {
    let folder = tempfile::tempdir().unwrap();
    let year = 365 * 24 * 3600;
    account(&folder).limited(&limit(year + 600, None), at(year)).unwrap();
    account(&folder).refused("401", at(year)).unwrap();
    assert!(account(&folder).obstacle("b", at(year)).unwrap().is_some());
    assert_eq!(account(&folder).obstacle("b", at(0)).unwrap(), None, "b's turn to try");
    assert!(account(&folder).obstacle("c", at(1)).unwrap().is_some(), "c waits for b");
    account(&folder).limited(&limit(700, None), at(2)).unwrap();
    let limited = Event::Limited(limit(700, None));
    assert_eq!(account(&folder).obstacle("c", at(3)).unwrap(), Some(limited));
}

#[test]
fn a_damaged_file_is_treated_as_empty() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("abc.json"), "{torn").unwrap();
    assert_eq!(account(&folder).obstacle("b", at(0)).unwrap(), None);
}
