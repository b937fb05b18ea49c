//! What follows from where the members stand.

use super::*;

fn plan(sessions: &[&str], after: &[(&str, &[&str])]) -> Plan {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let plan = Plan {
        id: "login".into(),
        sessions: owned(sessions),
        notify_on_complete: true,
        after: after.iter().map(|(name, others)| ((*name).to_owned(), owned(others))).collect(),
        ..Plan::default()
    };
    plan.checked().unwrap()
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// All members held but these, and the cost of each that has begun.
fn members(plan: &Plan, begun: &[(&str, StateName)], cost_usd: f64) -> Members {
    let facts = |name: &String| {
        let word = begun.iter().find(|(known, _)| known == name).map(|(_, word)| *word);
        match word {
            Some(word) => {
                let reason = Some("no port".into());
                Facts { place: Place::Begun(word), since: at(1), reason, cost_usd }
            }
            None => Facts { place: Place::Held, since: at(0), reason: None, cost_usd: 0.0 },
        }
    };
    plan.sessions.iter().map(|name| (name.clone(), facts(name))).collect()
}

const DIAMOND: [(&str, &[&str]); 3] = [("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])];

#[test]
fn members_start_when_those_before_them_are_done_as_far_as_cap_and_budget_allow() {
    let plan = plan(&["d", "c", "b", "a"], &DIAMOND);
    let next =
        |plan: &Plan, begun: &[(&str, StateName)], cost| starts(plan, &members(plan, begun, cost));
    assert_eq!(next(&plan, &[], 0.0), ["a"]);
    assert_eq!(next(&plan, &[("a", StateName::Running)], 0.0), [""; 0]);
    assert_eq!(next(&plan, &[("a", StateName::Done)], 9.0), ["c", "b"]);
    let capped = Plan { cap: Some(1), budget: Some(10.0), ..plan.clone() };
    assert_eq!(next(&capped, &[("a", StateName::Done)], 9.0), ["c"]);
    assert_eq!(next(&capped, &[("a", StateName::Done), ("c", StateName::Running)], 4.0), [""; 0]);
    assert_eq!(next(&capped, &[("a", StateName::Done), ("c", StateName::Waiting)], 4.0), ["b"]);
    assert_eq!(next(&capped, &[("a", StateName::Done)], 10.0), [""; 0], "it has no budget left");
    let why = |cost| spent(&capped, &members(&capped, &[("a", StateName::Done)], cost));
    assert_eq!(why(9.0), None);
    let why = why(10.0).unwrap();
    assert!(why.starts_with("convoy login has cost $10.00 of its $10.00: those at work continue"));
    assert!(why.ends_with("samocode convoy create login d c b a --budget USD"), "{why}");
    let all = ["a", "b", "c", "d"].map(|name| (name, StateName::Running));
    assert_eq!(spent(&capped, &members(&capped, &all, 10.0)), None, "nobody waits");
}

#[test]
fn one_whose_turn_had_come_when_its_starter_was_killed_starts_whatever_else_is_so() {
    let plan = Plan { cap: Some(1), budget: Some(1.0), ..plan(&["a", "b"], &[]) };
    let mut now = members(&plan, &[], 0.0);
    now.insert(
        "a".into(),
        Facts { place: Place::Released, since: at(0), reason: None, cost_usd: 5.0 },
    );
    assert_eq!(starts(&plan, &now), ["a"]);
}

#[test]
fn a_member_in_trouble_is_announced_once_with_what_it_holds_up_and_again_after_it_was_well() {
    let plan = plan(&["a", "b", "c", "d"], &DIAMOND);
    let mut memory = Memory::default();
    let mut heard = |begun: &[(&str, StateName)], failed: &[(String, String)]| {
        let before = Memory { pending: Vec::new(), ..memory.clone() };
        memory = remember(&plan, &members(&plan, begun, 1.0), failed, &before);
        memory.pending.iter().map(|news| news.text.clone()).collect::<Vec<_>>()
    };
    let blocked = [("a", StateName::Blocked)];
    let said = ["convoy login: a is blocked (no port); it holds up b, c, d"];
    assert_eq!(heard(&blocked, &[]), said);
    assert_eq!(heard(&blocked, &[]), [""; 0]);
    assert_eq!(heard(&[("a", StateName::Running)], &[]), [""; 0]);
    assert_eq!(heard(&blocked, &[]), said);
    assert_eq!(heard(&blocked, &[]), [""; 0]);
    assert_eq!(
        heard(&[("a", StateName::Failed)], &[]),
        ["convoy login: a is failed (no port); it holds up b, c, d"]
    );
    let failed = [("b".to_owned(), "it conflicts".to_owned())];
    assert_eq!(
        heard(&[("a", StateName::Done)], &failed),
        ["convoy login: b could not be started (it conflicts); it holds up d"]
    );
}

#[test]
fn the_end_and_a_spent_budget_are_announced_once_and_the_end_again_after_another_task() {
    let plan = Plan { budget: Some(4.0), ..plan(&["a", "b"], &[]) };
    let mut memory = Memory::default();
    let mut heard = |a: StateName, cost| {
        let before = Memory { pending: Vec::new(), ..memory.clone() };
        let now = members(&plan, &[("a", a), ("b", StateName::Done)], cost);
        memory = remember(&plan, &now, &[], &before);
        memory.pending.iter().map(|news| news.text.clone()).collect::<Vec<_>>()
    };
    let spent = "convoy login has cost $4.00 and reached its budget: no other session of it starts";
    assert_eq!(heard(StateName::Running, 1.0), [""; 0]);
    assert_eq!(heard(StateName::Running, 2.0), [spent]);
    assert_eq!(heard(StateName::Running, 2.0), [""; 0]);
    let end = "convoy login is complete: 2 sessions, $5.00; merge it with: samocode merge login";
    assert_eq!(heard(StateName::Done, 2.5), [end]);
    assert_eq!(heard(StateName::Done, 2.5), [""; 0]);
    assert_eq!(heard(StateName::Running, 2.5), [""; 0], "known before");
    assert_eq!(heard(StateName::Done, 2.5), [end]);
    let quiet = Plan { notify_on_complete: false, ..plan.clone() };
    let now = members(&quiet, &[("a", StateName::Done), ("b", StateName::Done)], 0.0);
    assert_eq!(remember(&quiet, &now, &[], &Memory::default()).pending, []);
}

#[test]
fn what_was_done_and_archived_is_remembered() {
    let plan = plan(&["a", "b"], &[("b", &["a"])]);
    let now = members(&plan, &[("a", StateName::Done)], 2.0);
    let memory = remember(&plan, &now, &[], &Memory::default());
    assert_eq!(
        memory.done,
        BTreeMap::from([("a".to_owned(), Done { since: at(1), cost_usd: 2.0 })])
    );
    let mut gone = now.clone();
    gone.insert(
        "a".into(),
        Facts { place: Place::Absent, since: at(0), reason: None, cost_usd: 0.0 },
    );
    let said = remember(&plan, &gone, &[], &Memory::default()).pending;
    assert_eq!(said[0].text, "convoy login: a does not exist; it holds up b");
}

#[test]
fn what_happens_a_second_time_is_news_even_if_nobody_looked_in_between() {
    let plan = plan(&["a"], &[]);
    for word in [StateName::Blocked, StateName::Done] {
        let mut now = members(&plan, &[("a", word)], 0.0);
        let memory = remember(&plan, &now, &[], &Memory::default());
        assert_eq!(remember(&plan, &now, &[], &memory), memory);
        now.entry("a".into()).and_modify(|facts| facts.since = at(2));
        assert_eq!(remember(&plan, &now, &[], &memory).pending.len(), 2);
    }
}
