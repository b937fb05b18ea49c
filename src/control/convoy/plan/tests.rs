//! Plans, sound and flawed.

use super::*;

fn plan(sessions: &[&str], after: &[(&str, &[&str])]) -> Plan {
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    Plan {
        id: "login".into(),
        sessions: owned(sessions),
        notify_on_complete: true,
        after: after.iter().map(|(name, others)| ((*name).to_owned(), owned(others))).collect(),
        ..Plan::default()
    }
}

fn flaw(plan: Plan) -> String {
    plan.checked().unwrap_err().to_string()
}

#[test]
fn each_flaw_is_one_line() {
    assert_eq!(flaw(plan(&[], &[])), "convoy 'login' has no sessions");
    assert_eq!(flaw(plan(&["a", "26-11-20-a"], &[])), "session 'a' is named twice");
    let many: Vec<String> = (0..500).map(|number| format!("s{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(
        flaw(plan(&many, &[])),
        "convoy 'login' has 500 sessions, more than the 200 it may have"
    );
    assert_eq!(
        flaw(plan(&["schema", "server"], &[("server", &["schma"])])),
        "'server' is to start after 'schma', which is not in the convoy; did you mean 'schema'?"
    );
    assert_eq!(
        flaw(plan(&["x", "a", "b", "c"], &[("a", &["b"]), ("b", &["c"]), ("c", &["a"])])),
        "these sessions wait for each other: a → b → c → a"
    );
    assert_eq!(flaw(plan(&["a"], &[("a", &["a"])])), "these sessions wait for each other: a → a");
    let amount = |budget| flaw(Plan { budget: Some(budget), ..plan(&["a"], &[]) });
    for budget in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert_eq!(amount(budget), "the budget of convoy 'login' is not an amount above 0");
    }
    assert!(
        flaw(Plan { cap: Some(0), ..plan(&["a"], &[]) }).contains("is 0: none of its sessions")
    );
    assert!(flaw(plan(&["../a"], &[])).contains("is not a session name"));
    assert!(
        flaw(Plan { id: "../x".into(), ..plan(&["a"], &[]) }).contains("is not a session name")
    );
}

#[test]
fn the_predecessors_file_is_read() {
    let text = r#"{"id":"auth","name":"Auth","sessions":["26-11-20-jwt","26-11-20-api"],"notify_on_complete":false}"#;
    let plan: Plan = serde_json::from_str(text).unwrap();
    let plan = plan.checked().unwrap();
    assert_eq!((plan.sessions, plan.notify_on_complete), (vec!["jwt".into(), "api".into()], false));
}

#[test]
fn sessions_come_after_those_they_wait_for_and_hold_up_all_that_wait_for_them() {
    let after: [(&str, &[&str]); 3] = [("b", &["a"]), ("c", &["a"]), ("d", &["b", "c"])];
    let plan = plan(&["d", "c", "b", "a"], &after).checked().unwrap();
    assert_eq!(plan.order(), ["a", "c", "b", "d"]);
    assert_eq!(plan.held_up_by("a"), ["c", "b", "d"]);
    assert_eq!(plan.held_up_by("d"), Vec::<&str>::new());
}

#[test]
fn a_convoy_that_is_named_again_keeps_what_the_names_do_not_say() {
    let known = Plan {
        budget: Some(3.0),
        merge: true,
        into: Some("develop".into()),
        ..plan(&["a", "b"], &[("b", &["a"])])
    };
    let again = Plan { budget: Some(9.0), ..plan(&["b", "a", "c"], &[]) }.over(known.clone());
    let sessions = ["b", "a", "c"].map(str::to_owned).to_vec();
    assert_eq!(again, Plan { budget: Some(9.0), sessions, ..known });
}
